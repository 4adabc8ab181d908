"""Forgets what counts no more, a few hundred rows at a time.

One table says for how long each kind of row is kept. Rows go in small transactions with a pause between them: on
SQLite everybody who writes waits for a transaction to end, and a sign-in must not wait for a million old rows.
The audit log has its own retention and is not touched here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Table, and_, delete, not_, or_, select, tuple_

from gateway.accounts.csv_import.rows import KEEP_SECONDS as IMPORT_SECONDS
from gateway.accounts.links import LIFE_SECONDS as MAILED_LINK_SECONDS
from gateway.browsers.record import LIFE_SECONDS as BROWSER_SECONDS
from gateway.dispatch.forms.record import KEEP_SECONDS as FORM_SECONDS
from gateway.factors.magic_link import LIFE_SECONDS as MAGIC_LINK_SECONDS
from gateway.ops.rows import QUIET_SECONDS
from gateway.sessions.attempt import LIFE_SECONDS as ATTEMPT_SECONDS
from gateway.sessions.rows import KNOWN_SECONDS
from gateway.settings.record import Settings
from gateway.store import Store, Transaction
from gateway.store.schema import (
    alarms,
    attempts,
    blocks,
    browser_cookies,
    browsers,
    email_changes,
    forgotten_devices,
    import_rows,
    imports,
    kept_forms,
    limits,
    magic_links,
    mailed_links,
    outbox,
    sessions,
    streaks,
)

BATCH = 500  # rows of a transaction: some milliseconds
PAUSE_SECONDS = 0.05
DAY = 86_400
LASTING_LIMITS = ("email-change:", "forgot", "link:", "mail-to:", "new-device:", "signup")  # mails: for up to a day
KEEP_MAIL_SECONDS = 30 * DAY

Stale = tuple[Table, ColumnElement[bool]]


def stale_rows(settings: Settings, now: int) -> Iterator[Stale]:
    """Yield each table with the rows of it that nobody will ask for any more. A day is added for people who look."""
    configured, lifespans = settings.limits, (settings.sessions.members, settings.sessions.owners)
    longest_limit = max(
        configured.password_window_seconds,
        configured.password_lock_seconds,
        configured.code_window_seconds,
        configured.code_lock_seconds,
    )
    is_free = limits.c.locked_until < now
    are_lasting = or_(*(limits.c.key.startswith(kind, autoescape=True) for kind in LASTING_LIMITS))
    longest_session = max(lifespan.absolute_seconds for lifespan in lifespans)
    yield limits, and_(limits.c.changed_at < now - longest_limit, is_free, not_(are_lasting))
    yield limits, and_(limits.c.changed_at < now - DAY, is_free, are_lasting)
    yield attempts, attempts.c.started_at < now - ATTEMPT_SECONDS - DAY
    yield magic_links, magic_links.c.created_at < now - MAGIC_LINK_SECONDS - DAY
    for purpose, life in MAILED_LINK_SECONDS.items():
        yield mailed_links, and_(mailed_links.c.purpose == purpose, mailed_links.c.created_at < now - life - DAY)
    # Asked for, waited for and undone within seven days each; a day is added.
    yield email_changes, email_changes.c.asked_at < now - 15 * DAY
    yield blocks, blocks.c.until <= now
    yield alarms, alarms.c.seen_at < now - QUIET_SECONDS - DAY
    is_idle = or_(imports.c.started_at.is_(None), imports.c.finished_at.is_not(None))
    is_old = and_(imports.c.created_at < now - IMPORT_SECONDS - DAY, is_idle)
    yield import_rows, import_rows.c.import_id.in_(select(imports.c.id).where(is_old))
    yield imports, is_old
    yield kept_forms, kept_forms.c.kept_at < now - FORM_SECONDS
    yield browsers, browsers.c.seen_at < now - BROWSER_SECONDS
    yield browser_cookies, browser_cookies.c.browser.not_in(select(browsers.c.key))
    yield outbox, or_(outbox.c.sent_at < now - KEEP_MAIL_SECONDS, outbox.c.abandoned_at < now - KEEP_MAIL_SECONDS)
    # A session that is over still tells a known device from a new one, for as long as devices are known.
    is_over = or_(sessions.c.ended_at < now - DAY, sessions.c.started_at < now - longest_session - DAY)
    yield sessions, and_(sessions.c.started_at < now - KNOWN_SECONDS, is_over)
    yield forgotten_devices, forgotten_devices.c.at < now - KNOWN_SECONDS
    # A row for everywhere else ("") stays: only a right code, or a reset, lets its count begin anew.
    yield streaks, and_(streaks.c.origin != "", streaks.c.wait_until < now - KNOWN_SECONDS)


class Purge:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def run(self, now: int) -> dict[str, int]:
        """Remove everything stale, and return how many rows of each table. Raises StoreUnavailable."""
        counts: dict[str, int] = {}
        for table, condition in stale_rows(self._settings, now):
            counts[table.name] = counts.get(table.name, 0) + await self._empty(table, condition)
        return counts

    async def _empty(self, table: Table, condition: ColumnElement[bool]) -> int:
        count = 0
        while True:
            async with self._store.transaction(announce=False) as tx:
                removed = await remove_some(tx, table, condition, BATCH)
            count += removed
            if removed < BATCH:
                return count
            await asyncio.sleep(PAUSE_SECONDS)


async def remove_some(tx: Transaction, table: Table, condition: ColumnElement[bool], most: int) -> int:
    """Remove up to `most` rows. Returns how many there were."""
    keys = tuple(table.primary_key.columns)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    some = select(*keys).where(condition).limit(most)
    return (await tx.execute(delete(table).where(key.in_(some)))).rowcount
