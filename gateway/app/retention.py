"""Deletes expired rows in small batches: which ones, each noun says for itself (store/stored.py).

Rows go in small transactions with a pause between them: on SQLite everybody who writes waits for a transaction to end,
and a sign-in must not wait for a million old rows. The audit log has its own retention and is not touched here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Table, delete, select, tuple_

from gateway.app.nouns import STORED
from gateway.settings.record import Settings
from gateway.store import Store, Transaction
from gateway.store.stored import Kept, Longest

BATCH = 500  # rows of a transaction: some milliseconds
PAUSE_SECONDS = 0.05


def stale_rows(settings: Settings, now: int) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield each table with the condition for its expired rows."""
    limits, lifespans = settings.limits, (settings.sessions.members, settings.sessions.owners)
    longest = Longest(
        limit=max(
            limits.password_window_seconds,
            limits.password_lock_seconds,
            limits.code_window_seconds,
            limits.code_lock_seconds,
        ),
        session=max(lifespan.absolute_seconds for lifespan in lifespans),
    )
    for stored in STORED:
        if not isinstance(stored.stale, Kept):
            yield stored.table, stored.stale(longest, now)


class Purge:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def run(self, now: int) -> dict[str, int]:
        """Remove everything stale, and return how many rows of each table. Raises StoreUnavailable."""
        return {table.name: await self._empty(table, stale) for table, stale in stale_rows(self._settings, now)}

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
