"""A backup from before the revision (migration 0013) is restored over a store that has it: leases work afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.copying import copy_to, put_in_place, stage
from gateway.store.engine import READ_REVISION
from gateway.store.location import locate
from gateway.store.migrate import migrate
from gateway.store.revision import Applied
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


def test_it_begins_another_history(postgres_server: postgres.Server, postgres_url: str, tmp_path: Path) -> None:
    older = postgres_server.create("older")
    asyncio.run(step(older, "0012"))
    copy_to(locate(older), tmp_path)
    postgres_server.drop("older")
    former = asyncio.run(use(postgres_url, "ann@example.com"))
    staged = stage(locate(postgres_url), tmp_path)
    assert migrate(staged.url, version_table=staged.version_table)[0] == "0013"
    put_in_place(locate(postgres_url), "before")
    latest = asyncio.run(use(postgres_url, "ann@example.com"))
    assert (latest.number, latest.stamp != former.stamp) == (former.number, True)
