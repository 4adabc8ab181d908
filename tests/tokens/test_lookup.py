"""The session behind a token, on both engines, with and without a lease: none that has ended is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import delete, update

from gateway.model.account import Account, Role, Status
from gateway.model.api_token import NOISE
from gateway.model.factor_policy import FactorPolicy
from gateway.sessions.live import open_lookup
from gateway.sessions.lookup import Lookup
from gateway.store import Store, Transaction
from gateway.store.schema import accounts
from gateway.tokens import rows
from tests.store.people import LIFETIMES, NOW, Watched, add_person, look, person, worker
from tests.tokens.held import DAY, add_token

Change = Callable[[Transaction, Account, str], Awaitable[object]]
OLD_NAME = b"ann@example.com"


@pytest.fixture(params=["leased", "strict"])
async def lookup(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[Lookup]:
    if request.param == "leased":
        async with worker(store_url) as lookup:
            yield lookup
        return
    lookup = open_lookup(store_url, FactorPolicy(frozenset()), LIFETIMES, is_strict=True)
    await lookup.start()
    yield lookup
    await lookup.close()


async def test_a_token_is_its_account_and_lacks_a_person(store: Store, lookup: Lookup) -> None:
    token, key, account = await add_token(store)
    for _ in range(2):
        found = await look(lookup, key)
        assert found is not None
        assert (found.id, found.account, found.tenant, found.role) == (token, account.id, "acme", Role.MANAGER)
        assert found.missing is not None
        assert found.grant is not None
    assert await look(lookup, key[:33] + b"bob@example.com") is None
    assert await look(lookup, NOISE) is None
    assert await look(lookup, key[1:33]) is None  # its digest is no cookie's


def set_account(**values: str) -> Change:
    return lambda tx, account, token: tx.execute(update(accounts).where(accounts.c.id == account.id).values(**values))


ENDS: dict[str, Change] = {
    "revoked": lambda tx, account, token: rows.revoke(tx, token, NOW),
    "all revoked": lambda tx, account, token: rows.revoke_all(tx, account.id, NOW),
    "deleted": lambda tx, account, token: tx.execute(delete(rows.api_tokens)),
    "disabled": set_account(status=Status.DISABLED.value),
}


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
async def test_what_ends_it_ends_it_at_once(store: Store, lookup: Lookup, change: Change) -> None:
    token, key, account = await add_token(store)
    named = key + OLD_NAME
    assert await look(lookup, key) is not None
    assert await look(lookup, named) is not None
    async with store.transaction() as tx:
        await change(tx, account, token)
    assert await look(lookup, key) is None
    assert await look(lookup, named) is None


async def test_it_expires_in_memory_too(store: Store, lookup: Lookup) -> None:
    _, key, _ = await add_token(store)
    assert await look(lookup, key, NOW + DAY - 1) is not None
    assert await look(lookup, key, NOW + DAY) is None


async def test_it_follows_its_account(store: Store, lookup: Lookup) -> None:
    """To another role, tenant and email: never with what the account had."""
    _, key, account = await add_token(store)
    await add_person(store, person("bob@example.com", tenant="beta"))
    assert await look(lookup, key) is not None
    assert await look(lookup, key + OLD_NAME) is not None
    for change in ({"role": "employee"}, {"tenant": "beta"}, {"identifier": "new@example.com"}):
        async with store.transaction() as tx:
            await set_account(**change)(tx, account, "")
        found = await look(lookup, key)
        assert found is not None
        assert {"role": found.role, "tenant": found.tenant, "identifier": found.identifier}.items() >= change.items()
    assert await look(lookup, key + OLD_NAME) is None
    assert await look(lookup, key + b"new@example.com") is not None


async def test_it_comes_back_with_its_account(store: Store, lookup: Lookup) -> None:
    _, key, account = await add_token(store)
    for status, is_found in ((Status.DISABLED, False), (Status.ACTIVE, True)):
        async with store.transaction() as tx:
            await set_account(status=status.value)(tx, account, "")
        assert (await look(lookup, key) is not None) is is_found


@pytest.mark.usefixtures("long_leases")
async def test_other_spellings_of_the_email_fill_no_memory(store: Store, store_url: str) -> None:
    _, key, _ = await add_token(store)
    async with worker(store_url) as lookup:
        spellings = [key + name.encode() for name in ("ａnn@example.com", "aｎn@example.com", "ann@example.com.")]
        for spelling in (key, key + OLD_NAME, *spellings):
            assert await look(lookup, spelling) is not None
        assert lookup.has_in_memory(key)
        assert lookup.has_in_memory(key + OLD_NAME)
        assert not any(lookup.has_in_memory(spelling) for spelling in spellings)


async def test_requests_with_tokens_write_nothing_about_sessions(store_url: str, lookup: Lookup) -> None:
    store = Watched.open(store_url)
    _, key, _ = await add_token(store)
    assert await look(lookup, key) is not None
    begun = store.begun
    await lookup.flush(store)
    assert store.begun == begun
    await store.close()
