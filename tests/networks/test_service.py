"""Changing lists, on both engines: never past the author's own address unless they insist, and never another tenant's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from sqlalchemy import text, update

from gateway.accounts import rows as account_rows
from gateway.actions.action import operator
from gateway.model.account import Account, Role
from gateway.model.api_token import Grant, Kind
from gateway.model.factor_policy import FactorPolicy
from gateway.model.network_rule import ADMINISTRATOR, EXEMPT, OWN, read_ranges, read_stored, write_sections
from gateway.model.session import Session
from gateway.networks import rows
from gateway.networks.service import NetworkService, Saved, edit_of_account, set_of_account
from gateway.sessions.reach import Reach, Reaches
from gateway.store import Store
from gateway.store.schema import sessions
from gateway.tokens import rows as token_rows
from gateway.tokens.rows import TokenRow
from tests.login.people import HOME, inbound_of
from tests.store.people import LIFETIMES, NOW, add_person, add_session, look, person, worker
from tests.support.actions import actions_of

HERE, ELSEWHERE = read_ranges("192.0.2.0/24 Home"), read_ranges("10.0.0.0/8")
BOSS = "boss@acme.example"


async def enter(store: Store, store_url: str, account: Account) -> Session:
    """Return the session of an account, from HOME."""
    _, key = await add_session(store, await add_person(store, account))
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
    assert found is not None
    return found


@pytest.fixture
async def adam(store: Store, store_url: str) -> Session:
    return await enter(store, store_url, person(role=Role.ADMIN))


def service_of(store: Store) -> NetworkService:
    return NetworkService(store, actions_of(store), FactorPolicy(frozenset({BOSS})))


async def texts(store: Store, account: str) -> tuple[str, str]:
    """Return the rules of acme, and of an account."""
    async with store.reading() as tx:
        return await rows.find_of_tenant(tx, "acme"), await rows.find_of_account(tx, account)


@pytest.mark.parametrize("section", ["", "admin"])
async def test_a_tenants_list_that_leaves_its_author_out_is_saved_only_if_they_insist(
    store: Store, adam: Session, section: str
) -> None:
    service, inbound = service_of(store), inbound_of()
    wanted = {section: ELSEWHERE}
    assert await service.leaves_out(adam, wanted, inbound, NOW)
    assert await service.change_tenant(adam, wanted, inbound, NOW, despite=False) is Saved.LEAVES_OUT
    assert await texts(store, adam.account) == ("", "")
    assert await service.change_tenant(adam, wanted, inbound, NOW, despite=True) is Saved.SAVED
    assert (await texts(store, adam.account))[0] == write_sections(wanted)


async def test_the_authors_other_lists_count_as_well(store: Store, adam: Session) -> None:
    service, inbound = service_of(store), inbound_of()
    async with store.transaction() as tx:
        await rows.set_of_account(tx, adam.account, "[exempt]")
    assert await service.change_tenant(adam, {"": ELSEWHERE}, inbound, NOW, despite=False) is Saved.SAVED
    assert await service.change_own(adam, ELSEWHERE, inbound, NOW, despite=False) is Saved.LEAVES_OUT
    assert await service.change_own(adam, HERE, inbound, NOW, despite=False) is Saved.SAVED
    assert (await texts(store, adam.account))[1] == write_sections({OWN: HERE, EXEMPT: ()})
    mine = await service.change_member(adam, adam.account, ELSEWHERE, inbound, NOW, lifts=False, despite=False)
    assert mine is Saved.LEAVES_OUT


async def test_an_exception_that_has_just_ended_does_not_keep_its_author_in(store: Store, adam: Session) -> None:
    service, inbound = service_of(store), inbound_of()
    wanted = read_ranges(f"10.0.0.0/8\n{HOME} until 2027-01-15")
    assert await service.change_own(adam, wanted, inbound, NOW, despite=False) is Saved.SAVED
    assert await service.change_own(adam, HERE, inbound, NOW, despite=False) is Saved.SAVED
    assert await service.change_own(adam, wanted, inbound, NOW + 86_400, despite=False) is Saved.LEAVES_OUT


async def test_an_administrators_list_and_the_persons_own_are_two(store: Store, store_url: str, adam: Session) -> None:
    service, inbound = service_of(store), inbound_of()
    erin = await enter(store, store_url, person("erin@acme.example", role=Role.EMPLOYEE))
    await service.change_own(erin, HERE, inbound, NOW, despite=False)
    for lifts, expected in ((False, {OWN, ADMINISTRATOR}), (True, {ADMINISTRATOR})):
        saved = await service.change_member(adam, erin.account, HERE, inbound, NOW, lifts=lifts, despite=False)
        assert saved is Saved.SAVED
        assert set(read_stored((await texts(store, erin.account))[1])) == expected
    assert await service.change_own(erin, (), inbound, NOW, despite=False) is Saved.SAVED
    assert (await texts(store, erin.account))[1] == "[administrator]\n192.0.2.0/24 Home"


@pytest.mark.parametrize("other", [person("olga@beta.example", tenant="beta"), person(BOSS)], ids=["tenant", "owner"])
async def test_no_administrator_limits_another_tenants_people_or_an_owner(
    store: Store, adam: Session, other: Account
) -> None:
    service, inbound = service_of(store), inbound_of()
    await add_person(store, other)
    assert await service.of_member(adam, other.id) is None
    saved = await service.change_member(adam, other.id, HERE, inbound, NOW, lifts=True, despite=True)
    assert saved is Saved.GONE
    assert (await texts(store, other.id))[1] == ""
    async with store.reading() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM audit"))).scalar_one() == 0


async def test_the_operators_change_keeps_a_list_that_was_saved_meanwhile(
    store: Store, store_url: str, adam: Session
) -> None:
    """`networks exempt` waits for the person's own change, and adds to it."""
    other = Store.open(store_url)
    async with store.reading() as tx:
        account = await account_rows.find(tx, adam.account)
    assert account is not None

    async def exempt() -> bool:
        async with actions_of(other).begin(operator("ops"), NOW) as action:
            return await edit_of_account(action, account, lambda sections: {**sections, EXEMPT: ()})

    async with actions_of(store).begin(operator("erin"), NOW) as action:
        await account_rows.find(action.tx, account.id, lock=True)
        change = asyncio.create_task(exempt())
        await asyncio.wait([change], timeout=0.1)
        await set_of_account(action, account, write_sections({OWN: HERE}))
    assert await change
    assert (await texts(store, account.id))[1] == write_sections({OWN: HERE, EXEMPT: ()})
    await other.close()


async def test_a_change_is_audited_with_its_lines_and_nothing_is_if_there_is_none(store: Store, adam: Session) -> None:
    service, inbound = service_of(store), inbound_of()
    first, second = {"": HERE + ELSEWHERE}, {"": HERE, "employee": ELSEWHERE}
    for wanted in (first, first, second):
        assert await service.change_tenant(adam, wanted, inbound, NOW, despite=False) is Saved.SAVED
    async with store.reading() as tx:
        found = (await tx.execute(text("SELECT details, personal, tenant FROM audit ORDER BY id"))).all()
    told = [{**json.loads(row.details), **json.loads(row.personal or "{}")} for row in found]
    assert told == [
        {"kind": "tenant", "added": "192.0.2.0/24 Home; 10.0.0.0/8"},
        {"kind": "tenant", "added": "[employee] 10.0.0.0/8", "removed": "10.0.0.0/8"},
    ]
    assert {row.tenant for row in found} == {"acme"}


async def test_the_people_whom_a_list_would_refuse_are_counted(store: Store, store_url: str, adam: Session) -> None:
    erin = await enter(store, store_url, person("erin@acme.example", role=Role.EMPLOYEE))
    boss = await enter(store, store_url, person(BOSS))
    olga = await enter(store, store_url, person("olga@beta.example", tenant="beta"))
    for session in (erin, boss, olga):
        await add_session(store, replace(person(), id=session.account))
    async with store.transaction() as tx:
        await tx.execute(update(sessions).where(sessions.c.id == erin.id).values(address="10.0.0.1"))
    reaches = Reaches(store, frozenset({BOSS}), LIFETIMES)
    assert await reaches.outside_of("acme", "10.0.0.0/8", NOW) == Reach(2, 2)  # Adam, and one device of Erin's
    assert await reaches.outside_of("acme", "10.0.0.0/8\n[admin]\n0.0.0.0/0", NOW) == Reach(1, 1)
    assert await reaches.outside_of("acme", "", NOW) == Reach(0, 0)
    assert await reaches.outside_of_account(erin.account, "[administrator]\n192.0.2.0/24", NOW) == Reach(1, 1)
    async with store.transaction() as tx:
        await rows.set_of_account(tx, adam.account, "[exempt]")
    assert await reaches.outside_of("acme", "10.0.0.0/8", NOW) == Reach(1, 1)


async def test_the_tokens_that_a_list_would_refuse_are_counted_by_where_they_were_last_used(
    store: Store, adam: Session
) -> None:
    reaches = Reaches(store, frozenset(), LIFETIMES)
    uses = [("", NOW + 9, None), ("192.0.2.7", NOW + 9, None), ("192.0.2.8", NOW, None), ("192.0.2.8", NOW + 9, NOW)]
    for place, (used_from, until, revoked_at) in enumerate((*uses, ("10.0.0.1", NOW + 9, None))):
        grant = Grant(f"tok_{place}", until, frozenset(), (), ())
        row = TokenRow(
            grant.token, adam.account, Kind.PERSONAL, "x", Role.ADMIN, grant, NOW, revoked_at, NOW, used_from, ""
        )
        async with store.transaction() as tx:
            await token_rows.add(tx, row, bytes([place]) * 32)
            if used_from:
                await token_rows.note_use(tx, row.id, NOW, used_from, "")
            if revoked_at:
                await token_rows.revoke(tx, row.id, NOW)
    assert (await reaches.outside_of("acme", "10.0.0.0/8", NOW)).tokens == 1
    assert (await reaches.outside_of("acme", "192.0.2.0/24", NOW)).tokens == 1
    assert (await reaches.outside_of("beta", "10.0.0.0/8", NOW)).tokens == 0
    assert (await reaches.outside_of_account(adam.account, "[administrator]\n192.0.2.7", NOW)).tokens == 1


async def test_a_person_sees_what_others_have_set_for_them(store: Store, store_url: str, adam: Session) -> None:
    service = NetworkService(store, actions_of(store), FactorPolicy(frozenset({BOSS}), owner_networks="10.0.0.0/8"))
    boss = replace(await enter(store, store_url, person(BOSS)), is_owner=True)
    await service.change_tenant(adam, {"": HERE, "employee": ELSEWHERE}, inbound_of(), NOW, despite=False)
    assert await service.others_of(adam) == [HERE]
    assert await service.others_of(replace(adam, role=Role.EMPLOYEE)) == [ELSEWHERE]
    assert await service.others_of(boss) == [ELSEWHERE]
    async with store.transaction() as tx:
        await rows.set_of_account(tx, adam.account, "192.0.2.7\n[administrator]\n10.0.0.0/8\n[exempt]")
    assert await service.others_of(adam) == [ELSEWHERE]


@pytest.mark.parametrize(
    "statement", ["UPDATE sessions SET ended_at = 1", "UPDATE accounts SET role = 'employee', status = 'disabled'"]
)
async def test_an_author_whose_right_has_ended_meanwhile_changes_no_list(
    store: Store, store_url: str, adam: Session, statement: str
) -> None:
    erin, service, here = await enter(store, store_url, person("erin@acme.example")), service_of(store), inbound_of()
    async with store.transaction() as tx:
        await tx.execute(text(statement))
    assert await service.change_own(adam, ELSEWHERE, here, NOW, despite=True) is Saved.GONE
    assert await service.change_tenant(adam, {"": HERE}, here, NOW, despite=True) is Saved.GONE
    changed = await service.change_member(adam, erin.account, HERE, here, NOW, lifts=False, despite=True)
    assert changed is Saved.GONE
    assert await texts(store, adam.account) == ("", "")
    assert (await texts(store, erin.account))[1] == ""
