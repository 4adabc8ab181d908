"""Deletes expired rows in small batches. Each noun declares which rows expire (store/stored.py).

There is a pause after each batch: with SQLite, every writer waits for a transaction to end, and a sign-in must not wait
for a million old rows. The audit log has its own retention (audit/keeping.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, select, tuple_
from sqlalchemy.sql.dml import ReturningDelete

from gateway.app.nouns import STORED
from gateway.model.clock import DAY
from gateway.settings.record import Settings
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest
from gateway.store.stored import Kept, Longest

BATCH = 500  # rows per transaction: a few milliseconds


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
        page_views=settings.page_views.keep_days * DAY,
    )
    for stored in STORED:
        if not isinstance(stored.stale, Kept):
            yield stored.table, stored.stale(longest, now)


class Purge:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def run(self, now: int) -> dict[str, int]:
        """Delete all expired rows. Returns their number per table. Raises StoreUnavailable."""
        return {
            table.name: await self._delete_expired(table, stale) for table, stale in stale_rows(self._settings, now)
        }

    async def _delete_expired(self, table: Table, condition: ColumnElement[bool]) -> int:
        count = 0
        while True:
            deleted = await then_rest(self._delete_some(table, condition))
            count += deleted
            if deleted < BATCH:
                return count

    async def _delete_some(self, table: Table, condition: ColumnElement[bool]) -> int:
        async with self._store.transaction() as tx:
            return await delete_batch(tx, table, condition, BATCH)


async def delete_batch(tx: Transaction, table: Table, condition: ColumnElement[bool], most: int) -> int:
    """Delete up to `most` rows. Returns how many were deleted."""
    return len((await tx.execute(batch_of(table, condition, most))).all())


def batch_of(table: Table, condition: ColumnElement[bool], most: int) -> ReturningDelete[Any]:
    """Return the statement that deletes up to `most` rows, and returns a value of each.

    A row that a transaction has locked is in use, and waiting for several locks could become a deadlock. The rows are
    chosen in a WITH, which runs once: with statistics from when the table was small, PostgreSQL may otherwise choose
    them again for every row of the table.
    """
    keys = tuple(table.primary_key.columns)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    some = select(*keys).where(condition).limit(most).with_for_update(skip_locked=True).cte("some")
    return delete(table).where(key.in_(select(*some.c))).returning(keys[0])
