"""How long sessions and forgotten devices are kept, and what a restore does with them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, select

from gateway.model.clock import DAY
from gateway.sessions.rows import KNOWN_SECONDS, forgotten_devices
from gateway.store.schema import sessions
from gateway.store.stored import AS_IT_WAS, EXPIRING, Kept, Longest, Stored


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    """Ended sessions are kept for KNOWN_SECONDS: they show which devices are known.

    The last one of each account stays: it shows when a person was last seen, if that was years ago.
    """
    is_over = or_(sessions.c.ended_at < now - DAY, sessions.c.started_at < now - longest.session - DAY)
    other = sessions.alias()
    is_later = or_(
        other.c.seen_at > sessions.c.seen_at,
        and_(other.c.seen_at == sessions.c.seen_at, other.c.id > sessions.c.id),
    )
    has_later = select(other.c.id).where(other.c.account == sessions.c.account, is_later).exists()
    return and_(sessions.c.started_at < now - KNOWN_SECONDS, is_over, has_later)


STORED = (
    Stored(
        sessions,
        is_stale,
        Kept("app/backup.py ends them, with a row of the audit log for each account"),
        Kept("they are the account's devices; ended ones expire, save the last, which shows when it was used"),
    ),
    Stored(forgotten_devices, lambda longest, now: forgotten_devices.c.at < now - KNOWN_SECONDS, AS_IT_WAS, EXPIRING),
)
