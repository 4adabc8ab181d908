"""Transactions on SQLite or PostgreSQL, and telling all workers that a right was taken away.

SQLite runs in WAL mode and waits for the disk at each commit (synchronous=FULL). A write transaction begins IMMEDIATE:
it has the write lock before its first read, so what it has read is still true when it writes, and it never fails
half-way because another one wrote first. On PostgreSQL row locks do the same where it matters.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401 - before there are workers, so that they share it
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from gateway.store import sqlite_driver
from gateway.store.confirm import Confirmed, Tell, confirm
from gateway.store.generation import Generation
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.patience import Patience
from gateway.store.retry import note_commit
from gateway.store.revision import Applied
from gateway.store.unavailable import broken_store

if TYPE_CHECKING:
    from gateway.store.postgresql import Limits

Item = TypeVar("Item")

WAL_PAUSE_SECONDS = 0.02
BUSY_SECONDS = 10.0  # how long a writer waits for a writer of another process
POOL_SIZE = 4
READ_ONLY = "25006"  # SQLSTATE
OPEN_SECONDS = 2.0  # how long a transaction waits for a connection to PostgreSQL while nothing happens
READ_REVISION = text("SELECT number, stamp FROM revision")
# That of this transaction, NULL if it took no right away; and the latest one that was committed.
SETTLE_REVISION = text("SELECT settle_revision(), number FROM revision")


class Transaction(AsyncConnection):
    """The connection of one transaction, and the work to do right before its commit."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._last: dict[Callable[[Transaction, list[Any]], Awaitable[None]], list[Any]] = {}
        self._afterwards: list[Callable[[], None]] = []

    def do_last(self, work: Callable[[Transaction, list[Item]], Awaitable[None]], item: Item) -> None:
        """Have `work` run once, right before the commit, with every item given to it until then, in order.

        This is for work that locks a row that every writer needs: the row is locked after all others, so two
        transactions can't deadlock, and only for the time of a commit. `work` must not call `do_last` itself.
        """
        self._last.setdefault(work, []).append(item)

    def do_afterwards(self, work: Callable[[], None]) -> None:
        """Have `work` called once the transaction is committed. It may be left out if this process dies just then."""
        self._afterwards.append(work)

    @property
    def driver(self) -> Any:
        """The driver's own connection."""
        assert self.sync_connection is not None
        return self.sync_connection.connection.driver_connection

    def is_pooled(self) -> bool:
        """Whether a pooler is between this connection and PostgreSQL."""
        return getattr(self.driver, "is_pooled", False)

    async def is_read_only(self) -> bool:
        """Whether the server is a replica, or accepts no writes for another reason (PostgreSQL)."""
        if self.dialect.name == "sqlite":
            return False
        return bool((await self.execute(text("SELECT current_setting('transaction_read_only')::boolean"))).scalar_one())

    async def finish(self) -> None:
        for work, items in self._last.items():
            await work(self, items)

    def finish_afterwards(self) -> None:
        for work in self._afterwards:
            work()


def ignore(confirmed: Confirmed) -> None:
    """Tell nobody; commands have no metrics."""


class Store:
    """The database of one process; connections are opened when first needed.

    `tell_confirmed` is called when a right that was taken away is refused everywhere.
    """

    def __init__(self, engine: AsyncEngine, generation: Generation | None) -> None:
        self._engine = engine
        self._generation = generation  # SQLite only
        self._announced: Applied | int | None = None  # the last revision that this process has announced or confirmed
        self._turn = asyncio.Lock()
        self._waiting: set[Patience] = set()  # of those who wait for a connection
        self.tell_confirmed: Tell = ignore

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store at `url` (see store.location). Raises StoreUnavailable if its file can't be made."""
        match locate(url):
            case SQLite() as location:
                with broken_store():
                    location.prepare()
                    return cls(open_engine(location), Generation(location.generation_path))
            case PostgreSQL() as location:
                return cls(open_engine(location), None)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a write transaction.

        This returns once every worker of every machine has forgotten all rights that it found taken away, or took away
        itself (see store.revision), or can't answer by them any more. Only statements belong inside, because other
        writers wait. Raises StoreUnavailable.
        """
        with broken_store():
            async with self._writers_turn(), self._connected() as tx:
                if self._generation is not None:
                    await tx.exec_driver_sql("BEGIN IMMEDIATE")
                yield tx
                await tx.finish()
                note_commit()
                await uninterrupted(self._commit(tx))
            tx.finish_afterwards()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a read transaction; on SQLite all its reads see one snapshot. Raises StoreUnavailable."""
        with broken_store():
            async with self._connected() as tx:
                if self._generation is not None:
                    tx.driver.begin()
                yield tx

    async def close(self) -> None:
        await self._engine.dispose()
        self.unmap()

    def unmap(self) -> None:
        """Close what is open of a store that has connected to nothing."""
        if self._generation is not None:
            self._generation.close()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Transaction]:
        """Take a connection from the pool.

        On PostgreSQL, give up once OPEN_SECONDS have passed in which no other transaction ended well: a busy database
        is waited for, a silent one is not.
        """
        tx = Transaction(self._engine)
        async with contextlib.AsyncExitStack() as stack:
            async with Patience(OPEN_SECONDS if self._generation is None else None) as patience:
                self._waiting.add(patience)
                try:
                    await stack.enter_async_context(tx)
                finally:
                    self._waiting.discard(patience)
            yield tx
            for other in self._waiting:
                other.renew()

    @contextlib.asynccontextmanager
    async def _writers_turn(self) -> AsyncIterator[None]:
        """Queue SQLite's writers of this process in order: SQLite has one writer at a time, and its own lock polls."""
        if self._generation is None:
            yield
            return
        async with self._turn:
            yield

    async def _commit(self, tx: Transaction) -> None:
        """Commit, then announce or confirm the latest revision.

        It may be another process's, which is not done with that yet. If a session that is to be ended was ended by
        that one, the answer is "signed out" all the same, so that has to be true.
        """
        if self._generation is not None:
            latest = Applied(*(await tx.execute(READ_REVISION)).one())
            await tx.commit()
            if latest != self._announced:
                self._generation.announce()
                self._announced = latest
            return
        own, latest = (await tx.execute(SETTLE_REVISION)).one()
        await tx.commit()
        if own is not None or latest != self._announced:
            self.tell_confirmed(await confirm(tx.driver, own or latest))
            self._announced = own or latest


async def uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work`, however often the caller is cancelled meanwhile: after a commit, workers must also forget."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


def open_engine(location: SQLite | PostgreSQL) -> AsyncEngine:
    """Return an engine. It connects when it is first used."""
    return open_sqlite(location) if isinstance(location, SQLite) else open_postgresql(location)


def open_sqlite(location: SQLite) -> AsyncEngine:
    engine = create_async_engine(
        location.async_url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        hide_parameters=True,  # in errors, and so in logs: the values include hashes and emails
        # The driver would begin transactions by itself, and too late; we send BEGIN ourselves.
        connect_args={"async_creator_fn": sqlite_driver.connect, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, record: Any) -> None:
        record.info["file"] = location.identity()
        cursor = connection.cursor()
        turn_to_wal(cursor)
        for statement in ("synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {statement}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, proxy: Any) -> None:
        # A connection outlives its file: after a restore from a backup it would write into the deleted file.
        if record.info["file"] != location.identity():
            raise DisconnectionError("the database file was replaced")

    ending: set[asyncio.Task[None]] = set()  # the event loop keeps no reference to its tasks

    @event.listens_for(engine.sync_engine, "invalidate")
    def end_transaction(connection: Any, record: Any, error: BaseException | None) -> None:
        """Roll back before the connection is closed, because a statement was cancelled.

        SQLite closes a connection, and releases its locks, only once no statement is left. One whose rows were not all
        read lives as long as the traceback of the cancellation does, so as long as the task. Nothing could be written
        until then.
        """
        task = asyncio.ensure_future(roll_back(connection.driver_connection))
        ending.add(task)
        task.add_done_callback(ending.discard)

    return engine


async def roll_back(connection: Any) -> None:
    """Roll back the transaction of a driver's connection, after the statement that it executes."""
    with contextlib.suppress(sqlite3.Error, ValueError):  # ValueError: it is closed
        await connection.rollback()


def turn_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch a new file to WAL, with retries: SQLite does not wait for another process that is doing the same."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(WAL_PAUSE_SECONDS)


def open_postgresql(location: PostgreSQL, limits: Limits | None = None) -> AsyncEngine:
    """Return an engine with at most POOL_SIZE connections. They have `limits`, or else the usual ones."""
    from gateway.store import postgresql  # imported here, so that workers on SQLite don't load asyncpg

    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=POOL_SIZE,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        connection = await_only(postgresql.connect(location, limits or postgresql.USUAL))

        async def opened() -> postgresql.Connection:
            return connection

        if connection.is_pooled:
            options |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}  # unnamed
        return dialect.dbapi.connect(async_creator_fn=opened, **options)

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server has closed the connection")

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave(context: ExceptionContext) -> None:
        """Close a connection whose server is too late, and all to one that accepts no writes now: a former primary."""
        error, connection = context.original_exception, context.connection
        is_late, is_former = isinstance(error, TimeoutError), getattr(error, "sqlstate", None) == READ_ONLY
        if is_late and connection is not None and (driver := connection.connection.driver_connection) is not None:
            driver.terminate()  # at once: SQLAlchemy would wait for the server's goodbye
        context.is_disconnect |= is_late or is_former
        context.invalidate_pool_on_disconnect &= not is_late

    return engine
