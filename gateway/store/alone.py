"""Opens a store that nothing else uses, to copy it: the source to read, and the target to fill in one transaction.

SQLite: an exclusive lock on the file, so that no other process can even read it. PostgreSQL: there must be no other
connection, and from then on locks keep out those who come: on the source's tables, and on the target the lock that a
gateway takes at its start, to migrate.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import Table, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.model.counted import counted
from gateway.store import sqlite_driver
from gateway.store.copying import LOCK_SECONDS, OTHERS, InUse, used
from gateway.store.engine import Transaction, open_postgresql, open_sqlite
from gateway.store.location import Location, PostgreSQL, SQLite
from gateway.store.migrate import take_migration_lock
from gateway.store.readiness import NotReady, check_file, check_same_schema, missing, naming
from gateway.store.unavailable import broken_store

LEAVING_SECONDS = 3.0  # so long a connection of a process that was just killed may stay
PAUSE_SECONDS = 0.1


@contextlib.asynccontextmanager
async def reading_alone(location: Location, tables: Sequence[Table]) -> AsyncIterator[Transaction]:
    """Open a transaction that reads the store, while nobody else can use it.

    Raises InUse, NotReady if it has not the schema of this version, and StoreUnavailable.
    """
    if isinstance(location, SQLite):
        check_file(location)
        if location.is_empty:
            raise NotReady(missing(location.place))
    engine = open_locked(location) if isinstance(location, SQLite) else open_patient(location)
    async with opened(engine, location.place) as tx:
        if isinstance(location, SQLite):
            await lock_file(tx, location)
        else:
            await refuse_others(tx, location)
        await check_same_schema(tx, location.place)
        if isinstance(location, PostgreSQL):
            names = ", ".join(f'"{table.name}"' for table in tables)
            await tx.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
        yield tx
        await tx.rollback()


@contextlib.asynccontextmanager
async def filling(location: Location) -> AsyncIterator[Transaction]:
    """Open the transaction that fills the store, and commit it at the end. Raises InUse, and StoreUnavailable."""
    engine = open_sqlite(location) if isinstance(location, SQLite) else open_patient(location)
    async with opened(engine, location.place) as tx:
        if isinstance(location, SQLite):
            await tx.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await refuse_others(tx, location)
            await tx.run_sync(take_migration_lock)
        yield tx
        await tx.commit()


@contextlib.asynccontextmanager
async def opened(engine: AsyncEngine, place: str) -> AsyncIterator[Transaction]:
    tx = Transaction(engine)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        with naming(place), broken_store():
            await stack.enter_async_context(tx)
        yield tx


def open_locked(location: SQLite) -> AsyncEngine:
    return create_async_engine(
        location.async_url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"async_creator_fn": sqlite_driver.connect, "isolation_level": None, "timeout": LOCK_SECONDS},
    )


async def lock_file(tx: Transaction, location: SQLite) -> None:
    """Lock the file, in whichever journal mode. Every open connection has a lock on it, also an idle one."""
    await tx.exec_driver_sql("PRAGMA locking_mode=EXCLUSIVE")
    try:
        await tx.exec_driver_sql("BEGIN EXCLUSIVE")
    except OperationalError as error:
        if "locked" not in str(error):
            raise
        raise InUse(used(location)) from error


def open_patient(location: PostgreSQL) -> AsyncEngine:
    """Open connections whose statements and pauses may be long; they wait five seconds for a lock."""
    from gateway.store.postgresql import Limits  # imported here, so that SQLite needs no asyncpg

    return open_postgresql(location, Limits(statement=None, lock=5, idle=0))


async def refuse_others(tx: Transaction, location: PostgreSQL) -> None:
    until = time.monotonic() + LEAVING_SECONDS
    while others := (await tx.execute(text(OTHERS))).scalar_one():
        if time.monotonic() > until:
            raise InUse(f"{counted(others, 'other connection')} to {location.place}; stop all gateways first")
        await tx.rollback()  # a transaction sees the connections of its first look
        await asyncio.sleep(PAUSE_SECONDS)
