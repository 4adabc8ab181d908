"""Work that a deadlock has undone is done again, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gateway.store import Store, StoreUnavailable, Transaction
from gateway.store.retry import TRIES, retried
from gateway.store.unavailable import Undone

ADD = text("UPDATE counts SET times = times + 1 WHERE name = :name")


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = Store.open(postgres_url)
    async with store.transaction() as tx:
        await tx.execute(text("CREATE TABLE counts (name text PRIMARY KEY, times integer)"))
        await tx.execute(text("INSERT INTO counts VALUES ('a', 0), ('b', 0)"))
    yield store
    await store.close()


async def counts(store: Store) -> dict[str, int]:
    async with store.reading() as tx:
        rows = await tx.execute(text("SELECT name, times FROM counts"))
        return {row.name: row.times for row in rows}


async def add(tx: Transaction, name: str) -> None:
    await tx.execute(ADD, {"name": name})


async def meet(store: Store, *, commits_before: bool) -> tuple[list[object], int]:
    """Let two pieces of work wait for each other, the first time. Return how they ended, and how often they began."""
    both, begun = asyncio.Barrier(2), 0

    @retried
    async def work(first: str, second: str) -> None:
        nonlocal begun
        begun += 1
        if commits_before:
            async with store.transaction() as tx:
                await tx.execute(text("INSERT INTO counts VALUES (:name, 1)"), {"name": f"before {first}"})
        async with store.transaction() as tx:
            await add(tx, first)
            if begun <= 2:
                await both.wait()
            await add(tx, second)

    ended = await asyncio.gather(work("a", "b"), work("b", "a"), return_exceptions=True)
    return list(ended), begun


async def test_what_a_deadlock_has_undone_is_done_again(store: Store) -> None:
    ended, begun = await meet(store, commits_before=False)
    assert (ended, begun) == ([None, None], 3)
    assert await counts(store) == {"a": 2, "b": 2}


async def test_nothing_is_done_again_after_a_commit(store: Store) -> None:
    ended, begun = await meet(store, commits_before=True)
    assert [type(end) for end in ended].count(Undone) == 1
    assert begun == 2
    assert await counts(store) == {"a": 1, "b": 1, "before a": 1, "before b": 1}


async def tried(work: Callable[[], Awaitable[None]]) -> tuple[type[Exception] | None, int]:
    """Do `work`, again where it is undone. Return the error with which it ended, and how often it began."""
    begun = 0

    @retried
    async def counted() -> None:
        nonlocal begun
        begun += 1
        await work()

    try:
        await counted()
    except Exception as error:
        return type(error), begun
    return None, begun


async def say(store: Store, *statements: str) -> None:
    async with store.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


async def test_a_part_that_commits_keeps_the_whole_from_being_done_again(store: Store) -> None:
    @retried
    async def part() -> None:
        await say(store, "UPDATE counts SET times = 1")

    async def whole() -> None:
        await asyncio.create_task(part())
        raise Undone

    assert await tried(whole) == (Undone, 1)


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"


async def test_what_is_undone_again_and_again_is_given_up(store: Store) -> None:
    assert await tried(lambda: say(store, raising("40001"))) == (Undone, TRIES)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO counts VALUES ('a', 1)", IntegrityError),
        (raising("55P03"), StoreUnavailable),  # lock_not_available
        ("SELECT pg_terminate_backend(pg_backend_pid())", StoreUnavailable),
    ],
)
async def test_no_other_error_is_tried_again(store: Store, statement: str, error: type[Exception]) -> None:
    assert await tried(lambda: say(store, statement)) == (error, 1)


BREAK = (
    """CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'""",
    """CREATE CONSTRAINT TRIGGER leaving AFTER UPDATE ON counts DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION leave()""",
)


async def test_a_commit_whose_answer_is_lost_is_not_sent_again(store: Store) -> None:
    """The connection breaks while the server commits, so nobody knows what it did."""
    await say(store, *BREAK)
    assert await tried(lambda: say(store, "UPDATE counts SET times = 1")) == (StoreUnavailable, 1)
