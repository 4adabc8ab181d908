"""Consecutive-failure counters: per account, factor and origin (a known device, or everywhere else)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, select

from gateway.model.clock import DAY
from gateway.model.factor import Factor
from gateway.store import Transaction
from gateway.store.schema import streaks
from gateway.store.stored import AS_IT_WAS, EXPIRING, Longest, Stored
from gateway.store.upsert import upsert

KEEP_SECONDS = 90 * DAY  # as long as a device is known (sessions.rows)


async def read(tx: Transaction, account: str, factor: Factor, origin: str) -> tuple[int, int]:
    """Return the number of consecutive failures, and the time before which no try is allowed, in UTC seconds."""
    query = select(streaks.c.failures, streaks.c.wait_until).where(
        streaks.c.account == account, streaks.c.factor == factor, streaks.c.origin == origin
    )
    row = (await tx.execute(query)).one_or_none()
    return (row.failures, row.wait_until) if row else (0, 0)


async def write(tx: Transaction, account: str, factor: Factor, origin: str, failures: int, wait_until: int) -> None:
    values = {"failures": failures, "wait_until": wait_until}
    await tx.execute(
        upsert(tx, streaks)
        .values(account=account, factor=factor, origin=origin, **values)
        .on_conflict_do_update(index_elements=["account", "factor", "origin"], set_=values)
    )


async def reset(tx: Transaction, account: str, factor: Factor, origin: str) -> None:
    await tx.execute(
        delete(streaks).where(streaks.c.account == account, streaks.c.factor == factor, streaks.c.origin == origin)
    )


async def reset_all(tx: Transaction, account: str) -> int:
    """Delete all counters of an account: its factor was replaced, or an operator vouches. Returns their number."""
    return (await tx.execute(delete(streaks).where(streaks.c.account == account))).rowcount


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    """Return the condition for old rows. The counter of unknown devices ("") is kept until a right code or a reset."""
    return and_(streaks.c.origin != "", streaks.c.wait_until < now - KEEP_SECONDS)


STORED = (Stored(streaks, is_stale, AS_IT_WAS, EXPIRING),)
