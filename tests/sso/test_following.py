"""Name and role follow the provider, in the store, on both engines: what never changes, and what is recorded."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import select

from gateway.accounts import rows as account_rows
from gateway.factors import enrolment
from gateway.model.account import Account, Module, Role, Status
from gateway.model.session import Session
from gateway.scim import group_rows
from gateway.sso.oidc.record import Claims
from gateway.sso.roles import rows
from gateway.sso.roles.admin import Demotion, RoleService, Saved
from gateway.sso.roles.follow import Follower
from gateway.sso.roles.mapping import NO_MAP, Asserted, RoleMap, Rule, Source
from gateway.sso.rows import Registered, remove_provider
from gateway.store import Store
from gateway.store.schema import audit, outbox
from tests.login.people import inbound_of
from tests.sso.test_ways_in import FACTORS, ISSUER, SEALER, add_provider, link
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import action_from, actions_of

OWNER = "otto@otium.example"
FOLLOWER = Follower(frozenset((OWNER,)), FACTORS, group_rows.handles_of)
ADMINS = Rule(Source.ROLE, "Admins", Role.ADMIN)
LEADS = Rule(Source.GROUP, "leads", Role.MANAGER)
MONEY = Rule(Source.GROUP, "money", Module.FINANCE)
FOLLOWS = RoleMap((ADMINS, LEADS, MONEY), roles_follow=True, names_follow=True)


def claims(*roles: str, groups: tuple[str, ...] = (), name: str = "Ann Example", more: bool = False) -> Claims:
    return Claims(ISSUER, "ann", name=name, groups=groups, has_more_groups=more, lists={"roles": roles})


async def with_map(store: Store, role_map: RoleMap = FOLLOWS) -> Registered:
    registered = await add_provider(store)
    async with store.transaction() as tx:
        await rows.put_map(tx, registered.provider.id, role_map)
    return registered


async def follow(
    store: Store, registered: Registered, asserted: Claims, account: Account, follower: Follower = FOLLOWER
) -> Account:
    """Return the account as the store has it after a sign-in, which must be what the sign-in goes on with."""
    async with store.transaction() as tx:
        locked = await account_rows.find(tx, account.id, lock=True)
        assert locked is not None
        followed = await follower.follow(action_from(tx, inbound_of()), registered, asserted, locked)
    async with store.reading() as tx:
        assert await account_rows.find(tx, account.id) == followed
    return followed


async def recorded(store: Store) -> list[tuple[str, str, dict[str, object]]]:
    async with store.reading() as tx:
        found = await tx.execute(select(audit.c.event, audit.c.actor, audit.c.personal).order_by(audit.c.id))
        return [(event, actor, json.loads(personal or "{}")) for event, actor, personal in found]


async def mailed(store: Store) -> list[tuple[str, str]]:
    async with store.reading() as tx:
        found = await tx.execute(select(outbox.c.template, outbox.c.recipient).order_by(outbox.c.recipient))
        return [(template, recipient) for template, recipient in found]


async def test_a_mapping_is_kept_and_goes_with_its_provider(store: Store) -> None:
    registered = await with_map(store)
    async with store.transaction() as tx:
        assert await rows.find_map(tx, "idp_acme") == FOLLOWS
        await rows.put_map(tx, "idp_acme", RoleMap(claim="r", default=Role.MANAGER))
        assert await rows.find_map(tx, "idp_acme") == RoleMap(claim="r", default=Role.MANAGER)
        assert await rows.find_map(tx, "idp_other") == NO_MAP
        assert await remove_provider(tx, registered.provider.id, NOW) is not None
        assert await rows.find_map(tx, "idp_acme") == NO_MAP


async def test_a_change_is_the_providers_in_the_audit_log(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store)
    after = await follow(store, registered, claims("Admins", groups=("money",), name="Ann Neu"), ann)
    kept = {Module.HR, Module.LEGAL}
    assert (after.role, after.modules, after.name) == (Role.ADMIN, kept | {Module.FINANCE}, "Ann Neu")
    assert await recorded(store) == [
        ("account_renamed", ISSUER, {"from": "Ann Example", "to": "Ann Neu"}),
        ("account_role_changed", ISSUER, {"from": "manager,hr,legal", "to": "admin,finance,hr,legal"}),
    ]


async def test_nothing_is_recorded_if_nothing_changes(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store)
    assert await follow(store, registered, claims(groups=("leads",)), ann) == ann
    assert await recorded(store) == []


@pytest.mark.parametrize("role_map", [NO_MAP, RoleMap((ADMINS, LEADS, MONEY))])
async def test_nothing_follows_unless_the_tenant_says_so(store: Store, role_map: RoleMap) -> None:
    registered = await with_map(store, role_map)
    ann = await add_person(store)
    assert await follow(store, registered, claims("Admins", name="Other"), ann) == ann


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "Ann\nExample", "Ann\u202eelpmaxE", "\u200b"])
async def test_a_name_that_is_not_acceptable_is_not_taken_over(store: Store, name: str) -> None:
    registered = await with_map(store)
    ann = await add_person(store)
    after = await follow(store, registered, claims(groups=("leads",), name=name), ann)
    assert after.name == "Ann Example"


async def test_an_owner_is_never_touched(store: Store) -> None:
    registered = await with_map(store)
    otto = await add_person(store, person(OWNER, role=Role.ADMIN))
    await add_person(store, person("bob@acme.example", role=Role.ADMIN))
    assert await follow(store, registered, claims(name="Other"), otto) == otto


async def test_an_exempt_administrator_keeps_the_role(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(role=Role.ADMIN))
    await add_person(store, person("bob@acme.example", role=Role.ADMIN))
    async with store.transaction() as tx:
        await enrolment.exempt(tx, ann.id, True)
    assert (await follow(store, registered, claims(), ann)).role is Role.ADMIN


async def test_too_many_groups_take_nothing_away(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(modules=frozenset((Module.FINANCE,))))
    assert await follow(store, registered, claims(more=True), ann) == ann
    assert (await follow(store, registered, claims("Admins", more=True), ann)).role is Role.ADMIN


@pytest.mark.parametrize("value", ["Team leads", "21ec2020-3aea-4069-a2dd-08002b30309d"])
async def test_provisioned_groups_count_as_those_of_the_token_by_name_or_external_id(store: Store, value: str) -> None:
    rule = Rule(Source.GROUP, value, Role.MANAGER)
    registered = await with_map(store, RoleMap((rule,), roles_follow=True))
    ann = await add_person(store, person(role=Role.EMPLOYEE, modules=frozenset()))
    async with store.transaction() as tx:
        group = await group_rows.add(tx, "acme", "Team leads", "21ec2020-3aea-4069-a2dd-08002b30309d", NOW)
        assert group is not None
        await group_rows.add_members(tx, group.id, [ann.id])
    assert (await follow(store, registered, claims(), ann)).role is Role.MANAGER


# The last administrator.


async def test_the_last_administrator_is_kept_and_all_are_told_once(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(role=Role.ADMIN, modules=frozenset()))
    await add_person(store, person("bob@acme.example", role=Role.ADMIN, password_hash=None))  # can't sign in
    await add_person(store, person("cem@acme.example", role=Role.ADMIN, status=Status.DISABLED))
    for _ in range(2):
        assert (await follow(store, registered, claims(groups=("money",)), ann)).role is Role.ADMIN
    events = [event for event, _, _ in await recorded(store)]
    assert events.count("sso_role_kept") == 2
    assert await mailed(store) == [("sso_role_kept", "ann@example.com"), ("sso_role_kept", "bob@acme.example")]
    async with store.transaction() as tx:
        await rows.put_map(tx, registered.provider.id, FOLLOWS)
    await follow(store, registered, claims(), ann)
    assert len(await mailed(store)) == 4


async def test_the_kept_administrator_still_gets_other_access(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(role=Role.ADMIN, modules=frozenset()))
    assert (await follow(store, registered, claims(groups=("money",)), ann)).modules == {Module.FINANCE}


async def test_of_two_administrators_who_come_at_once_one_stays(store: Store) -> None:
    registered = await with_map(store)
    both = [await add_person(store, person(f"{name}@acme.example", role=Role.ADMIN)) for name in ("ann", "bob")]
    after = await asyncio.gather(*(follow(store, registered, claims(), each) for each in both))
    assert sorted(each.role for each in after) == [Role.ADMIN, Role.EMPLOYEE]


async def test_an_administrator_whom_a_provider_signs_in_counts_as_one(store: Store) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(role=Role.ADMIN))
    bob = await add_person(store, person("bob@acme.example", role=Role.ADMIN, password_hash=None))
    await link(store, bob, "bob")
    assert (await follow(store, registered, claims(), ann)).role is Role.EMPLOYEE


async def test_a_change_holds_from_the_next_request_on(store: Store, store_url: str) -> None:
    registered = await with_map(store)
    ann = await add_person(store, person(role=Role.ADMIN))
    await add_person(store, person("bob@acme.example", role=Role.ADMIN))
    _, key = await add_session(store, ann)
    async with worker(store_url) as lookup:
        session = await look(lookup, key)
        assert session is not None
        assert session.role is Role.ADMIN
        await follow(store, registered, claims(), ann)
        session = await look(lookup, key)
        assert session is not None
        assert session.role is Role.EMPLOYEE


# Saving a mapping.


def session_of(account: Account) -> Session:
    return Session(
        "ses_1", account.id, account.identifier, account.name, account.tenant, account.role, account.modules,
        is_owner=False, proofs=(), started_at=NOW, seen_at=NOW,
    )  # fmt: skip


async def save(store: Store, author: Account, wanted: RoleMap, *, is_confirmed: bool = False) -> Saved | Demotion:
    service = RoleService(store, actions_of(store), SEALER, FOLLOWER)
    return await service.save(session_of(author), wanted, inbound_of(), NOW, is_confirmed=is_confirmed)


async def two_admins(store: Store, *, is_linked: bool = True) -> Account:
    ann = await add_person(store, person("ann@acme.example", role=Role.ADMIN))
    await add_person(store, person("bob@acme.example", role=Role.ADMIN))
    if is_linked:
        await link(store, ann)
    return ann


async def test_a_mapping_that_demotes_its_author_asks_first(store: Store) -> None:
    registered = await with_map(store, NO_MAP)
    ann = await two_admins(store)
    await follow(store, registered, claims("Users"), ann)
    assert await save(store, ann, FOLLOWS) == Demotion(Role.EMPLOYEE, is_certain=True)
    async with store.reading() as tx:
        assert await rows.find_map(tx, "idp_acme") == NO_MAP
    assert await save(store, ann, FOLLOWS, is_confirmed=True) is Saved.DONE
    async with store.reading() as tx:
        assert await rows.find_map(tx, "idp_acme") == FOLLOWS
    assert [event for event, _, _ in await recorded(store)] == ["sso_roles_changed"]


async def test_an_author_who_stays_administrator_is_not_asked(store: Store) -> None:
    registered = await with_map(store, NO_MAP)
    ann = await two_admins(store)
    await follow(store, registered, claims("Admins"), ann)
    assert await save(store, ann, FOLLOWS) is Saved.DONE


async def test_if_it_is_not_known_what_is_asserted_it_asks_and_says_so(store: Store) -> None:
    registered = await with_map(store, NO_MAP)
    ann = await two_admins(store)
    assert await save(store, ann, FOLLOWS) == Demotion(Role.EMPLOYEE, is_certain=False)
    await follow(store, registered, claims("Admins"), ann)
    other = RoleMap(FOLLOWS.rules, claim="other", roles_follow=True)
    assert await save(store, ann, other) == Demotion(Role.EMPLOYEE, is_certain=False)


@pytest.mark.parametrize("wanted", [RoleMap((ADMINS,)), RoleMap((MONEY,), roles_follow=True)])
async def test_a_mapping_that_changes_no_roles_is_saved(store: Store, wanted: RoleMap) -> None:
    await with_map(store, NO_MAP)
    assert await save(store, await two_admins(store), wanted) is Saved.DONE


async def test_whoever_can_not_be_demoted_is_not_asked(store: Store) -> None:
    await with_map(store, NO_MAP)
    alone = await add_person(store, person("ann@acme.example", role=Role.ADMIN))
    await link(store, alone)
    assert await save(store, alone, FOLLOWS) is Saved.DONE


async def test_an_author_who_is_not_connected_is_not_asked(store: Store) -> None:
    await with_map(store, NO_MAP)
    assert await save(store, await two_admins(store, is_linked=False), FOLLOWS) is Saved.DONE


async def test_without_a_provider_there_is_nothing_to_save(store: Store) -> None:
    assert await save(store, await two_admins(store, is_linked=False), FOLLOWS) is Saved.NOT_THERE


async def test_what_is_asserted_is_kept_of_administrators_only(store: Store) -> None:
    registered = await with_map(store)
    ann, bob = await two_admins(store), await add_person(store, person("cem@acme.example"))
    await link(store, bob, "cem")
    await follow(store, registered, claims("Admins", groups=("choir",)), ann)
    await follow(store, registered, claims(groups=("leads",)), bob)
    async with store.reading() as tx:
        kept = Asserted(frozenset(("Admins",)), frozenset(("choir",)))
        assert await rows.find_asserted(tx, "idp_acme", ann.id) == kept
        assert await rows.find_asserted(tx, "idp_acme", bob.id) is None
    await follow(store, registered, claims(), ann)
    async with store.reading() as tx:
        assert await rows.find_asserted(tx, "idp_acme", ann.id) is None
