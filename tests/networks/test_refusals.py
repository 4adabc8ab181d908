"""Requests that are refused because of their network: what is written, and how much of it one account can cause."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from sqlalchemy import text

from gateway.accounts import rows as account_rows
from gateway.model.session import Session
from gateway.networks import rows
from gateway.networks.refusals import MAX_ADDRESSES, NetworkRefusals
from gateway.store import Store, StoreUnavailable
from tests.store.people import NOW, Watched, add_person, add_session, look, person, worker
from tests.support.actions import actions_of
from tests.tokens.held import add_token
from tests.tokens.test_uses import Away, count, request_from

INBOUND = request_from("192.0.2.1")


async def session_of(store: Store, store_url: str, *, is_token: bool = False) -> Session:
    if is_token:
        _, key, account = await add_token(store)
    else:
        account = await add_person(store)
        _, key = await add_session(store, account)
    async with store.transaction() as tx:
        await rows.set_of_account(tx, account.id, "10.0.0.0/8")
    async with worker(store_url) as lookup:
        session = await look(lookup, key)
    assert session is not None
    return session


async def test_a_flood_is_one_row_a_minute_and_a_count(store_url: str) -> None:
    store = Watched.open(store_url)
    session, refusals = await session_of(store, store_url), NetworkRefusals(actions_of(store))
    begun = store.begun
    for at in range(3):
        for _ in range(1_000):
            refusals.note(session, request_from("192.0.2.1"), NOW + at)
        await refusals.flush()
    assert store.begun - begun == 3
    assert await count(store, "SELECT count(*) FROM audit") == 1
    assert await count(store, "SELECT sum(times) FROM audit_counts WHERE entry <> ''") == 2
    await store.close()


async def test_a_row_says_which_list_refused_which_address(store: Store, store_url: str) -> None:
    session, refusals = await session_of(store, store_url), NetworkRefusals(actions_of(store))
    refusals.note(session, request_from("192.0.2.1"), NOW)
    await refusals.flush()
    async with store.reading() as tx:
        row = (await tx.execute(text("SELECT address, session, outcome, details, personal FROM audit"))).one()
    told = {**json.loads(row.details), **json.loads(row.personal or "{}")}
    assert (row.address, row.session, row.outcome) == ("192.0.2.1", session.id, "failure")
    assert told["where"] == "request"
    assert told["rule"] == "in none of the networks of the account, set by its owner"


async def test_those_of_tokens_are_written_with_their_uses(store: Store, store_url: str) -> None:
    session, refusals = await session_of(store, store_url, is_token=True), NetworkRefusals(actions_of(store))
    before = await count(store, "SELECT count(*) FROM audit")
    refusals.note(session, request_from("192.0.2.1"), NOW)
    await refusals.flush()
    assert await count(store, "SELECT count(*) FROM audit") == before


async def test_what_the_store_did_not_take_waits_for_it(store: Store, store_url: str) -> None:
    session = await session_of(store, store_url)
    away = Away.open(store_url)
    assert isinstance(away, Away)
    refusals = NetworkRefusals(actions_of(away))
    refusals.note(session, request_from("192.0.2.1"), NOW)
    with pytest.raises(StoreUnavailable):
        await refusals.flush()
    away.is_away = False
    await refusals.flush()
    assert await count(store, "SELECT count(*) FROM audit") == 1
    await away.close()


async def test_a_flood_from_ever_new_networks_is_bounded_and_hides_no_other_account(store_url: str) -> None:
    store = Watched.open(store_url)
    session, refusals = await session_of(store, store_url), NetworkRefusals(actions_of(store))
    for number in range(11_000):
        address = str(IPv6Address((0x20010DB8 << 96) + (number << 64)))
        refusals.note(session, INBOUND._replace(address=address), NOW)
    async with store.transaction() as tx:
        await account_rows.add(tx, person("olga@acme.example"))
        olga = await account_rows.find_by_identifier(tx, "olga@acme.example")
    assert olga is not None
    refusals.note(replace(session, account=olga.id), INBOUND._replace(address="192.0.2.1"), NOW)
    begun = store.begun
    await refusals.flush()
    assert store.begun - begun == MAX_ADDRESSES + 1
    assert await count(store, "SELECT count(*) FROM audit WHERE identifier = 'olga@acme.example'") == 1
    await store.close()
