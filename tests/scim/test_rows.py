"""The rows of provisioning, on both engines, and the services on them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.accounts import rows as account_rows
from gateway.accounts.removal import remove_unused
from gateway.app.nouns import STORED
from gateway.model.account import Status
from gateway.model.secret import Secret
from gateway.model.token import key_of
from gateway.scim import group_rows, token, token_rows, user_rows
from gateway.scim.admission import Admission
from gateway.scim.answers import Refusal
from gateway.scim.group_rows import handles_of
from gateway.store import Store
from gateway.store.stored import Longest
from gateway.web.visit import Visit
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, person
from tests.support.actions import action_in, actions_of

DAY = 86_400


async def make_token(store: Store, tenant: str = "acme", until: int = NOW + DAY) -> Secret[str]:
    made = token.make()
    async with store.transaction() as tx:
        await account_rows.add_tenant(tx, tenant, tenant)
        await token_rows.add(tx, tenant, made, "adam@acme.example", NOW, until)
    return made


def visit(made: Secret[str], now: int = NOW) -> Visit:
    line = b"Authorization: Bearer " + made.reveal().encode()
    return Visit(inbound_of()._replace(lines=[line]), None, now)


async def test_a_token_is_good_for_its_tenant_until_it_expires_or_is_revoked(store: Store) -> None:
    made = await make_token(store)
    async with store.transaction() as tx:
        found = await token_rows.find_good(tx, key_of(made), NOW, lock=True)
        assert found is not None
        assert (found.tenant, found.hint, found.used_at) == ("acme", made.reveal()[:13], None)
        assert await token_rows.find_good(tx, key_of(made), NOW + DAY) is None
        assert await token_rows.find_good(tx, key_of(token.make()), NOW) is None
        assert not await token_rows.remove(tx, found.id, "beta")
        assert await token_rows.remove(tx, found.id, "acme")
        assert await token_rows.find_good(tx, key_of(made), NOW) is None


async def test_the_last_use_is_kept_to_the_minute(store: Store) -> None:
    made = await make_token(store)
    admission = Admission(store, actions_of(store))
    for now in (NOW + 61, NOW + 62, NOW + 30):
        await admission.admit(visit(made, now))
    async with store.reading() as tx:
        (found,) = await token_rows.list_of(tx, "acme")
    assert found.used_at == (NOW + 61) // 60 * 60


async def test_a_tenant_has_25_requests_a_second_from_all_its_workers(store: Store) -> None:
    first, second, other = await make_token(store), await make_token(store), await make_token(store, "beta")
    workers = [Admission(store, actions_of(store)) for _ in range(3)]

    async def ask(n: int) -> tuple[int, str]:
        try:
            await workers[n % 3].admit(visit((first, second)[n % 2]))
        except Refusal as refusal:
            return refusal.status, refusal.headers["Retry-After"]
        return 200, ""

    statuses = [await ask(n) for n in range(40)]
    assert statuses == [(200, "")] * 25 + [(429, "1")] * 15
    assert (await workers[0].admit(visit(other))).tenant == "beta"
    assert (await workers[0].admit(visit(first, NOW + 1))).tenant == "acme"


async def test_a_revoked_token_begins_nothing(store: Store) -> None:
    made = await make_token(store)
    admission = Admission(store, actions_of(store))
    caller = await admission.admit(visit(made))
    async with store.transaction() as tx:
        (found,) = await token_rows.list_of(tx, "acme")
        await token_rows.remove(tx, found.id, "acme")
    with pytest.raises(Refusal) as caught:
        async with admission.begin(caller):
            pytest.fail("it began")
    assert caught.value.status == 401


async def test_a_restore_ends_every_token_and_retention_those_long_expired(store: Store) -> None:
    (stored,) = [one for one in STORED if one.table is token_rows.scim_tokens]
    await make_token(store, until=NOW - 31 * DAY)
    await make_token(store, until=NOW)
    assert callable(stored.stale)
    assert callable(stored.restored)
    async with store.transaction() as tx:
        stale = stored.stale(Longest(0, 0, 0), NOW)
        assert (await tx.execute(stored.table.delete().where(stale))).rowcount == 1
        await tx.execute(stored.restored(NOW))
        assert await token_rows.list_of(tx, "acme") == []


# Users and groups.


async def add_managed(store: Store, identifier: str, tenant: str = "acme", **content: Any) -> str:
    account = await add_person(store, person(identifier, tenant=tenant))
    async with store.transaction() as tx:
        await user_rows.add(tx, account, {"userName": identifier, "active": True, **content}, NOW)
    return account.id


async def test_a_managed_account_is_read_back_with_what_its_provider_says(store: Store) -> None:
    one = await add_managed(store, "one@acme.example", externalId="e", name={"givenName": "Ö"})
    async with store.transaction() as tx:
        found = await user_rows.find(tx, "acme", one, lock=True)
        assert found is not None
        assert (found.external_id, found.content) == ("e", {"userName": "one@acme.example", "name": {"givenName": "Ö"}})
        assert await user_rows.find(tx, "beta", one) is None
        await user_rows.put(tx, one, {"userName": "x"}, NOW + 5)
        changed = await user_rows.find(tx, "acme", one)
        assert changed is not None
        assert (changed.external_id, changed.content, changed.created_at, changed.changed_at) == (
            "", {"userName": "x"}, NOW, NOW + 5,
        )  # fmt: skip
        await user_rows.remove(tx, one)
        assert not await user_rows.is_managed(tx, one)


async def test_pages_of_users_are_of_one_tenant_and_in_one_order(store: Store) -> None:
    ours = [await add_managed(store, f"u{n}@acme.example") for n in range(5)]
    await add_managed(store, "other@beta.example", "beta")
    async with store.reading() as tx:
        pages = [await user_rows.find_page(tx, "acme", (), start, 2) for start in (1, 3, 5, 7)]
        assert [total for total, _ in pages] == [5] * 4
        seen = [managed.account.id for _, page in pages for managed in page]
        assert sorted(seen) == sorted(ours)
        assert seen == sorted(seen)
        assert await user_rows.find_page(tx, "acme", (), 1, 0) == (5, [])
        known = await user_rows.find_known(tx, "beta", {*ours, "acc_x"})
        assert known == {}


async def test_the_groups_of_an_account_go_by_their_names_and_by_what_the_provider_calls_them(store: Store) -> None:
    one, two = await add_managed(store, "one@acme.example"), await add_managed(store, "two@acme.example")
    async with store.transaction() as tx:
        for name, external_id, members in (("Zoo", "", [one]), ("Ärzte", "id-2", [one, two]), ("Empty", "id-3", [])):
            group = await group_rows.add(tx, "acme", name, external_id, NOW)
            assert group is not None
            await group_rows.add_members(tx, group.id, members)
        assert await handles_of(tx, one) == {"Zoo", "Ärzte", "id-2"}
        assert await handles_of(tx, two) == {"Ärzte", "id-2"}
        assert await handles_of(tx, "acc_x") == set()
        await group_rows.leave_all(tx, one)
        assert await handles_of(tx, one) == set()


async def test_a_name_is_taken_once_in_a_tenant_however_it_is_spelled(store: Store) -> None:
    async with store.transaction() as tx:
        await account_rows.add_tenant(tx, "acme", "Acme")
        await account_rows.add_tenant(tx, "beta", "Beta")
        first = await group_rows.add(tx, "acme", "Straße É", "", NOW)
        assert first is not None
        assert await group_rows.add(tx, "acme", "STRASSE E\u0301", "", NOW) is None
        assert await group_rows.add(tx, "beta", "Straße É", "", NOW) is not None
        assert await group_rows.is_name_free(tx, first, "straße é")


async def test_thousands_of_members_are_listed_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_rows, "AT_ONCE", 3)
    ids = [await add_managed(store, f"m{n}@acme.example") for n in range(8)]
    async with store.transaction() as tx:
        groups = [await group_rows.add(tx, "acme", name, "", NOW) for name in "ab"]
        pairs = set()
        for group in groups:
            assert group is not None
            await group_rows.add_members(tx, group.id, ids)
            pairs |= {(group.id, account) for account in ids}
        keys = [group.id for group in groups if group]
        assert set(await group_rows.list_members(tx, keys, 100)) == pairs
        for limit in (1, 3, 4, 9, 16):
            assert len(await group_rows.list_members(tx, keys, limit)) == limit
        assert await group_rows.list_members(tx, [], 100) == []
        await group_rows.remove_members(tx, keys[0], ids[:5])
        assert await group_rows.find_members(tx, keys[0], ids) == set(ids[5:])


async def test_an_account_that_is_removed_leaves_its_groups_and_its_provider(store: Store) -> None:
    account = await add_person(store, person("new@acme.example", password_hash=None))
    async with store.transaction() as tx:
        await user_rows.add(tx, account, {"userName": "new@acme.example"}, NOW)
        group = await group_rows.add(tx, "acme", "G", "", NOW)
        assert group is not None
        await group_rows.add_members(tx, group.id, [account.id])
        assert await remove_unused(action_in(tx), account)
        assert await group_rows.list_members(tx, [group.id], 10) == []
        assert await user_rows.count(tx, "acme") == 0
        assert await group_rows.count(tx, "acme") == 1


async def test_who_disabled_an_account_is_known_until_somebody_else_enables_it(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        assert not await account_rows.is_disabled_by(tx, account.id, "provisioning")
        assert await account_rows.set_status(tx, account.id, Status.DISABLED, "provisioning")
        assert not await account_rows.set_status(tx, account.id, Status.DISABLED)
        assert await account_rows.is_disabled_by(tx, account.id, "provisioning")
        assert await account_rows.set_status(tx, account.id, Status.ACTIVE)
        assert not await account_rows.is_disabled_by(tx, account.id, "provisioning")
        assert await account_rows.set_status(tx, account.id, Status.DISABLED)
        assert not await account_rows.is_disabled_by(tx, account.id, "provisioning")
