"""Copies a store into an empty one, of the same engine or the other, while no gateway runs.

The target is filled in one transaction, together with its schema: on PostgreSQL in its place, on SQLite in a file
beside it that is then renamed. Whatever interrupts that, the target is as it was before, and the copy is run again.

Before the commit, the audit log is verified in the target. Rows are copied as they are: sealed values are bound to
table, column and row, which don't change, and sessions are found by the hash of their cookie. What the gateway derives
by triggers is copied too, so they are switched off meanwhile. No copied table numbers its rows itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import BigInteger, Integer, RowMapping, String, Table, delete, func, insert, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from gateway.app.backup import look
from gateway.app.nouns import STORED
from gateway.audit.marks import Signer
from gateway.audit.verify import Broken, Verifier, Whole
from gateway.crypto.sealing import key_names
from gateway.model.secret import Secret
from gateway.store.alone import filling, reading_alone
from gateway.store.copying import put_in_place, stage_empty
from gateway.store.engine import Transaction
from gateway.store.location import Location, SQLite
from gateway.store.migrate import migrate, upgrade
from gateway.store.readiness import check_same_schema
from gateway.store.schema import accounts, audit, metadata, tenants
from gateway.store.stored import Kept
from gateway.store.unavailable import broken_store, first_line
from gateway.store.version import VERSION_TABLE

BATCH = 500  # rows in memory at once
OWN = {stored.table.name: stored.restored for stored in STORED if not stored.is_copied}
TABLES = [table for table in metadata.sorted_tables if table.name not in OWN]  # referenced ones first

Tell = Callable[[str, int, int], None]  # what is being done, how many rows are done, of how many


class Uncopyable(Exception):
    """The store can't be copied there. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Copied:
    """`rows` are counts by table. `audit` is Broken only if it is in the source, too. `has_secrets` says whether the
    configured secrets decrypt what is in the store. `former` is the target's file of before, if there was one.
    """

    rows: Mapping[str, int]
    audit: Whole | Broken
    has_secrets: bool
    former: Path | None = None


@dataclass(frozen=True, slots=True)
class Within:
    """What a transaction has written, read before it commits."""

    tx: Transaction

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        yield self.tx


def copy(source: Location, target: Location, secrets: Sequence[Secret[bytes]], now: int, tell: Tell) -> Copied:
    """Copy `source` to `target`. Raises Uncopyable, InUse and StoreUnavailable."""
    if source == target:
        raise Uncopyable("both are the same store")
    with broken_store():
        if not isinstance(target, SQLite):
            return asyncio.run(fill(source, target, secrets, now, tell))
        check_file(target)
        staged = stage_empty(target)
        migrate(staged.url)
        copied = asyncio.run(fill(source, staged, secrets, now, tell))
        check_file(target)
        return replace(copied, former=put_in_place(target, f"before-{now}"))


def check_file(target: SQLite) -> None:
    """Raise Uncopyable unless the file may be replaced: it is a store in which nothing happened yet."""

    async def check() -> None:
        async with reading_alone(target, TABLES) as tx:
            await refuse_filled(tx, target)

    if not target.is_empty:
        asyncio.run(check())


async def fill(source: Location, target: Location, secrets: Sequence[Secret[bytes]], now: int, tell: Tell) -> Copied:
    async with filling(target) as tx:
        await tx.run_sync(upgrade, False, target.place, VERSION_TABLE)
        await check_same_schema(tx, target.place)
        await refuse_filled(tx, target)
        async with reading_alone(source, TABLES) as reader:
            has_secrets = {name.hex() for name in key_names(secrets)}.issuperset((await look(reader)).keys)
            async with without_triggers(tx):
                for table in reversed(TABLES):
                    await tx.execute(delete(table))  # what the migrations wrote
                rows = {table.name: await copy_table(reader, tx, table, tell) for table in TABLES}
            for restored in OWN.values():
                if not isinstance(restored, Kept):
                    await tx.execute(restored(now))
            return Copied(rows, await verify(reader, tx, Signer(secrets), tell), has_secrets)


async def refuse_filled(tx: Transaction, location: Location) -> None:
    for table, words in ((accounts, "accounts"), (tenants, "tenants"), (audit, "audit entries")):
        count = (await tx.execute(select(func.count()).select_from(table))).scalar_one()
        if count:
            advice = "move it away" if isinstance(location, SQLite) else "create another database"
            raise Uncopyable(f"{location.place} has {count} {words}, and only an empty store is copied to; {advice}")


@contextlib.asynccontextmanager
async def without_triggers(tx: Transaction) -> AsyncIterator[None]:
    """Switch the triggers of the copied tables off, for this transaction. Foreign keys stay in force."""
    if tx.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = [tuple(row) for row in (await tx.execute(query)).all()]
        off = [f'DROP TRIGGER "{name}"' for name, _ in triggers]
        on = [sql for _, sql in triggers]
    else:
        off = [f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER' for table in TABLES]
        on = [f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER' for table in TABLES]
    for statement in off:
        await tx.exec_driver_sql(statement)
    yield
    for statement in on:
        await tx.exec_driver_sql(statement)


async def copy_table(reader: Transaction, writer: Transaction, table: Table, tell: Tell) -> int:
    """Copy all rows, and return how many the target has."""
    of = (await reader.execute(select(func.count()).select_from(table))).scalar_one()
    done = 0
    tell(table.name, done, of)
    async with reader.stream(select(table), execution_options={"yield_per": BATCH}) as result:
        async for batch in result.mappings().partitions():
            await write(writer, table, batch)
            done += len(batch)
            tell(table.name, done, of)
    there = int((await writer.execute(select(func.count()).select_from(table))).scalar_one())
    if not of == done == there:
        raise Uncopyable(f"{table.name} has {of} rows, {done} were read, and {there} have arrived")
    return there


async def write(writer: Transaction, table: Table, batch: Sequence[RowMapping]) -> None:
    try:
        await writer.execute(insert(table), [dict(row) for row in batch])
    except (DataError, IntegrityError, DBAPIError) as error:
        reason = next((reason for row in batch for reason in unsuitable(table, row)), None)
        if reason is None and not isinstance(error, DataError | IntegrityError):
            raise
        raise Uncopyable(f"{table.name}: {reason or first_line(error)}; correct it where it is copied from") from error


def unsuitable(table: Table, row: RowMapping) -> Iterable[str]:
    """Yield which values PostgreSQL would not take: SQLite checks neither lengths nor ranges, and accepts NUL."""
    key = ", ".join(str(row[column.name]) for column in table.primary_key)
    for column in table.columns:
        value, limit = row[column.name], getattr(column.type, "length", None)
        if isinstance(value, str) and "\x00" in value:
            yield f"{column.name} of row {key!r} contains the character NUL"
        elif isinstance(column.type, String) and value is not None and limit and len(value) > limit:
            yield f"{column.name} of row {key!r} is longer than {limit} characters"
        elif isinstance(column.type, Integer) and value is not None:
            most = 2**63 if isinstance(column.type, BigInteger) else 2**31
            if not -most <= value < most:
                yield f"{column.name} of row {key!r} is too large a number"


async def verify(reader: Transaction, writer: Transaction, signer: Signer, tell: Tell) -> Whole | Broken:
    """Verify the audit log in the target. If it is broken, it must be so in the source in the same way."""
    found = await Verifier(Within(writer), signer, progress=partial(tell, "audit entries verified")).run()
    if isinstance(found, Broken) and found != await Verifier(Within(reader), signer).run():
        raise Uncopyable(f"the audit log has not arrived as it was: {found}")
    return found
