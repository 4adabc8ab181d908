"""Where single sign-on is demanded, nothing else signs in: all combinations of what people can prove."""

from __future__ import annotations

import itertools

import pytest

from gateway.model.account import Role
from gateway.model.factor import Enrolled, Factor, Proof
from gateway.model.factor_policy import FactorPolicy, Second, TenantPolicy
from gateway.sso.factor import SSO

OWNER, PERSON = "otto@otium.example", "erin@acme.example"
PROOFS = (
    Proof(Factor.PASSWORD, 1),
    Proof(Factor.TOTP, 1),
    Proof(Factor.BACKUP_CODE, 1, (Factor.TOTP,)),
    Proof(Factor.MAGIC_LINK, 1),
    Proof(Factor.PASSKEY, 1, (Factor.PASSKEY, Factor.PASSWORD, Factor.TOTP)),
)
ENROLLED = tuple(
    Enrolled(frozenset(some), only_passkeys=only, is_exempt=exempt)
    for some in ((), (Factor.TOTP,), (Factor.PASSKEY,), (Factor.TOTP, Factor.PASSKEY))
    for only, exempt in itertools.product((False, True), repeat=2)
)
POLICY = FactorPolicy(frozenset((OWNER,)), passwordless=frozenset(Role))
SUBSETS = [some for size in range(len(PROOFS) + 1) for some in itertools.combinations(PROOFS, size)]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("second", Second)
def test_nothing_but_the_provider_signs_in(role: Role, second: Second) -> None:
    demanded = TenantPolicy({role: second}, first=SSO)
    count = 0
    for enrolled, proofs in itertools.product(ENROLLED, SUBSETS):
        standing = POLICY.stand(PERSON, role, demanded, enrolled, proofs)
        if enrolled.is_exempt and role is Role.ADMIN:
            assert standing.first == Factor.PASSWORD
            assert standing.second is not Second.OPTIONAL  # a password alone is never enough for them
            continue
        assert standing.missing == SSO, (enrolled, proofs)
        count += 1
    assert count in (512, 256)


@pytest.mark.parametrize("enrolled", ENROLLED)
def test_a_provider_never_signs_an_owner_in(enrolled: Enrolled) -> None:
    word = Proof(SSO, 1, (SSO, Factor.PASSWORD, Factor.TOTP))
    demanded = TenantPolicy(first=SSO)
    for more in SUBSETS:
        if any(proof.factor == Factor.PASSWORD for proof in more):
            continue
        standing = POLICY.stand(OWNER, Role.ADMIN, demanded, enrolled, (word, *more))
        assert standing.missing == Factor.PASSWORD
