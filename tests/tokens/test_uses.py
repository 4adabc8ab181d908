"""When and from where tokens are used: what is written, and how much of it one program can cause."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.accounts import rows as account_rows
from gateway.accounts.removal import remove
from gateway.actions.action import operator
from gateway.model.account import Role
from gateway.model.network_rule import rule_of
from gateway.model.session import Session
from gateway.store import Store, StoreUnavailable
from gateway.tokens.uses import MAX_MAILS, MAX_NETWORKS, TokenUses
from tests.edge.test_request import a_reader
from tests.store.people import NOW, Watched, look, wait_for_lock, worker
from tests.support.actions import actions_of
from tests.tokens.held import add_token


def request_from(address: str) -> Any:
    return a_reader().read(b"GET / HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: rclone", address)


async def session_of(store: Store, store_url: str) -> Session:
    _, key, _ = await add_token(store)
    async with worker(store_url) as lookup:
        session = await look(lookup, key)
    assert session is not None
    return session


async def count(store: Store, statement: str) -> int:
    async with store.reading() as tx:
        return int((await tx.execute(text(statement))).scalar_one())


async def test_a_program_from_ever_new_networks_causes_few_writes_and_fewer_mails(store_url: str) -> None:
    store = Watched.open(store_url)
    session = await session_of(store, store_url)
    uses = TokenUses(actions_of(store))
    for number in range(3 * MAX_NETWORKS):
        uses.note(session, request_from(str(IPv6Address((0x20010DB8 << 96) + (number << 64) + 1))), NOW)
    begun = store.begun
    await uses.flush()
    assert store.begun - begun <= MAX_NETWORKS + 1
    assert await count(store, "SELECT count(*) FROM outbox") == MAX_MAILS
    assert await count(store, "SELECT count(*) FROM api_token_networks") == MAX_NETWORKS
    await store.close()


async def test_the_first_use_from_a_network_is_mailed_once_and_the_last_is_shown(store: Store, store_url: str) -> None:
    session = await session_of(store, store_url)
    for uses in (TokenUses(actions_of(store)), TokenUses(actions_of(store))):  # two workers
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            uses.note(session, request_from(address), NOW)
        await uses.flush()
    assert await count(store, "SELECT count(*) FROM outbox") == 2
    assert await count(store, "SELECT count(*) FROM api_tokens WHERE used_at IS NOT NULL") == 1


async def test_a_use_is_written_while_the_account_is_removed_and_neither_is_undone(postgres_url: str) -> None:
    """They would wait for each other: one for the token, the other for the account that the token's network names."""
    store = Store.open(postgres_url)
    session = await session_of(store, postgres_url)
    uses = TokenUses(actions_of(store))
    uses.note(session, request_from("192.0.2.1"), NOW)
    async with actions_of(store).begin(operator("root"), NOW) as action:
        account = await account_rows.find(action.tx, session.account, lock=True)
        assert account is not None
        flushing = asyncio.create_task(uses.flush())
        await wait_for_lock(store, flushing)
        await remove(action, account)
    await flushing
    assert await count(store, "SELECT count(*) FROM accounts") == 0
    await store.close()


class Away(Store):
    is_away = True

    def transaction(self) -> Any:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().transaction()


async def test_what_the_store_did_not_take_waits_for_it(store: Store, store_url: str) -> None:
    session = await session_of(store, store_url)
    away = Away.open(store_url)
    assert isinstance(away, Away)
    uses = TokenUses(actions_of(away))
    uses.note(session, request_from("192.0.2.1"), NOW)
    with pytest.raises(StoreUnavailable):
        await uses.flush()
    away.is_away = False
    await uses.flush()
    assert await count(store, "SELECT count(*) FROM api_tokens WHERE used_from = '192.0.2.1'") == 1
    await away.close()


async def test_one_use_that_cant_be_written_holds_up_no_other(store: Store, store_url: str) -> None:
    session = await session_of(store, store_url)
    uses = TokenUses(actions_of(store))
    uses.note(session, request_from("192.0.2.1")._replace(address="x" * 100), NOW)  # PostgreSQL takes 45
    uses.note(session, request_from("192.0.2.2"), NOW + 1)
    for _ in range(2):
        with contextlib.suppress(StoreUnavailable, DBAPIError):
            await uses.flush()
    assert await count(store, "SELECT count(*) FROM api_tokens WHERE used_from = '192.0.2.2'") == 1


async def test_a_program_that_goes_on_being_refused_is_one_row_a_minute(store: Store, store_url: str) -> None:
    session = await session_of(store, store_url)
    assert session.grant is not None
    limited = replace(session, grant=replace(session.grant, methods=frozenset(("POST",))))
    uses = TokenUses(actions_of(store))
    for second in range(0, 60, 5):
        uses.note(limited, request_from("192.0.2.1"), NOW + second)
        await uses.flush()
    assert await count(store, "SELECT count(*) FROM audit WHERE event = 'token_refused'") == 1
    assert await count(store, "SELECT count(*) FROM api_tokens WHERE used_at IS NOT NULL") == 0


async def test_a_program_that_is_refused_at_ever_new_addresses_is_one_row_a_minute(store_url: str) -> None:
    store = Watched.open(store_url)
    session = await session_of(store, store_url)
    limited = replace(session, networks=rule_of("", "10.0.0.0/8", Role.EMPLOYEE, is_owner=False))
    uses, begun = TokenUses(actions_of(store)), store.begun
    for second in (0, 5):
        for number in range(300):
            uses.note(
                limited, request_from(str(IPv6Address((0x20010DB8 << 96) + second * 1_000 + number))), NOW + second
            )
        await uses.flush()
    assert store.begun - begun == 2
    assert await count(store, "SELECT count(*) FROM audit WHERE event = 'token_refused'") == 1
    await store.close()
