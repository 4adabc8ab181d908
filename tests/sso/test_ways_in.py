"""What an account signs in with, in the store, on both engines: a password, a provider, or nothing yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.accounts import directory
from gateway.accounts import rows as account_rows
from gateway.accounts.directory import Wanted
from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Factors, Way
from gateway.factors.password.factor import PasswordFactor
from gateway.model.account import Account, Role, State, Status
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.sso import rows
from gateway.sso.factor import SSO, ProviderFactor
from gateway.sso.oidc.record import Kind, Provider
from gateway.sso.rows import Registered
from gateway.store import Store
from tests.store.people import NOW, add_person, person

SEALER = Sealer((Secret(bytes(range(48))),))
ISSUER = "https://id.acme.example"
FACTORS = Factors((PasswordFactor(), ProviderFactor(SEALER, "/left/", is_on=True)))


async def add_provider(store: Store, tenant: str = "acme", *, is_enabled: bool = True) -> Registered:
    provider = Provider(
        f"idp_{tenant}", tenant, ISSUER, "gateway", Secret("s"), Kind.GENERIC, ("openid",), is_enabled=is_enabled
    )
    registered = Registered(provider)
    async with store.transaction() as tx:
        await account_rows.add_tenant(tx, tenant, tenant)
        await rows.put_provider(tx, SEALER, registered, NOW)
    return registered


async def link(store: Store, account: Account, subject: str = "ann", provider: str = "idp_acme") -> None:
    async with store.transaction() as tx:
        assert await rows.add_link(tx, provider, subject, account.id, NOW)


async def state_of(store: Store, account: Account, factors: Factors = FACTORS) -> State:
    async with store.reading() as tx:
        member = await directory.find_member(tx, None, account.id, factors.has_way_in)
    assert member is not None
    return member.state


async def test_somebody_whom_a_provider_signs_in_is_not_merely_invited(store: Store) -> None:
    await add_provider(store)
    ann = await add_person(store, person(password_hash=None))
    assert await state_of(store, ann) is State.INVITED
    await link(store, ann)
    assert await state_of(store, ann) is State.ACTIVE
    async with store.reading() as tx:
        assert await FACTORS.list_ways(tx, ann.id) == [Way(SSO, ISSUER)]
        assert await FACTORS.signs_in(tx, ann.id)
        wanted = Wanted(state=State.ACTIVE)
        assert len((await directory.find_page(tx, "acme", wanted, NOW, FACTORS.has_way_in))[0]) == 1
        wanted = Wanted(state=State.INVITED)
        assert (await directory.find_page(tx, "acme", wanted, NOW, FACTORS.has_way_in))[0] == []


async def test_with_a_password_both_are_listed(store: Store) -> None:
    await add_provider(store)
    ann = await add_person(store)
    await link(store, ann)
    async with store.reading() as tx:
        assert await FACTORS.list_ways(tx, ann.id) == [Way(Factor.PASSWORD), Way(SSO, ISSUER)]


async def test_a_link_is_no_way_in_while_the_provider_or_all_of_them_are_off(store: Store) -> None:
    await add_provider(store, is_enabled=False)
    ann = await add_person(store, person(password_hash=None))
    await link(store, ann)
    assert await state_of(store, ann) is State.INVITED
    await add_provider(store)
    assert await state_of(store, ann) is State.ACTIVE
    without = Factors((PasswordFactor(), ProviderFactor(SEALER, "/left/", is_on=False)))
    assert await state_of(store, ann, without) is State.INVITED


async def test_the_provider_of_another_tenant_is_no_way_in(store: Store) -> None:
    await add_provider(store, "beta")
    ann = await add_person(store, person(password_hash=None))
    await link(store, ann, provider="idp_beta")
    assert await state_of(store, ann) is State.INVITED


async def test_a_disabled_account_stays_disabled_whatever_it_signs_in_with(store: Store) -> None:
    await add_provider(store)
    ann = await add_person(store, person(password_hash=None, status=Status.DISABLED))
    await link(store, ann)
    assert await state_of(store, ann) is State.DISABLED


@pytest.mark.parametrize(("is_linked", "count"), [(False, 0), (True, 1)])
async def test_an_administrator_counts_with_any_way_in(store: Store, is_linked: bool, count: int) -> None:
    await add_provider(store)
    ann = await add_person(store, person(role=Role.ADMIN, password_hash=None))
    if is_linked:
        await link(store, ann)
    async with store.reading() as tx:
        found = await account_rows.count_admins(tx, "acme", but="somebody", has_way_in=FACTORS.has_way_in)
    assert found == count


async def test_a_connection_is_found_and_removed_with_its_account_only(store: Store) -> None:
    await add_provider(store)
    ann, bob = await add_person(store), await add_person(store, person("bob@acme.example"))
    await link(store, ann)
    await link(store, bob, "bob")
    async with store.transaction() as tx:
        connection = await rows.find_connection(tx, ann.id)
        assert connection == rows.Connection(ISSUER, is_enabled=True, created_at=NOW, used_at=None)
        assert await rows.remove_links_of(tx, ann.id)
        assert not await rows.remove_links_of(tx, ann.id)
        assert await rows.find_connection(tx, ann.id) is None
        assert await rows.find_connection(tx, bob.id) == replace(connection)
