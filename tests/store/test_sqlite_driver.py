"""The driver: turns of the thread, answers, and what errors and cancellations leave behind."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from gateway.store import Store
from gateway.store.schema import tenants
from gateway.store.sqlite_driver import AT_ONCE, Connection, connect

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n"
SIZES = (0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    connection = await connect(str(tmp_path / "one.db"), isolation_level=None)
    yield connection
    await connection.close()


@pytest.fixture
def other(tmp_path: Path, connection: Connection) -> Iterator[sqlite3.Connection]:
    """Somebody else who has the file open, and waits for nothing."""
    other = sqlite3.connect(tmp_path / "one.db", isolation_level=None, timeout=0)
    yield other
    other.close()


async def run(connection: Connection, statement: str, *values: object) -> list[Any]:
    cursor = connection.cursor()
    await cursor.execute(statement, values)
    return await cursor.fetchall()


def count_turns(connection: Connection) -> list[object]:
    """Return a list that gets an item for each turn from now on."""
    turns: list[object] = []
    queue: Any = connection._tx
    put = queue.put_nowait

    class Counting:
        get = queue.get

        def put_nowait(self, item: object) -> None:
            turns.append(item)
            put(item)

    connection._tx = Counting()  # type: ignore[assignment]
    return turns


@pytest.mark.parametrize("size", SIZES)
async def test_all_rows_are_fetched(connection: Connection, size: int) -> None:
    assert [i for (i,) in await run(connection, NUMBERS.replace("SELECT 1", "SELECT 1 WHERE ?"), size, size)] == [
        *range(1, size + 1)
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 300, AT_ONCE, 5 * AT_ONCE])
async def test_all_rows_are_fetched_in_batches(connection: Connection, size: int, batch: int) -> None:
    cursor = connection.cursor()
    await cursor.execute(NUMBERS, (max(size, 1),))
    found = []
    while rows := await cursor.fetchmany(batch):
        assert len(rows) == min(batch, max(size, 1) - len(found))
        found += rows
    assert [i for (i,) in found] == [*range(1, max(size, 1) + 1)]
    assert await cursor.fetchone() is None


async def test_a_row_at_a_time(connection: Connection) -> None:
    cursor = connection.cursor()
    await cursor.execute(NUMBERS, (2,))
    assert [await cursor.fetchone() for _ in range(3)] == [(1,), (2,), None]


async def test_what_a_cursor_says_of_a_statement(connection: Connection) -> None:
    cursor = connection.cursor()
    await cursor.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    assert cursor.description is None
    await cursor.executemany("INSERT INTO t (a) VALUES (?)", [("x",), ("y",)])
    assert cursor.rowcount == 2
    await cursor.execute("INSERT INTO t (a) VALUES (?)", ("z",))
    assert cursor.lastrowid == 3
    await cursor.execute("UPDATE t SET a = 'w' WHERE id > ? RETURNING id", (1,))
    assert (cursor.rowcount, cursor.description[0][0], await cursor.fetchall()) == (2, "id", [(2,), (3,)])
    await cursor.execute("SELECT a FROM t WHERE id = 0")
    assert (cursor.description[0][0], await cursor.fetchall()) == ("a", [])


async def test_a_statement_takes_one_turn(connection: Connection) -> None:
    turns = count_turns(connection)
    await run(connection, NUMBERS, AT_ONCE - 1)
    assert len(turns) == 1


async def test_beginning_and_ending_a_transaction_that_reads_takes_no_turn(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    async with store.reading() as tx:
        await tx.execute(select(tenants))
        turns = count_turns((await tx.get_raw_connection()).driver_connection)  # type: ignore[arg-type]
    async with store.reading() as tx:
        await tx.execute(select(tenants))
        assert len(turns) == 1
        await tx.execute(select(tenants))
    async with store.reading():
        pass
    assert len(turns) == 2
    await store.close()


async def test_what_writes_is_ended_in_the_thread(connection: Connection) -> None:
    """It may wait for the disk."""
    await run(connection, "CREATE TABLE t (a)")
    for end in (connection.commit, connection.rollback):
        await run(connection, "BEGIN IMMEDIATE")
        await run(connection, "INSERT INTO t VALUES (1)")
        turns = count_turns(connection)
        await end()
        assert len(turns) == 1
    assert await run(connection, "SELECT count(*) FROM t") == [(1,)]


async def test_a_transaction_begins_with_its_first_statement(connection: Connection, other: sqlite3.Connection) -> None:
    await run(connection, "PRAGMA journal_mode=WAL")
    await run(connection, "CREATE TABLE t (a)")
    connection.begin()
    assert not connection.in_transaction
    other.execute("INSERT INTO t VALUES (1)")
    assert await run(connection, "SELECT a FROM t") == [(1,)]
    assert connection.in_transaction
    other.execute("INSERT INTO t VALUES (2)")
    assert await run(connection, "SELECT a FROM t") == [(1,)]
    await connection.rollback()
    assert await run(connection, "SELECT a FROM t") == [(1,), (2,)]
    assert not connection.in_transaction


@pytest.mark.parametrize("end", [Connection.commit, Connection.rollback])
async def test_an_end_without_statements_begins_nothing_later(connection: Connection, end: Any) -> None:
    connection.begin()
    await end(connection)
    await run(connection, "SELECT 1")
    assert not connection.in_transaction


async def test_a_transaction_whose_first_statement_fails_can_be_rolled_back(connection: Connection) -> None:
    connection.begin()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await run(connection, "SELECT a FROM missing")
    assert connection.in_transaction
    await connection.rollback()
    assert not connection.in_transaction


async def test_an_error_that_somebody_holds_on_to_locks_nobody_out(
    connection: Connection, other: sqlite3.Connection
) -> None:
    """The traceback has the frames of the fetch; the read lock of a file without WAL shows an open statement."""
    await run(connection, "CREATE TABLE t (a)")
    await run(connection, "INSERT INTO t SELECT i FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                          " WHERE i < 10) SELECT i FROM n)")  # fmt: skip
    with pytest.raises(sqlite3.OperationalError, match="user-defined function raised") as held:
        await connection.create_function("fail_at", 1, lambda a: a if a < 5 else 1 / 0)
        await run(connection, "SELECT fail_at(a) FROM t")
    other.execute("INSERT INTO t VALUES (11)")
    assert held.tb is not None


async def test_a_cancelled_statement_is_rolled_back_after_it_has_ended(
    connection: Connection, other: sqlite3.Connection
) -> None:
    """SQLite begins no transaction before the statement is executed, so whether it is in one says nothing before."""
    is_running, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def pause() -> int:
        loop.call_soon_threadsafe(is_running.set)
        may_end.wait(120)
        return 1

    await connection.create_function("pause", 0, pause)
    await run(connection, "CREATE TABLE t (a)")
    first = asyncio.create_task(run(connection, "SELECT pause()"))
    await is_running.wait()
    second = asyncio.create_task(run(connection, "BEGIN IMMEDIATE"))
    await asyncio.sleep(0)
    for task in (first, second):
        task.cancel()
    await asyncio.wait([first, second])
    assert not connection.in_transaction
    end = asyncio.create_task(connection.rollback())
    await asyncio.sleep(0)
    may_end.set()
    await end
    other.execute("INSERT INTO t VALUES (1)")


async def test_a_cursor_that_is_closed_early_or_used_again_leaves_nothing_open(
    connection: Connection, other: sqlite3.Connection
) -> None:
    await run(connection, "CREATE TABLE t (a)")
    await run(connection, f"INSERT INTO t SELECT i FROM ({NUMBERS})", 2 * AT_ONCE)
    cursor = connection.cursor()
    await cursor.execute("SELECT a FROM t")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("DELETE FROM t")
    await cursor.execute("SELECT 1")
    assert await cursor.fetchall() == [(1,)]
    other.execute("UPDATE t SET a = 0")
    await cursor.execute("SELECT a FROM t")
    await cursor.close()
    other.execute("DELETE FROM t")


async def test_through_sqlalchemy(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    people = [{"slug": f"t{number:04}", "name": "T", "status": "active"} for number in range(2 * AT_ONCE + 1)]
    async with store.transaction() as tx:
        assert (await tx.execute(insert(tenants), people)).rowcount == len(people)
        changed = await tx.execute(update(tenants).values(name="U").where(tenants.c.slug < "t0010"))
        assert changed.rowcount == 10
    async with store.reading() as tx:
        slugs = (await tx.execute(select(tenants.c.slug).order_by(tenants.c.slug))).scalars().all()
        assert slugs == [person["slug"] for person in people]
        async with tx.stream(
            select(tenants.c.slug).order_by(tenants.c.slug), execution_options={"yield_per": 300}
        ) as streamed:
            assert [slug async for (slug,) in streamed] == slugs
        async with tx.stream(select(tenants.c.slug)) as streamed:
            assert await streamed.fetchone() is not None
    with pytest.raises(IntegrityError, match="UNIQUE"):
        async with store.transaction() as tx:
            await tx.execute(insert(tenants).values(people[0]))
    async with store.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM tenants"))).scalar_one() == len(people)
    await store.close()
