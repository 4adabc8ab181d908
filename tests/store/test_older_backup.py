"""A backup is restored over a store with a later schema: what the backup doesn't know is gone, and leases work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.app.nouns import STORED
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.copying import copy_to, put_in_place, run, stage
from gateway.store.engine import READ_REVISION
from gateway.store.location import PostgreSQL, locate
from gateway.store.migrate import migrate
from gateway.store.revision import Applied
from gateway.store.unavailable import StoreUnavailable
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.store.test_rolling import step
from tests.support import postgres


async def use(url: str, identifier: str) -> Applied:
    """Sign somebody in and out, as a worker sees it; return the store's revision."""
    store = Store.open(url)
    session, key = await add_session(store, await add_person(store, person(identifier)))
    async with worker(url) as lookup:
        assert await look(lookup, key) is not None
        async with store.transaction() as tx:
            assert await session_rows.end(tx, session, NOW)
        assert await look(lookup, key) is None
    async with store.reading() as tx:
        latest = Applied(*(await tx.execute(READ_REVISION)).one())
    await store.close()
    return latest


def test_one_from_before_the_revision_begins_another_history(
    postgres_server: postgres.Server, postgres_url: str, tmp_path: Path
) -> None:
    older = postgres_server.create("older")
    asyncio.run(step(older, "0012"))
    copy_to(locate(older), tmp_path)
    postgres_server.drop("older")
    former = asyncio.run(use(postgres_url, "ann@example.com"))
    staged = stage(locate(postgres_url), tmp_path, TABLES)
    assert migrate(staged.url, version_table=staged.version_table)[0] == "0013"
    put_in_place(locate(postgres_url), "before")
    latest = asyncio.run(use(postgres_url, "ann@example.com"))
    assert (latest.number, latest.stamp != former.stamp) == (former.number, True)


TABLES = [stored.table.name for stored in STORED]
OTHERS = {
    "table": "CREATE TABLE colours (id integer PRIMARY KEY, account varchar(40) REFERENCES accounts)",
    "view": "CREATE VIEW colours AS SELECT identifier FROM accounts",
}


async def names_of(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
    return [name for (name,) in rows]


def test_a_table_of_ours_that_the_backup_does_not_know_is_in_nobodys_way(
    postgres_server: postgres.Server, postgres_url: str, tmp_path: Path
) -> None:
    """Whichever tables nouns may add: all that are declared are dropped before."""
    location, database = locate(postgres_url), urlsplit(postgres_url).path[1:]
    before = postgres_server.use(database, names_of)
    copy_to(location, tmp_path)
    postgres_server.use(database, lambda connection: connection.execute(OTHERS["table"]))
    stage(location, tmp_path, [*TABLES, "colours"])
    put_in_place(location, "before")
    assert postgres_server.use(database, names_of) == before


@pytest.mark.parametrize("kind", OTHERS)
def test_one_of_somebody_else_is_never_dropped(
    postgres_server: postgres.Server, postgres_url: str, tmp_path: Path, kind: str
) -> None:
    location, database = locate(postgres_url), urlsplit(postgres_url).path[1:]
    copy_to(location, tmp_path)
    for made in ("CREATE TABLE their_own AS SELECT 1 AS id", OTHERS[kind]):
        postgres_server.use(database, lambda connection, made=made: connection.execute(made))
    before = postgres_server.use(database, names_of)
    with pytest.raises(StoreUnavailable, match=r"cannot drop .* because other objects depend on them; .*\bcolours\b"):
        stage(location, tmp_path, TABLES)
    assert postgres_server.use(database, names_of) == before
    postgres_server.use(database, lambda connection: connection.execute(f"DROP {kind} colours"))
    stage(location, tmp_path, TABLES)
    put_in_place(location, "before")
    assert postgres_server.use(database, names_of) == [name for name in before if not name.startswith("colours")]


def test_the_error_of_a_client_program_is_told_and_not_the_notice_before_it(postgres_url: str) -> None:
    location = locate(postgres_url)
    assert isinstance(location, PostgreSQL)
    commands = ("--command=DROP TABLE IF EXISTS nothing", "--command=SELECT 1/0")
    with pytest.raises(StoreUnavailable) as raised:
        run(location, "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *commands, "--dbname")
    assert str(raised.value) == "psql: ERROR:  division by zero"
