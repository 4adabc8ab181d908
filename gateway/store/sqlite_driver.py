"""SQLite in a thread of each connection, with one turn of that thread for a statement.

aiosqlite hands each step to the thread and waits for it: making a cursor, executing, fetching, closing. A turn takes
longer than most of our statements, so here the four are one. A transaction that only reads begins with its first
statement, as it does in SQLite itself, and ends on the spot: that waits for nobody and touches no disk.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import aiosqlite

Result = TypeVar("Result")

AT_ONCE = 1_000  # rows fetched in the turn that executes; a result with more of them stays open in SQLite


class Connection(aiosqlite.Connection):
    """One task uses it at a time, though a statement of a cancelled one may still be executed."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, AT_ONCE)
        self._thread.daemon = True
        self._given = self._done = 0  # turns
        self._is_to_begin = self._only_reads = False

    def cursor(self) -> Cursor:  # type: ignore[override]  # SQLAlchemy enters it, as it enters aiosqlite's
        return Cursor(self)

    def begin(self) -> None:
        """Have the next statement begin a transaction that only reads."""
        self._is_to_begin = self._only_reads = True

    async def commit(self) -> None:
        await self._end(self._conn.commit)

    async def rollback(self) -> None:
        await self._end(self._conn.rollback)

    async def execute_in_turn(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what `work` returns in the connection's thread, in the transaction that is to begin, if one is."""
        begins, self._is_to_begin = self._is_to_begin, False

        def turn(connection: sqlite3.Connection) -> Result:
            if begins:
                connection.execute("BEGIN").close()
            return work(connection)

        result: Result = await self._execute(turn, self._conn)
        return result

    async def _end(self, end: Callable[[], None]) -> None:
        only_reads = self._only_reads
        self._is_to_begin = self._only_reads = False
        if self._given != self._done:
            await self._execute(end)
        elif self._conn.in_transaction:
            if only_reads:
                end()
            else:
                await self._execute(end)

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def turn() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1

        self._given += 1
        return await super()._execute(turn)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Answer:
    """`rest` is the cursor of SQLite, if there may be more rows."""

    description: Any
    rowcount: int
    lastrowid: int | None
    rows: list[Any]
    rest: sqlite3.Cursor | None


class Cursor:
    """The answer to one statement. It has the attributes of DB-API 2.0 that SQLAlchemy reads."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: deque[Any] = deque()
        self._rest: sqlite3.Cursor | None = None
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Cursor:
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        await self._ask(lambda connection: connection.execute(statement, parameters))

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> None:
        await self._ask(lambda connection: connection.executemany(statement, parameters))

    async def fetchone(self) -> Any:
        return next(iter(await self.fetchmany(1)), None)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return `size` rows, or fewer at the end."""
        size = size or self.arraysize
        while len(self._rows) < size and self._rest is not None:
            self._keep(await self._connection.execute_in_turn(partial(fetch, self._rest)))
        return [self._rows.popleft() for _ in range(min(size, len(self._rows)))]

    async def fetchall(self) -> list[Any]:
        while self._rest is not None:
            self._keep(await self._connection.execute_in_turn(partial(fetch, self._rest)))
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def close(self) -> None:
        self._rows.clear()
        if (rest := self._rest) is not None:
            self._rest = None
            await self._connection.execute_in_turn(lambda _: rest.close())

    async def _ask(self, ask: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> None:
        await self.close()
        self._keep(await self._connection.execute_in_turn(lambda connection: fetch(ask(connection))))

    def _keep(self, answer: Answer) -> None:
        self.description = answer.description
        self.rowcount, self.lastrowid = answer.rowcount, answer.lastrowid
        self._rows.extend(answer.rows)
        self._rest = answer.rest


def fetch(cursor: sqlite3.Cursor, _: object = None) -> Answer:
    """Fetch the next rows. After the last one, and after an error, SQLite is done with the statement."""
    rows = cursor.fetchmany(AT_ONCE)
    rest = cursor if len(rows) == AT_ONCE else None
    return Answer(cursor.description, cursor.rowcount, cursor.lastrowid, rows, rest)


def connect(database: str, **options: Any) -> Connection:
    """Return a connection to await, with the options of sqlite3.connect."""
    return Connection(partial(sqlite3.connect, database, **options | {"check_same_thread": False}))
