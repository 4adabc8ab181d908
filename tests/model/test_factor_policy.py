"""What the second step must be, and what has to be proved because of it: tables and whole small spaces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from gateway.model.account import Role
from gateway.model.factor import NOTHING_ENROLLED, Enrolled, Factor, Proof, first_missing, read_enrolled
from gateway.model.factor_policy import (
    LEVELS,
    NO_POLICY,
    FactorPolicy,
    Second,
    TenantPolicy,
    read_tenant_policy,
    required_factors,
)

PASSWORD, TOTP, LINK, BACKUP = Factor.PASSWORD, Factor.TOTP, Factor.MAGIC_LINK, Factor.BACKUP_CODE
PASSKEY = Factor.PASSKEY
OPTIONAL, REQUIRED, RESISTANT = LEVELS
HAS_TOTP, HAS_KEY = NOTHING_ENROLLED.having(TOTP), NOTHING_ENROLLED.having(PASSKEY)
COUNTS_AS = {BACKUP: (TOTP,), PASSKEY: (PASSKEY, TOTP)}
ENROLLED = (NOTHING_ENROLLED, HAS_TOTP, HAS_KEY, HAS_TOTP.having(PASSKEY), NOTHING_ENROLLED.demanding(TOTP))


def proved(*which: Factor) -> tuple[Proof, ...]:
    return tuple(Proof(factor, 100, COUNTS_AS.get(factor, ())) for factor in which)


@pytest.mark.parametrize(
    ("second", "is_owner", "enrolled", "proofs", "expected"),
    [
        (REQUIRED, False, NOTHING_ENROLLED, (), (PASSWORD, TOTP)),
        (REQUIRED, False, HAS_KEY, (), (PASSWORD, TOTP)),
        (RESISTANT, False, NOTHING_ENROLLED, (), (PASSWORD, PASSKEY)),
        (RESISTANT, False, NOTHING_ENROLLED.demanding(TOTP), (), (PASSWORD, PASSKEY)),
        (RESISTANT, False, HAS_TOTP, (), (PASSWORD, TOTP, PASSKEY)),
        (RESISTANT, False, HAS_KEY, (), (PASSWORD, PASSKEY)),
        (RESISTANT, False, HAS_TOTP.having(PASSKEY), (), (PASSWORD, PASSKEY)),
        (RESISTANT, True, NOTHING_ENROLLED, (), (PASSWORD, LINK, PASSKEY)),
        (RESISTANT, True, HAS_TOTP, (), (PASSWORD, TOTP, LINK, PASSKEY)),
        (RESISTANT, True, HAS_KEY, (), (PASSWORD, PASSKEY, LINK)),
        (RESISTANT, False, HAS_KEY, (PASSWORD, BACKUP), (PASSWORD, TOTP, LINK, PASSKEY)),
        (RESISTANT, False, HAS_KEY, (PASSWORD, BACKUP, PASSKEY), (PASSWORD, PASSKEY)),
        (OPTIONAL, True, NOTHING_ENROLLED, (), (PASSWORD, LINK, TOTP)),
    ],
)
def test_what_is_asked_for_and_in_which_order(
    second: Second, is_owner: bool, enrolled: Enrolled, proofs: tuple[Factor, ...], expected: tuple[Factor, ...]
) -> None:
    assert required_factors(second, is_owner=is_owner, enrolled=enrolled, proofs=proved(*proofs)) == expected


def is_let_in(second: Second, is_owner: bool, enrolled: Enrolled, given: tuple[Factor, ...]) -> bool:
    proofs = proved(*given)
    required = required_factors(second, is_owner=is_owner, enrolled=enrolled, proofs=proofs)
    return first_missing(required, proofs) is None


def every_case() -> Iterator[tuple[bool, Enrolled, tuple[Factor, ...]]]:
    factors = (PASSWORD, TOTP, BACKUP, LINK, PASSKEY)
    for is_owner, enrolled, size in itertools.product((False, True), ENROLLED, range(6)):
        for given in itertools.combinations(factors, size):
            yield is_owner, enrolled, given


def test_a_stricter_demand_lets_nobody_in_who_would_be_kept_out_by_a_weaker_one() -> None:
    let_in = 0
    for case in every_case():
        answers = [is_let_in(second, *case) for second in LEVELS]
        assert answers == sorted(answers, reverse=True), case
        let_in += answers[-1]
    assert let_in == 60


def test_where_only_a_passkey_counts_nothing_stands_in_for_it() -> None:
    without = [case for case in every_case() if PASSKEY not in case[2]]
    assert len(without) == 160
    assert [case for case in without if is_let_in(RESISTANT, *case)] == []


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (NO_POLICY, ""),
        (TenantPolicy({Role.ADMIN: REQUIRED}), "admin=required"),
        (TenantPolicy({Role.EMPLOYEE: RESISTANT, Role.ADMIN: REQUIRED}, False),
         "employee=phishing_resistant admin=required passwordless=no"),
    ],
)  # fmt: skip
def test_a_tenants_policy_is_one_text(policy: TenantPolicy, text: str) -> None:
    assert policy.text == text
    assert read_tenant_policy(text) == policy


def test_a_level_of_a_newer_version_is_taken_for_the_strictest() -> None:
    policy = read_tenant_policy("admin=biometric wings=yes")
    assert policy.second_of(Role.ADMIN) is RESISTANT
    assert policy.second_of(Role.MANAGER) is OPTIONAL


def test_the_strictest_of_settings_tenant_role_and_person_applies() -> None:
    policy = FactorPolicy(frozenset({"o@x.example"}), {Role.MANAGER: REQUIRED}, REQUIRED, frozenset({Role.EMPLOYEE}))
    strict = TenantPolicy({Role.EMPLOYEE: RESISTANT}, allows_passwordless=False)
    only = read_enrolled("passkey =passkey")

    def second(who: str, role: Role, tenant: TenantPolicy = NO_POLICY, enrolled: Enrolled = NOTHING_ENROLLED) -> Second:
        return policy.second_of(who, role, tenant, enrolled)

    assert second("a@x.example", Role.EMPLOYEE) is OPTIONAL
    assert second("a@x.example", Role.MANAGER) is REQUIRED
    assert second("a@x.example", Role.EMPLOYEE, strict) is RESISTANT
    assert second("a@x.example", Role.EMPLOYEE, enrolled=only) is RESISTANT
    assert second("o@x.example", Role.EMPLOYEE) is REQUIRED
    assert policy.admits_passwordless("a@x.example", Role.EMPLOYEE, NO_POLICY)
    assert not policy.admits_passwordless("a@x.example", Role.EMPLOYEE, strict)
    assert not policy.admits_passwordless("a@x.example", Role.MANAGER, NO_POLICY)
    assert not policy.admits_passwordless("o@x.example", Role.EMPLOYEE, NO_POLICY)


def test_the_choice_of_only_passkeys_ends_with_the_last_of_them() -> None:
    only = read_enrolled("passkey totp =passkey")
    assert only.only_passkeys
    assert only.text == "passkey totp =passkey"
    assert only.without(TOTP).text == "passkey =passkey"
    assert only.without(PASSKEY).text == "totp"
    assert only.demanding(PASSKEY).text == "totp !passkey"
