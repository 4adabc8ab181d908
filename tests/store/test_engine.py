"""Transactions on both engines, and what a broken store looks like."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from gateway.accounts import rows
from gateway.model.account import Status
from gateway.store import Store, StoreUnavailable, engine
from gateway.store.generation import Generation
from gateway.store.location import SQLite, locate
from gateway.store.schema import tenants
from tests.store.people import add_person, person
from tests.support import postgres


class Broken(Exception):
    pass


def generation_of(url: str) -> Generation:
    location = locate(url)
    assert isinstance(location, SQLite)
    return Generation(location.generation_path)


async def test_nothing_of_a_failed_transaction_stays(store: Store) -> None:
    with pytest.raises(Broken):
        async with store.transaction() as tx:
            await rows.add(tx, person())
            raise Broken
    async with store.reading() as tx:
        assert await rows.list_all(tx) == []


async def test_what_is_to_be_done_afterwards_follows_the_commit_and_no_rollback(store: Store) -> None:
    done: list[str] = []
    with pytest.raises(Broken):
        async with store.transaction() as tx:
            tx.do_afterwards(lambda: done.append("rolled back"))
            raise Broken
    async with store.transaction() as tx:
        tx.do_afterwards(lambda: done.append("committed"))
        assert done == []
    assert done == ["committed"]


async def test_a_cancelled_transaction_leaves_nothing_behind_and_holds_nobody_up(store: Store) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.transaction() as tx:
            await rows.add(tx, person())
            inside.set()
            await asyncio.Event().wait()

    for _ in range(10):
        task = asyncio.create_task(hang())
        await inside.wait()
        inside.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await add_person(store)


async def test_a_statement_that_is_cancelled_with_rows_left_to_read_locks_nobody_out(sqlite_url: str) -> None:
    """Its task is still there, as those of background jobs are: with it the traceback, the cursor and the statement."""
    store, other = Store.open(sqlite_url), Store.open(sqlite_url)
    is_running, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def pause() -> str:
        loop.call_soon_threadsafe(is_running.set)
        may_end.wait(120)
        return "paused"

    async def rename() -> None:
        async with store.transaction() as tx:
            driver: Any = (await tx.get_raw_connection()).driver_connection
            await driver.create_function("pause", 0, pause)
            await tx.execute(text("UPDATE tenants SET name = pause() RETURNING slug"))

    async with store.transaction() as tx:
        for slug in ("acme", "beta", "gamma"):
            await tx.execute(insert(tenants).values(slug=slug, name=slug, status="active"))
    task = asyncio.create_task(rename())
    await is_running.wait()
    task.cancel()
    may_end.set()
    await asyncio.wait([task])
    assert task.cancelled()
    async with other.transaction() as tx:
        assert set((await tx.execute(select(tenants.c.name))).scalars()) == {"acme", "beta", "gamma"}
    for each in (store, other):
        await each.close()


@pytest.mark.usefixtures("unhurried")
async def test_what_a_transaction_read_still_holds_when_it_writes(store: Store) -> None:
    """Twenty transactions each read a row, and write it only as they read it: none may fail half-way."""
    account = await add_person(store)

    async def toggle() -> None:
        async with store.transaction() as tx:
            found = await rows.find(tx, account.id, lock=True)
            assert found is not None
            other = Status.DISABLED if found.status is Status.ACTIVE else Status.ACTIVE
            assert await rows.set_status(tx, account.id, other)

    await asyncio.gather(*(toggle() for _ in range(20)))


async def test_a_mistake_of_ours_is_not_called_an_unavailable_store(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with store.transaction() as tx:
            await tx.execute(text("INSERT INTO tenants (slug, name, status) VALUES ('a', 'a', 'nonsense')"))


async def test_a_store_without_tables_is_unavailable(empty_url: str) -> None:
    store = Store.open(empty_url)
    with pytest.raises(StoreUnavailable, match="accounts"):
        async with store.reading() as tx:
            await rows.list_all(tx)
    await store.close()


# SQLite.


async def test_sqlite_waits_for_the_disk_and_checks_references(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    async with store.reading() as tx:
        found = [
            (await tx.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    await store.close()
    assert found == ["wal", 2, 1, 10_000]


async def test_a_write_transaction_has_the_lock_before_its_first_statement(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)) as other:
        async with store.transaction():
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO tenants (slug, name, status) VALUES ('a', 'a', 'active')")
    await store.close()


async def test_a_reading_sees_one_moment(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    async with store.reading() as tx:
        assert await rows.list_all(tx) == []
        await add_person(store)
        assert await rows.list_all(tx) == []
    await store.close()


async def test_a_right_taken_away_is_announced_after_its_commit_and_before_it_is_confirmed(sqlite_url: str) -> None:
    store, generation = Store.open(sqlite_url), generation_of(sqlite_url)
    account = await add_person(store)
    before = generation.current()
    async with store.transaction() as tx:
        await rows.set_status(tx, account.id, Status.DISABLED)
        assert generation.current() == before
    assert generation.current() != before
    generation.close()
    await store.close()


async def test_nobody_is_woken_by_reading_by_failing_or_by_frequent_writes(sqlite_url: str) -> None:
    store, generation = Store.open(sqlite_url), generation_of(sqlite_url)
    await add_person(store)
    before = generation.current()
    async with store.reading():
        pass
    async with store.transaction() as tx:
        await rows.add(tx, person("bob@example.com"))
    with pytest.raises(Broken):
        async with store.transaction():
            raise Broken
    assert generation.current() == before
    generation.close()
    await store.close()


async def test_a_commit_that_landed_is_announced_though_nobody_waits_for_it_any_more(sqlite_url: str) -> None:
    store, generation = Store.open(sqlite_url), generation_of(sqlite_url)
    await add_person(store)
    before, committing = generation.current(), asyncio.Event()

    async def change() -> None:
        async with store.transaction() as tx:
            await tx.execute(tenants.update().values(status="suspended"))
            committing.set()

    task = asyncio.create_task(change())
    await committing.wait()  # the very next thing that `change` does is to wait for its commit
    for _ in range(3):  # a process that is told to end is told again
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.reading() as tx:
        assert set((await tx.execute(select(tenants.c.status))).scalars()) == {"suspended"}
    assert generation.current() != before
    generation.close()
    await store.close()


async def test_what_another_process_did_not_announce_is_announced_by_the_next_one(sqlite_url: str) -> None:
    """It has crashed, or is about to: whoever finds the right gone already tells somebody that it is."""
    generation = generation_of(sqlite_url)
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("UPDATE tenants SET status = 'suspended'")
        other.commit()
    before = generation.current()
    store = Store.open(sqlite_url)
    await add_person(store)
    assert generation.current() != before
    generation.close()
    await store.close()


async def test_an_announcement_reaches_whoever_opens_the_file_after_it_was_removed(sqlite_url: str) -> None:
    store, removed = Store.open(sqlite_url), generation_of(sqlite_url)
    await add_person(store)
    Path(sqlite_url.removeprefix("sqlite:///") + ".generation").unlink()
    assert removed.follow()
    before = removed.current()
    async with store.transaction() as tx:
        await tx.execute(tenants.update().values(status="suspended"))
    assert removed.current() != before
    removed.close()
    await store.close()


async def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(sqlite_url: str) -> None:
    store, path = Store.open(sqlite_url), Path(sqlite_url.removeprefix("sqlite:///"))
    await add_person(store)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    with pytest.raises(StoreUnavailable):
        await add_person(store, person("bob@example.com"))
    await store.close()
    assert not path.exists()


async def test_a_database_that_was_put_in_its_place_is_the_one_that_is_written(
    sqlite_url: str, migrated_sqlite: Path
) -> None:
    store, path = Store.open(sqlite_url), Path(sqlite_url.removeprefix("sqlite:///"))
    await add_person(store)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    restored = path.with_name("restored.db")
    restored.write_bytes(migrated_sqlite.read_bytes())
    os.replace(restored, path)
    async with store.reading() as tx:
        assert await rows.list_all(tx) == []
    await store.close()


async def test_a_file_that_is_no_database_is_an_unavailable_store(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"no database" * 1000)
    store = Store.open(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with store.transaction():
            pass
    await store.close()


def test_who_runs_on_sqlite_carries_nothing_of_postgresql_or_alembic(sqlite_url: str) -> None:
    program = """
import asyncio, sys
from gateway.throttle import limits
from gateway.accounts import rows
from gateway.model.factor_policy import FactorPolicy
from gateway.sessions.live import open_lookup
from gateway.model.session import Lifetime, Lifetimes
from gateway.store import Store

async def main(url):
    store = Store.open(url)
    lookup = open_lookup(url, FactorPolicy(), Lifetimes(Lifetime(1, 1), Lifetime(1, 1)))
    await lookup.start()
    async with store.transaction() as tx:
        await limits.reserve(tx, "key", limits.Limit(1, 1, 1), 1)
    await lookup.close()
    await store.close()

asyncio.run(main(sys.argv[1]))
print(*(name for name in ("asyncpg", "sqlalchemy.dialects.postgresql", "alembic") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program, sqlite_url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# PostgreSQL.


async def test_a_busy_database_is_waited_for_longer_than_a_silent_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "OPEN_SECONDS", 2.0)
    store, may_end = Store.open(postgres_url), asyncio.Event()

    async def work(seconds: float) -> None:
        async with store.reading() as tx:
            await tx.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    async def hold() -> None:
        async with store.reading():
            await may_end.wait()

    await asyncio.gather(*(work(0.4) for _ in range(8 * engine.POOL_SIZE)))  # the last ones wait for 2.8 seconds
    silent = [asyncio.ensure_future(hold()) for _ in range(engine.POOL_SIZE)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await work(0)
    may_end.set()
    await asyncio.gather(*silent)
    await store.close()


@pytest.mark.parametrize("database", ["nothing", "store?host=/nowhere/at/all", "@127.0.0.1:1/store"])
async def test_a_server_that_does_not_answer_is_an_unavailable_store(
    postgres_server: postgres.Server, database: str
) -> None:
    url = postgres_server.url_of(database) if database == "nothing" else f"postgresql://u@/{database}"
    store = Store.open(url if "@127" not in database else f"postgresql://u{database}")
    with pytest.raises(StoreUnavailable):
        async with store.reading():
            pass
    await store.close()


async def test_a_connection_that_the_server_closed_is_replaced(
    postgres_url: str, postgres_server: postgres.Server
) -> None:
    store = Store.open(postgres_url)
    await add_person(store)
    await end_connections(postgres_server, postgres_url)
    async with store.reading() as tx:
        assert len(await rows.list_all(tx)) == 1
    await store.close()


async def test_a_connection_lost_half_way_is_an_unavailable_store_and_changes_nothing(
    postgres_url: str, postgres_server: postgres.Server
) -> None:
    store = Store.open(postgres_url)
    with pytest.raises(StoreUnavailable):
        async with store.transaction() as tx:
            await rows.add(tx, person())
            await end_connections(postgres_server, postgres_url)
            await rows.add(tx, person("bob@example.com"))
    async with store.reading() as tx:
        assert await rows.list_all(tx) == []
    await store.close()


async def end_connections(server: postgres.Server, url: str) -> None:
    """End everybody's connections to the database of `url`, as a server that restarts does."""
    import asyncpg

    database = url.rpartition("/" if "?" not in url else "?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(server.url_of("postgres"))
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", database
    )
    await connection.close()
