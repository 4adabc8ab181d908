"""Transactions on SQLite or PostgreSQL, and the word to everybody that something changed.

SQLite runs in WAL mode and waits for the disk at each commit (synchronous=FULL). A write transaction begins
IMMEDIATE: it has the write lock before its first read, so that what it read still holds when it writes, and it
never fails half-way because another one was quicker. On PostgreSQL row locks do the same where it matters.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.store.generation import Generation
from gateway.store.location import Location, PostgreSQL, SQLite, locate

Transaction = AsyncConnection

BUSY_SECONDS = 10.0  # how long a writer waits for another one
POOL_SIZE = 4


class StoreUnavailable(Exception):
    """The store can't be asked or written. Whoever needed it must refuse, never guess."""


class Store:
    """The database of one process; connections are opened when first needed."""

    def __init__(self, engine: AsyncEngine, location: Location, generation: Generation | None) -> None:
        self._engine = engine
        self._is_sqlite = isinstance(location, SQLite)
        self._generation = generation

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store at `url` (see store.location). Raises StoreUnavailable if its file can't be made."""
        location = locate(url)
        match location:
            case SQLite():
                with broken_store():
                    location.prepare()
                    generation = Generation(location.generation_path)
                return cls(open_sqlite(location), location, generation)
            case PostgreSQL():
                engine = create_async_engine(location.async_url, pool_size=POOL_SIZE, pool_pre_ping=True)
                return cls(engine, location, None)

    @contextlib.asynccontextmanager
    async def transaction(self, *, announce: bool = True) -> AsyncIterator[Transaction]:
        """Write: all of it or nothing. When this is left, every worker knows, unless `announce` is False.

        Frequent writes that no session depends on pass False, so that they don't wake everybody.
        """
        with broken_store():
            async with self._engine.connect() as connection:
                if self._is_sqlite:
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                await connection.commit()
        if announce and self._generation is not None:
            self._generation.announce()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Read: everything as it was at one moment."""
        with broken_store():
            async with self._engine.connect() as connection:
                if self._is_sqlite:
                    await connection.exec_driver_sql("BEGIN")
                yield connection
                await connection.rollback()

    async def close(self) -> None:
        await self._engine.dispose()
        if self._generation is not None:
            self._generation.close()


def open_sqlite(location: SQLite) -> AsyncEngine:
    engine = create_async_engine(
        location.async_url,
        pool_size=POOL_SIZE,
        # The driver would open transactions on its own, and too late; we say BEGIN ourselves.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for statement in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {statement}")
        cursor.close()

    return engine


@contextlib.contextmanager
def broken_store() -> Iterator[None]:
    """Translate what the drivers raise when the store is away, full, locked or broken."""
    try:
        yield
    except (OperationalError, PoolTimeout, sqlite3.Error, OSError) as error:
        raise StoreUnavailable(first_line(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, sqlite3.DatabaseError | OSError):
            raise StoreUnavailable(first_line(error)) from error
        raise


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
