"""Sessions and tokens know their networks, and forget the former ones with the commit that changes them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gateway.model.account import Account, Role
from gateway.networks import rows
from gateway.store import Store
from tests.store.people import add_person, add_session, look, person, worker
from tests.store.test_revision import read
from tests.tokens.held import add_token

OTHER = "beta"


def lists_of(session: object) -> list[str]:
    found = getattr(session, "networks", None)
    return [str(entry) for _, ranges in found.lists for entry in ranges] if found else []


async def change(store: Store, account: Account, *, tenant: str | None = None, own: str | None = None) -> None:
    async with store.transaction() as tx:
        if tenant is not None:
            await rows.set_of_tenant(tx, account.tenant, tenant)
        if own is not None:
            await rows.set_of_account(tx, account.id, own)


@pytest.mark.parametrize("is_token", [False, True], ids=["session", "token"])
async def test_a_change_is_met_by_the_next_request(store: Store, store_url: str, is_token: bool) -> None:
    if is_token:
        _, key, account = await add_token(store)
    else:
        account = await add_person(store)
        _, key = await add_session(store, account)
    async with worker(store_url) as one, worker(store_url) as other:
        for lookup in (one, other):
            found = await look(lookup, key)
            assert found is not None
            assert found.networks is None
        await change(store, account, tenant="10.0.0.0/8 Office\n[admin]\n10.1.0.0/16")
        assert [lists_of(await look(lookup, key)) for lookup in (one, other)] == [["10.0.0.0/8 Office"]] * 2
        await change(store, account, own="10.2.0.0/16\n[administrator]\n10.3.0.0/16")
        every = ["10.0.0.0/8 Office", "10.3.0.0/16", "10.2.0.0/16"]
        assert [lists_of(await look(lookup, key)) for lookup in (one, other)] == [every] * 2
        await change(store, account, tenant="", own="")
        assert [lists_of(await look(lookup, key)) for lookup in (one, other)] == [[]] * 2


async def test_owners_meet_their_own_list_only(store: Store, store_url: str) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    await change(store, account, tenant="10.0.0.0/8", own="192.0.2.0/24\n[administrator]\n10.3.0.0/16")
    async with worker(store_url, account.identifier) as lookup:
        assert lists_of(await look(lookup, key)) == ["192.0.2.0/24"]


async def test_a_tokens_networks_are_those_of_its_accounts_role(store: Store, store_url: str) -> None:
    _, key, account = await add_token(store)
    async with store.transaction() as tx:
        await tx.execute(text("UPDATE api_tokens SET role = 'employee'"))
    await change(store, account, tenant="10.0.0.0/8\n[employee]\n0.0.0.0/0\n[manager]\n10.1.0.0/16")
    assert account.role is Role.MANAGER
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
        assert found is not None
        assert found.role is Role.EMPLOYEE
        assert lists_of(found) == ["10.1.0.0/16"]


async def test_one_tenants_networks_are_not_another_ones(store: Store, store_url: str) -> None:
    ours, theirs = await add_person(store), await add_person(store, person("bob@beta.example", tenant=OTHER))
    _, key = await add_session(store, theirs)
    await change(store, ours, tenant="10.0.0.0/8", own="10.0.0.1")
    async with worker(store_url) as lookup:
        assert lists_of(await look(lookup, key)) == []


async def test_the_revision_says_whose_networks_changed_and_only_if_they_did(store: Store) -> None:
    account = await add_person(store)
    before, _ = await read(store)
    await change(store, account, tenant="10.0.0.0/8")
    await change(store, account, own="10.0.0.1")
    await change(store, account, tenant="10.0.0.0/8", own="10.0.0.1")
    after, found = await read(store)
    assert after == before + 2
    assert found == [("", "acme"), (account.id, "")]
    async with store.reading() as tx:
        assert (await tx.execute(text("SELECT networks FROM tenants"))).scalars().all() == ["10.0.0.0/8"]
