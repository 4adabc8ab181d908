"""What app roles and groups give: tables of the mapping, and every combination of a small one."""

from __future__ import annotations

import itertools

import pytest

from gateway.model.account import Module, Role
from gateway.sso.oidc.record import Claims
from gateway.sso.roles.mapping import (
    Asserted,
    RoleMap,
    Rule,
    Source,
    read_asserted,
    read_rules,
    write_rules,
)

ADMINS = Rule(Source.ROLE, "Admins", Role.ADMIN)
LEADS = Rule(Source.GROUP, "leads", Role.MANAGER)
MONEY = Rule(Source.GROUP, "money", Module.FINANCE)
PEOPLE = Rule(Source.ROLE, "People", Module.HR)
ALL = RoleMap((LEADS, ADMINS, MONEY, PEOPLE), roles_follow=True)


def asserted(*roles: str, groups: tuple[str, ...] = (), more: bool = False) -> Asserted:
    return Asserted(frozenset(roles), frozenset(groups), more)


@pytest.mark.parametrize(
    ("given", "role", "modules"),
    [
        (asserted(), Role.EMPLOYEE, ()),
        (asserted("Admins"), Role.ADMIN, ()),
        (asserted(groups=("leads",)), Role.MANAGER, ()),
        (asserted("Admins", groups=("leads",)), Role.ADMIN, ()),
        (asserted("People", groups=("money",)), Role.EMPLOYEE, (Module.FINANCE, Module.HR)),
        (asserted("admins"), Role.EMPLOYEE, ()),  # exactly as it is sent
        (asserted("Admins "), Role.EMPLOYEE, ()),
        (asserted("leads"), Role.EMPLOYEE, ()),  # a role is no group
        (asserted(groups=("Admins",)), Role.EMPLOYEE, ()),
        (asserted("Admins", more=True), Role.ADMIN, ()),
    ],
)
def test_a_new_account_gets_the_highest_role_that_matches_and_all_modules(
    given: Asserted, role: Role, modules: tuple[Module, ...]
) -> None:
    grant = ALL.grant(given)
    assert (grant.role, grant.modules) == (role, frozenset(modules))


def test_the_order_of_the_rows_changes_nothing() -> None:
    given = asserted("Admins", "People", groups=("leads", "money"))
    grants = {
        (grant.role, grant.modules)
        for rules in itertools.permutations(ALL.rules)
        for grant in [RoleMap(rules).grant(given)]
    }
    assert grants == {(Role.ADMIN, frozenset((Module.FINANCE, Module.HR)))}


def test_who_matches_nothing_gets_the_default() -> None:
    assert RoleMap((ADMINS,), default=Role.MANAGER).grant(asserted("Nobody")).role is Role.MANAGER


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("given", [asserted(), asserted("Admins"), asserted(groups=("leads",))])
def test_an_existing_role_follows_up_and_down(role: Role, given: Asserted) -> None:
    assert ALL.follow(given, role, frozenset()).role is ALL.grant(given).role


@pytest.mark.parametrize("role", list(Role))
def test_without_a_row_that_gives_a_role_everyone_keeps_theirs(role: Role) -> None:
    assert RoleMap((MONEY,)).follow(asserted(), role, frozenset()).role is role
    assert RoleMap().follow(asserted("Admins"), role, frozenset((Module.LEGAL,))).modules == {Module.LEGAL}


def test_a_module_follows_only_if_a_row_gives_it() -> None:
    held = frozenset((Module.FINANCE, Module.LEGAL))
    assert ALL.follow(asserted(), Role.EMPLOYEE, held).modules == {Module.LEGAL}
    assert ALL.follow(asserted(groups=("money",)), Role.EMPLOYEE, held).modules == held
    assert ALL.follow(asserted("People"), Role.EMPLOYEE, held).modules == {Module.HR, Module.LEGAL}


def test_nothing_is_taken_away_from_somebody_in_too_many_groups() -> None:
    combinations = list(
        itertools.product(
            list(Role), [frozenset[Module](), frozenset((Module.FINANCE,))], [(), ("Admins",), ("People",)]
        )
    )
    assert len(combinations) == 18
    for role, modules, roles in combinations:
        after = ALL.follow(asserted(*roles, more=True), role, modules)
        assert list(Role).index(after.role) >= list(Role).index(role)
        assert after.modules >= modules
    assert ALL.follow(asserted("Admins", more=True), Role.EMPLOYEE, frozenset()).role is Role.ADMIN


def test_the_claim_that_is_named_holds_the_roles() -> None:
    claims = Claims("i", "s", groups=("leads",), lists={"roles": ("Admins",), "https://acme.example/r": ("People",)})
    assert ALL.read(claims) == asserted("Admins", groups=("leads",))
    other = RoleMap(ALL.rules, claim="https://acme.example/r")
    assert other.read(claims, ("money",)) == asserted("People", groups=("leads", "money"))
    assert RoleMap(claim="missing").read(claims).roles == frozenset()


def test_only_what_the_rows_are_about_is_kept() -> None:
    given = asserted("Admins", "Secret", groups=("leads", "choir"), more=True)
    assert ALL.relevant(given) == asserted("Admins", groups=("leads",), more=True)


def test_it_is_read_as_it_was_written() -> None:
    odd = Rule(Source.GROUP, 'a "quoted", ünïcode\\ value', Module.LEGAL)
    assert read_rules(write_rules((*ALL.rules, odd))) == (*ALL.rules, odd)
    given = asserted("Admins", groups=("a,b",), more=True)
    assert read_asserted(given.text) == given


def test_a_row_of_a_newer_version_gives_nothing() -> None:
    assert read_rules('[["role","x","auditor"],["badge","x","admin"],["role","y","hr"]]') == (
        Rule(Source.ROLE, "y", Module.HR),
    )
