"""The session behind a cookie, on both engines: what was ended, by whomever, is not found by the next request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.accounts import rows as account_rows
from gateway.model.account import Account, Role, Status
from gateway.model.factor_policy import FactorPolicy
from gateway.sessions import rows as session_rows
from gateway.sessions.live import open_lookup
from gateway.sessions.lookup import Lookup, Pending
from gateway.store import Store, StoreUnavailable, Transaction
from tests.store.people import LIFETIMES, NOW, add_person, add_session, look, person, worker
from tests.support.forks import program

Change = Callable[[Transaction, Account, str], Awaitable[object]]


@pytest.fixture
async def lookup(store_url: str) -> AsyncIterator[Lookup]:
    async with worker(store_url) as lookup:
        yield lookup


# What is found.


async def test_a_session_is_found_with_what_its_account_is(store: Store, lookup: Lookup) -> None:
    account = await add_person(store)
    session_id, key = await add_session(store, account)
    found = await look(lookup, key)
    assert found is not None
    assert (found.id, found.account, found.identifier) == (session_id, account.id, account.identifier)
    assert (found.name, found.tenant, found.role, found.modules) == (
        "Ann Example",
        "acme",
        Role.MANAGER,
        account.modules,
    )
    assert [(proof.factor, proof.at) for proof in found.proofs] == [("password", NOW)]
    assert (found.started_at, found.seen_at, found.is_owner) == (NOW, NOW, False)


async def test_an_unknown_cookie_is_nobody_until_its_session_is_opened(store: Store, lookup: Lookup) -> None:
    account = await add_person(store)
    key = b"k" * 32
    assert await look(lookup, key) is None
    async with store.transaction() as tx:
        await session_rows.add(tx, token_key=key, account_id=account.id, proofs=(), address="", user_agent="", now=NOW)
    assert await look(lookup, key) is not None


async def test_an_owner_is_who_is_on_the_list(store: Store, store_url: str) -> None:
    _, of_ann = await add_session(store, await add_person(store))
    _, of_bob = await add_session(store, await add_person(store, person("bob@example.com")))
    async with worker(store_url, "ann@example.com") as lookup:
        ann, bob = await look(lookup, of_ann), await look(lookup, of_bob)
    assert ann is not None
    assert bob is not None
    assert (ann.is_owner, bob.is_owner) == (True, False)


async def test_many_sessions_are_never_mixed_up(store: Store, lookup: Lookup) -> None:
    keys = {}
    for number in range(50):
        account = await add_person(store, person(f"user{number}@example.com"))
        keys[(await add_session(store, account))[1]] = account.id
    for _ in range(2):
        found = {key: await look(lookup, key) for key in keys}
        assert {key: session and session.account for key, session in found.items()} == keys


async def test_more_sessions_than_are_remembered_are_all_found_and_ended(store: Store, store_url: str) -> None:
    """Also those that are on their way out of the memory."""
    account = await add_person(store)
    sessions = [await add_session(store, account) for _ in range(12)]
    async with worker(store_url, cached=3) as lookup:
        for _ in range(2):
            assert all([await look(lookup, key) for _, key in sessions])
        for session_id, key in reversed(sessions):
            assert await look(lookup, key) is not None
            async with store.transaction() as tx:
                await session_rows.end(tx, session_id, NOW)
            assert await look(lookup, key) is None
            assert not lookup.has_in_memory(key)


@pytest.mark.usefixtures("long_leases")
async def test_a_session_is_in_memory_from_its_first_request_until_a_change(store: Store, lookup: Lookup) -> None:
    session_id, key = await add_session(store, await add_person(store))
    assert not lookup.has_in_memory(key)
    assert await look(lookup, key) is not None
    assert lookup.has_in_memory(key)
    async with store.transaction() as tx:
        await session_rows.end(tx, session_id, NOW)
    assert await look(lookup, key) is None
    assert not lookup.has_in_memory(key)


# What is no longer found, at the very next request.

CHANGES: dict[str, Change] = {
    "the session was ended": lambda tx, account, session: session_rows.end(tx, session, NOW),
    "all of the account's were": lambda tx, account, session: session_rows.end_all(tx, account.id, NOW),
    "the account was disabled": lambda tx, account, session: account_rows.set_status(tx, account.id, Status.DISABLED),
    "its tenant was suspended": lambda tx, account, session: account_rows.set_tenant_status(
        tx, account.tenant, is_active=False
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_the_next_request_is_refused_when(store: Store, lookup: Lookup, change: Change) -> None:
    account = await add_person(store)
    session_id, key = await add_session(store, account)
    assert await look(lookup, key) is not None
    async with store.transaction() as tx:
        await change(tx, account, session_id)
    assert await look(lookup, key) is None


async def test_every_worker_refuses_the_next_request(store: Store, store_url: str) -> None:
    session_id, key = await add_session(store, await add_person(store))
    async with worker(store_url) as one, worker(store_url) as two, worker(store_url) as three:
        lookups = (one, two, three)
        assert all([await look(lookup, key) for lookup in lookups])
        async with store.transaction() as tx:
            await session_rows.end(tx, session_id, NOW)
        assert [await look(lookup, key) for lookup in lookups] == [None, None, None]


async def test_a_changed_role_holds_at_the_next_request(store: Store, lookup: Lookup) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    before = await look(lookup, key)
    async with store.transaction() as tx:
        await account_rows.set_role(tx, account.id, Role.ADMIN, account.modules)
    after = await look(lookup, key)
    assert before is not None
    assert after is not None
    assert (before.role, after.role) == (Role.MANAGER, Role.ADMIN)


async def test_a_person_who_is_let_in_again_is_found_again(store: Store, lookup: Lookup) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    for status, is_found in ((Status.DISABLED, False), (Status.ACTIVE, True)):
        async with store.transaction() as tx:
            await account_rows.set_status(tx, account.id, status)
        assert (await look(lookup, key) is not None) is is_found


END = """
import asyncio, sys
from gateway.sessions import rows
from gateway.store import Store

async def main(url):
    store = Store.open(url)
    for session in sys.stdin:
        async with store.transaction() as tx:
            await rows.end(tx, session.strip(), 0)
        print("ended", flush=True)
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_what_another_process_ended_is_refused_at_the_very_next_request(
    store: Store, store_url: str, lookup: Lookup
) -> None:
    account = await add_person(store)
    opened = [await add_session(store, account) for _ in range(20)]
    with program(END, store_url) as other:
        for session_id, key in opened:
            assert await look(lookup, key) is not None
            assert await asyncio.to_thread(other.ask, session_id) == "ended"
            assert await look(lookup, key) is None


# Expiry and last-seen.


@pytest.mark.parametrize(("idle", "is_found"), [(999, True), (1000, False)])
async def test_a_session_expires_after_the_idle_time(store: Store, lookup: Lookup, idle: int, is_found: bool) -> None:
    _, key = await add_session(store, await add_person(store))
    assert (await look(lookup, key, NOW + idle) is not None) is is_found


@pytest.mark.parametrize(("idle", "is_found"), [(99, True), (100, False)])
async def test_an_owners_session_expires_sooner(store: Store, store_url: str, idle: int, is_found: bool) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    async with worker(store_url, account.identifier) as lookup:
        assert (await look(lookup, key, NOW + idle) is not None) is is_found


async def test_use_keeps_a_session_alive_up_to_its_absolute_end(store: Store, lookup: Lookup) -> None:
    _, key = await add_session(store, await add_person(store))
    for now in range(NOW, NOW + 5000, 900):
        assert await look(lookup, key, now) is not None
    assert await look(lookup, key, NOW + 4999) is not None
    assert await look(lookup, key, NOW + 5000) is None


async def test_looking_is_not_using(store: Store, lookup: Lookup) -> None:
    _, key = await add_session(store, await add_person(store))
    for now in (NOW + 500, NOW + 999):
        found = lookup.find(key, now, is_use=False)
        found = await lookup.fetch(key, now, is_use=False) if isinstance(found, Pending) else found
        assert found is not None
    assert await look(lookup, key, NOW + 1000) is None


async def test_use_on_one_worker_keeps_it_alive_on_the_others(store: Store, store_url: str) -> None:
    _, key = await add_session(store, await add_person(store))
    async with worker(store_url) as one, worker(store_url) as two:
        assert await look(two, key) is not None
        assert await look(one, key, NOW + 900) is not None
        await one.flush(store)
        assert await look(two, key, NOW + 1800) is not None


async def test_a_flush_within_the_same_second_forgets_no_use(store: Store, lookup: Lookup) -> None:
    _, key = await add_session(store, await add_person(store))
    for now in (NOW, NOW + 900, NOW + 1800):
        assert await look(lookup, key, now) is not None
    await lookup.flush(store)
    assert await look(lookup, key, NOW + 1800) is not None


async def test_last_seen_is_written_once_however_often_it_is_asked(store: Store, lookup: Lookup) -> None:
    _, key = await add_session(store, await add_person(store))
    for now in (NOW + 10, NOW + 20):
        await look(lookup, key, now)
    await lookup.flush(store)
    await lookup.flush(store)
    async with store.reading() as tx:
        assert [row.seen_at for row in await session_rows.list_open(tx)] == [NOW + 20]


async def test_last_seen_that_could_not_be_written_is_written_later(
    store: Store, lookup: Lookup, tmp_path: Path
) -> None:
    _, key = await add_session(store, await add_person(store))
    await look(lookup, key, NOW + 10)
    broken = Store.open(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StoreUnavailable):
        await lookup.flush(broken)
    await broken.close()
    await lookup.flush(store)
    async with store.reading() as tx:
        assert [row.seen_at for row in await session_rows.list_open(tx)] == [NOW + 10]


# What can't be asked.


async def test_a_lookup_that_is_not_open_knows_nobody(store_url: str) -> None:
    lookup = open_lookup(store_url, FactorPolicy(), LIFETIMES)
    with pytest.raises(StoreUnavailable):
        await look(lookup, b"k" * 32)


async def test_a_store_without_tables_is_unavailable_and_not_empty(empty_url: str) -> None:
    store = Store.open(empty_url)
    async with worker(empty_url) as lookup:
        with pytest.raises(StoreUnavailable):
            await look(lookup, b"k" * 32)
    await store.close()
