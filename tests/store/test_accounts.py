"""Accounts in the store, on both engines."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher
from werkzeug.security import generate_password_hash

from gateway.accounts import rows
from gateway.crypto.hashes import method_of
from gateway.model.account import Role, Status
from gateway.model.secret import Secret
from gateway.store import Store
from tests.store.people import add_person, person


async def test_an_account_is_read_back_as_it_was_added(store: Store) -> None:
    account = await add_person(store)
    async with store.reading() as tx:
        assert await rows.find(tx, account.id) == account
        assert await rows.find_by_identifier(tx, account.identifier) == account


async def test_an_account_may_have_neither_password_nor_modules(store: Store) -> None:
    account = await add_person(store, person(password_hash=None, modules=frozenset()))
    async with store.reading() as tx:
        assert await rows.find(tx, account.id) == account


async def test_an_unknown_account_is_none(store: Store) -> None:
    async with store.reading() as tx:
        assert await rows.find(tx, "acc_nobody") is None
        assert await rows.find_by_identifier(tx, "nobody@example.com") is None


async def test_an_identifier_is_taken_once_and_the_first_account_stays(store: Store) -> None:
    first = await add_person(store)
    async with store.transaction() as tx:
        assert not await rows.add(tx, person(first.identifier, name="Somebody Else"))
    async with store.reading() as tx:
        assert await rows.list_all(tx) == [first]


@pytest.mark.usefixtures("unhurried")
async def test_of_many_who_take_an_identifier_at_once_exactly_one_gets_it(store: Store) -> None:
    async def take() -> bool:
        async with store.transaction() as tx:
            return await rows.add(tx, person())

    assert sum(await asyncio.gather(*(take() for _ in range(20)))) == 1


async def test_accounts_are_listed_by_tenant_and_email(store: Store) -> None:
    for identifier, tenant in (("b@x.de", "zeta"), ("c@x.de", "acme"), ("a@x.de", "acme")):
        await add_person(store, person(identifier, tenant=tenant))
    async with store.reading() as tx:
        assert [account.identifier for account in await rows.list_all(tx)] == ["a@x.de", "c@x.de", "b@x.de"]
        assert [account.identifier for account in await rows.list_all(tx, "zeta")] == ["b@x.de"]


async def test_a_hash_replaces_only_the_one_it_was_made_for(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        assert not await rows.set_password_hash(tx, account.id, Secret("new"), replacing=Secret("another"))
        assert await rows.set_password_hash(tx, account.id, Secret("new"), replacing=account.password_hash)
        assert not await rows.set_password_hash(tx, account.id, Secret("newer"), replacing=account.password_hash)
    async with store.reading() as tx:
        found = await rows.find(tx, account.id)
    assert found is not None
    assert found.password_hash == Secret("new")


async def test_a_hash_is_set_for_known_accounts_only(store: Store) -> None:
    async with store.transaction() as tx:
        assert not await rows.set_password_hash(tx, "acc_nobody", Secret("new"))


async def test_a_status_that_is_set_already_is_no_change(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        assert not await rows.set_status(tx, account.id, Status.ACTIVE)
        assert await rows.set_status(tx, account.id, Status.DISABLED)
        assert not await rows.set_status(tx, account.id, Status.DISABLED)
        assert not await rows.set_status(tx, "acc_nobody", Status.DISABLED)


async def test_a_role_is_changed(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        await rows.set_role(tx, account.id, Role.ADMIN, account.modules)
        found = await rows.find(tx, account.id)
    assert found is not None
    assert found.role is Role.ADMIN


async def test_a_tenant_is_active_until_it_is_suspended(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        assert await rows.is_tenant_active(tx, account.tenant)
        assert await rows.set_tenant_status(tx, account.tenant, is_active=False)
        assert not await rows.is_tenant_active(tx, account.tenant)
        assert not await rows.is_tenant_active(tx, "unknown")


async def test_a_locked_account_is_not_changed_by_others_until_the_end(store: Store) -> None:
    account = await add_person(store)
    order: list[str] = []

    async def disable() -> None:
        async with store.transaction() as tx:
            await rows.set_status(tx, account.id, Status.DISABLED)
            order.append("disabled")

    async with store.transaction() as tx:
        await rows.find(tx, account.id, lock=True)
        other = asyncio.create_task(disable())
        # Long enough for the other one to get through, if nothing held it back.
        for _ in range(20):
            await rows.find(tx, account.id)
        order.append("read")
    await other
    assert order == ["read", "disabled"]


def test_account_ids_do_not_repeat() -> None:
    assert len({rows.new_account_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(("column", "value"), [("role", "king"), ("status", "gone")])
async def test_the_database_itself_refuses_unknown_words(store: Store, column: str, value: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    await add_person(store)
    with pytest.raises(IntegrityError):
        async with store.transaction() as tx:
            await tx.execute(text(f"UPDATE accounts SET {column} = :value"), {"value": value})


async def test_the_methods_of_stored_hashes_are_listed_without_salt_and_digest(store: Store) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    stored = [
        *(generate_password_hash("", f"pbkdf2:sha256:{rounds}") for rounds in (1, 1, 2)),
        generate_password_hash("", "pbkdf2:sha512:3"),
        generate_password_hash("", "scrypt:1024:8:1"),
        *(cheap.hash("") for _ in range(3)),
    ]
    for n, text in enumerate(stored):
        await add_person(store, person(f"p{n}@acme.example", password_hash=Secret(text)))
    await add_person(store, person("invited@acme.example", password_hash=None))
    gone = Secret("pbkdf2:sha1:9$salt$00")
    await add_person(store, person("gone@acme.example", status=Status.DISABLED, password_hash=gone))
    async with store.reading() as tx:
        assert sorted(await rows.list_hash_methods(tx)) == sorted({method_of(text) for text in stored})
