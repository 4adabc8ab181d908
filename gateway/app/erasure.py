"""Erases a person: in the audit log, and in every table as its noun declares (store/stored.py), in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.app.nouns import STORED
from gateway.audit import keeping
from gateway.audit.keeping import Keeper
from gateway.page_views import batches
from gateway.store import Store
from gateway.store.stored import Kept, Stored


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of the log, and the number of rows of each other table in which there was anything."""

    log: keeping.Erased
    rows: dict[str, int]


async def erase(
    store: Store,
    keeper: Keeper,
    identifier: str,
    account: str | None,
    by: str,
    now: int,
    declared: Sequence[Stored] = STORED,
) -> Erased:
    """Erase what is recorded of a person; `account` is its id, if there is one. Raises StoreUnavailable."""
    await batches.move(store)
    await keeper.settle(now, at_once=True)
    async with store.transaction() as tx:
        counts = {
            stored.table.name: (await tx.execute(stored.erased(identifier, account or ""))).rowcount
            for stored in declared
            if not isinstance(stored.erased, Kept)
        }
        log = await keeping.erase(tx, identifier, account, by, now)  # last: it holds the lock of all writers
        return Erased(log, {table: count for table, count in counts.items() if count})
