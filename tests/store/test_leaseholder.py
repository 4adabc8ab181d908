"""A worker's lease on a real PostgreSQL: what it answers from memory, when it must ask, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.model.session import Session
from gateway.sessions import leaseholder
from gateway.sessions import rows as session_rows
from gateway.sessions.lookup import Lookup, Pending
from gateway.store import Store, StoreUnavailable
from gateway.store.confirm import Confirmed, confirm
from gateway.store.lease import Terms
from gateway.store.location import PostgreSQL
from gateway.store.nodes import list_states
from gateway.store.postgresql import connect
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support import forks, postgres
from tests.support.pooler import pooling

Known = tuple[Store, str, bytes]


@pytest.fixture
async def known(postgres_url: str) -> AsyncIterator[Known]:
    """Yield a store, and the id and the key of a session in it."""
    store = Store.open(postgres_url)
    session, key = await add_session(store, await add_person(store))
    yield store, session, key
    await store.close()


async def end(store: Store, session: str) -> Confirmed:
    """End a session; return what was told when it was refused everywhere."""
    told: list[Confirmed] = []
    store.tell_confirmed = told.append
    async with store.transaction() as tx:
        assert await session_rows.end(tx, session, NOW)
    (confirmed,) = told
    return confirmed


async def write(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def nodes(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch("SELECT * FROM nodes ORDER BY joined_at")
    await connection.close()
    return list(found)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not holds():
            await asyncio.sleep(0.01)


async def remember(lookup: Lookup, key: bytes) -> None:
    """Look for a session until it is answered from memory."""
    async with asyncio.timeout(300):
        while not isinstance(lookup.find(key, NOW), Session):
            assert await look(lookup, key) is not None


@pytest.mark.usefixtures("long_leases")
async def test_what_is_known_is_answered_without_a_query_until_it_is_ended(known: Known, postgres_url: str) -> None:
    store, session, key = known
    async with worker(postgres_url) as one, worker(postgres_url) as two:
        for lookup in (one, two):
            await remember(lookup, key)
        confirmed = await end(store, session)
        assert [lookup.find(key, NOW) for lookup in (one, two)] == [Pending.ASK] * 2
        assert (confirmed.lapsed, confirmed.reason) == ((), "")
        assert [await look(lookup, key) for lookup in (one, two)] == [None, None]
        assert len(await nodes(postgres_url)) == 2
    assert await nodes(postgres_url) == []


@pytest.mark.usefixtures("long_leases")
async def test_a_worker_that_forgets_everything_is_not_waited_for(known: Known, postgres_url: str) -> None:
    store, session, key = known
    async with worker(postgres_url) as lookup:
        await remember(lookup, key)
        await write(postgres_url, "UPDATE changes SET stamp = 'another'")
        assert (await end(store, session)).lapsed == ()


@pytest.mark.usefixtures("long_leases")
async def test_without_notifications_a_worker_learns_of_it_at_its_next_renewal(known: Known, postgres_url: str) -> None:
    store, session, key = known
    elsewhere = urlsplit(postgres_url)._replace(path="/postgres").geturl()
    async with worker(postgres_url, direct_url=elsewhere) as lookup:
        await remember(lookup, key)
        confirmed = await end(store, session)
        assert lookup.find(key, NOW) is Pending.ASK
        assert confirmed.lapsed == ()


HARM = {
    "its row is gone": "DELETE FROM nodes",
    "it was given up": "UPDATE nodes SET is_lapsed = true",
    "the store has another history": "UPDATE changes SET stamp = 'another'",
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
async def test_a_worker_joins_again_and_knows_nothing_when(known: Known, postgres_url: str, harm: str) -> None:
    _, _, key = known
    async with worker(postgres_url) as lookup:
        await remember(lookup, key)
        (before,) = await nodes(postgres_url)
        await write(postgres_url, harm)
        await until(lambda: lookup.find(key, NOW) is Pending.ASK)
        await write(postgres_url, "UPDATE changes SET stamp = (SELECT stamp FROM revision)")
        await remember(lookup, key)
        assert before["id"] != (await nodes(postgres_url))[-1]["id"]


async def test_a_lease_ends_by_itself_when_the_database_is_away(known: Known, postgres_url: str) -> None:
    _, _, key = known
    async with worker(postgres_url) as lookup:
        await remember(lookup, key)
        await write(postgres_url, "ALTER TABLE nodes RENAME TO hidden")
        await until(lambda: lookup.find(key, NOW) is Pending.ASK)
        await write(postgres_url, "ALTER TABLE hidden RENAME TO nodes")
        await until(
            lambda: isinstance(lookup.find(key, NOW), Session)
        )  # it has forgotten nothing: its row is still there


async def test_a_node_that_is_gone_is_forgotten_and_one_that_is_there_is_not(
    known: Known, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaseholder, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(leaseholder, "GONE_SECONDS", 1.0)
    async with worker(postgres_url):
        (own,) = await nodes(postgres_url)
        await write(
            postgres_url,
            "INSERT INTO nodes SELECT 'gone', host, pid, version, applied, 'x', false, joined_at, renewed_at FROM nodes",
        )
        async with asyncio.timeout(300):
            while len(found := await nodes(postgres_url)) > 1:
                await asyncio.sleep(0.05)
        assert [node["id"] for node in found] == [own["id"]]


async def test_a_confirmation_that_can_not_ask_waits_until_all_leases_have_ended(
    known: Known, postgres_url: str
) -> None:
    connection = await connect(PostgreSQL(postgres_url))
    await connection.close()
    confirmed = await confirm(connection, 2)
    assert confirmed.reason
    assert confirmed.seconds >= 1.2


WORKER = """
import asyncio, sys
from tests.store.people import NOW, look, worker

async def main(url, key):
    async with worker(url) as lookup:
        while True:
            await asyncio.to_thread(sys.stdin.readline)
            await look(lookup, key)
            print(type(lookup.find(key, NOW)).__name__, flush=True)

asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2])))
"""


@contextlib.asynccontextmanager
async def worker_process(url: str, key: bytes) -> AsyncIterator[forks.Program]:
    """Start a worker that has the session in its memory. Asked, it says what it finds there, and looks once more."""
    with forks.program(WORKER, url, key.hex()) as process:
        while await asyncio.to_thread(process.ask) != "Session":
            pass
        yield process


@pytest.mark.parametrize("stop", [signal.SIGSTOP, signal.SIGKILL])
async def test_who_does_not_answer_is_waited_for_once_and_only_until_its_lease_has_ended(
    known: Known, postgres_url: str, stop: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, session, key = known
    async with asyncio.timeout(300), worker_process(postgres_url, key) as process:
        os.kill(process.pid, stop)
        (node,) = await nodes(postgres_url)
        first = await end(store, session)
        assert first.lapsed == (node["id"],)
        account = await add_person(store, person("bob@example.com"))
        other, _ = await add_session(store, account)
        monkeypatch.setattr("gateway.store.confirm.TERMS", Terms(seconds=200, margin=0.2))  # if it were waited for
        second = await end(store, other)
        assert second.lapsed == ()
        assert second.seconds < 200
        if stop is signal.SIGSTOP:
            os.kill(process.pid, signal.SIGCONT)
            assert await asyncio.to_thread(process.ask) == "Pending"


async def test_a_database_that_is_frozen_is_waited_for_no_longer_than_a_request_may(
    known: Known, postgres_url: str, postgres_server: postgres.Server
) -> None:
    store, session, key = known
    async with asyncio.timeout(300), worker(postgres_url) as lookup:
        await look(lookup, key)
        postgres_server.send(signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                while True:  # until the lease has ended
                    await look(lookup, key)
                    await asyncio.sleep(0.05)
        finally:
            postgres_server.send(signal.SIGCONT)
        while True:
            with contextlib.suppress(StoreUnavailable):
                assert await look(lookup, key) is not None
                break
    assert (await end(store, session)).lapsed == ()


@pytest.mark.usefixtures("long_leases")
@pytest.mark.parametrize("listens", [True, False], ids=["listening past it", "polling"])
async def test_a_lease_is_held_through_a_pooler(
    known: Known, postgres_server: postgres.Server, postgres_url: str, listens: bool
) -> None:
    _, session, key = known
    with pooling(postgres_server) as pooler:
        url = pooler.url_of(urlsplit(postgres_url).path.removeprefix("/"))
        store = Store.open(url)
        async with worker(url, direct_url=postgres_url if listens else "") as lookup:
            await remember(lookup, key)
            assert (await end(store, session)).lapsed == ()
            assert lookup.find(key, NOW) is Pending.ASK
            assert await look(lookup, key) is None
        await store.close()


async def test_who_finds_a_session_ended_waits_like_the_one_that_ended_it(
    known: Known, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told that it is signed out, and a node that hangs may still answer for it."""
    monkeypatch.setattr("gateway.store.confirm.TERMS", Terms(seconds=5, margin=0.2))  # for the second one to come
    store, session, key = known
    second = Store.open(postgres_url)
    await add_person(second, person("bob@example.com"))
    async with asyncio.timeout(300), worker_process(postgres_url, key) as process:
        os.kill(process.pid, signal.SIGSTOP)
        first = asyncio.create_task(end(store, session))
        connection = await asyncpg.connect(postgres_url)
        while await connection.fetchval("SELECT ended_at FROM sessions") is None:
            await asyncio.sleep(0)
        await connection.close()
        assert not first.done()
        told: list[Confirmed] = []
        second.tell_confirmed = told.append
        async with second.transaction() as tx:
            assert not await session_rows.end(tx, session, NOW)
        assert len(told) == 1
        async with second.reading() as tx:
            assert [node.is_lapsed for node in await list_states(tx)] == [True]
        await first
        os.kill(process.pid, signal.SIGCONT)
        assert await asyncio.to_thread(process.ask) == "Pending"
    await second.close()
