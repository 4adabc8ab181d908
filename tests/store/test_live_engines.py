"""What differs between the engines in finding sessions: what SQLite remembers, and PostgreSQL's server."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sessions import rows as session_rows
from gateway.sessions.lookup import Lookup
from gateway.store import Store, StoreUnavailable
from tests.store.people import NOW, add_person, add_session, look, worker
from tests.support import postgres

Known = tuple[Lookup, bytes, Path, str]


# SQLite: what is remembered, and when it is forgotten.


@pytest.fixture
async def known(sqlite_url: str) -> AsyncIterator[Known]:
    """Yield a lookup that remembers a session, its key, the database file and the session's id."""
    store = Store.open(sqlite_url)
    session_id, key = await add_session(store, await add_person(store))
    await store.close()
    async with worker(sqlite_url) as lookup:
        assert lookup.find(key, NOW) is not None
        yield lookup, key, Path(sqlite_url.removeprefix("sqlite:///")), session_id


def write(path: Path, statement: str) -> None:
    """Write as somebody does who knows nothing of us."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


async def test_what_nobody_announced_is_noticed_within_a_second(known: Known) -> None:
    lookup, key, path, _ = known
    write(path, "UPDATE sessions SET ended_at = 1")
    assert lookup.find(key, NOW + 1) is None


async def test_a_remembered_session_is_found_without_asking_the_database(known: Known) -> None:
    lookup, key, path, _ = known
    write(path, "UPDATE sessions SET ended_at = 1")
    assert lookup.find(key, NOW) is not None  # in the same second: nobody announced it, so nobody asked


async def test_the_lookup_holds_no_old_view_of_the_database(known: Known) -> None:
    lookup, _, path, _ = known
    lookup.find(b"unknown" + bytes(25), NOW)
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
        busy, pages, moved = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, pages - moved) == (0, 0)


async def test_a_clock_that_goes_back_changes_nothing(known: Known) -> None:
    lookup, key, path, _ = known
    assert lookup.find(key, NOW - 100) is not None
    write(path, "UPDATE sessions SET ended_at = 1")
    assert lookup.find(key, NOW - 200) is None


async def test_without_its_database_nobody_knows_anybody(known: Known) -> None:
    lookup, key, path, _ = known
    aside = path.with_name("aside.db")
    path.rename(aside)
    for now in (NOW + 1, NOW + 1, NOW + 2):
        with pytest.raises(StoreUnavailable):
            lookup.find(key, now)
    aside.rename(path)
    assert lookup.find(key, NOW + 2) is not None


async def test_a_broken_database_is_an_unavailable_store(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    healthy = path.read_bytes()
    path.write_bytes(healthy[:4096] + b"broken" * (len(healthy) // 6))
    async with worker(sqlite_url) as lookup:
        for now in (NOW, NOW, NOW + 1):
            with pytest.raises(StoreUnavailable):
                lookup.find(b"k" * 32, now)
        path.write_bytes(healthy)
        assert lookup.find(b"k" * 32, NOW + 1) is None


async def test_a_database_that_was_restored_is_the_one_that_is_asked(known: Known) -> None:
    lookup, key, path, _ = known
    restored = path.with_name("restored.db")
    shutil.copy(path, restored)
    write(restored, "UPDATE sessions SET ended_at = 1")
    restored.replace(path)
    assert lookup.find(key, NOW + 1) is None


async def test_what_is_announced_in_a_restored_database_is_heard_in_the_same_second(known: Known) -> None:
    lookup, key, path, session_id = known
    restored = path.with_name("restored.db")
    shutil.copy(path, restored)
    restored.replace(path)
    store = Store.open(f"sqlite:///{path}")
    async with store.transaction() as tx:
        await session_rows.end(tx, session_id, NOW)
    assert lookup.find(key, NOW) is None
    await store.close()


async def test_announcements_are_heard_after_their_file_was_removed(known: Known) -> None:
    lookup, key, path, session_id = known
    path.with_name(path.name + ".generation").unlink()
    assert lookup.find(key, NOW + 1) is not None
    store = Store.open(f"sqlite:///{path}")
    async with store.transaction() as tx:
        await session_rows.end(tx, session_id, NOW)
    assert lookup.find(key, NOW + 1) is None
    await store.close()


async def test_writing_last_seen_does_not_wake_anybody(known: Known) -> None:
    lookup, key, path, _ = known
    store = Store.open(f"sqlite:///{path}")
    before = lookup.find(key, NOW)
    await lookup.flush(store)
    assert lookup.find(key, NOW) is before  # the very same object: it was remembered
    await store.close()


# PostgreSQL: the server.


async def test_a_worker_lives_through_a_restart_of_the_server(postgres_url: str) -> None:
    import asyncpg

    store = Store.open(postgres_url)
    _, key = await add_session(store, await add_person(store))
    await store.close()
    async with worker(postgres_url) as lookup:
        assert await look(lookup, key) is not None
        other = await asyncpg.connect(postgres_url)
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await other.close()
        with contextlib.suppress(StoreUnavailable):  # one request may notice it; none may be let through unasked
            await look(lookup, key)
        assert await look(lookup, key) is not None


async def test_a_server_that_is_away_is_an_unavailable_store_until_it_is_back(
    postgres_url: str, postgres_server: postgres.Server
) -> None:
    store = Store.open(postgres_url)
    _, key = await add_session(store, await add_person(store))
    await store.close()
    async with worker(postgres_url) as lookup:
        assert await look(lookup, key) is not None
        postgres_server.stop()
        try:
            with pytest.raises(StoreUnavailable):
                while True:  # as long as the worker has its lease, it answers
                    await look(lookup, key)
                    await asyncio.sleep(0.05)
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await look(lookup, key)
        finally:
            postgres_server.start()
        assert await look(lookup, key) is not None


async def test_a_worker_starts_while_its_server_is_away() -> None:
    async with worker("postgresql://u@127.0.0.1:1/gateway") as lookup:
        with pytest.raises(StoreUnavailable):
            await look(lookup, b"k" * 32)
