"""Can this person get in? Each reason by itself, from the facts that lead to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.account import Role, Status
from gateway.model.factor import Enrolled, Factor
from gateway.model.factor_policy import FactorPolicy, Second, TenantPolicy
from gateway.model.network_rule import rule_of
from gateway.person.standing import Answer, Facts, Kind, LastMail, Lock, judge
from gateway.settings.places import TEMPLATES
from tests.store.people import person

ANN = person()
FINE = Facts(ANN, has_way_in=True, ways=frozenset({Factor.PASSWORD}))
SSO = Factor("sso")
OFFICE = rule_of("192.0.2.0/24", "", Role.MANAGER, is_owner=False)
STRICT = TenantPolicy({Role.MANAGER: Second.REQUIRED})
CASES = [
    (FINE, Answer.YES, []),
    (replace(FINE, account=person(status=Status.DISABLED)), Answer.NO, [Kind.DISABLED]),
    (replace(FINE, is_tenant_active=False), Answer.NO, [Kind.SUSPENDED]),
    (Facts(ANN, has_way_in=False, invited_until=9), Answer.NO, [Kind.INVITED]),
    (Facts(ANN, has_way_in=False, invited_at=5), Answer.NO, [Kind.EXPIRED]),
    (Facts(ANN, has_way_in=False), Answer.NO, [Kind.NOT_INVITED]),
    (
        Facts(ANN, has_way_in=False, invited_until=9, mail=LastMail("invitation", 1, 2, "550 unknown")),
        Answer.NO,
        [Kind.INVITED, Kind.MAIL_REFUSED],
    ),
    (replace(FINE, mail=LastMail("password_reset", 1, None, "")), Answer.LIMITED, [Kind.MAIL_WAITS]),
    (replace(FINE, locks=(Lock(False, "192.0.2.7", 9),)), Answer.LIMITED, [Kind.LOCKED]),
    (replace(FINE, locks=(Lock(True, "", 9),)), Answer.LIMITED, [Kind.CODES_LOCKED]),
    (replace(FINE, blocked_codes=(Factor.TOTP,)), Answer.LIMITED, [Kind.CODES_BLOCKED]),
    (replace(FINE, blocks=(("192.0.2.7", 9),)), Answer.LIMITED, [Kind.ADDRESS_BLOCKED]),
    (replace(FINE, networks=OFFICE), Answer.YES, [Kind.NETWORKS]),
    (replace(FINE, networks=OFFICE, refused=("203.0.113.9", 5)), Answer.LIMITED, [Kind.NETWORK_REFUSED]),
    (replace(FINE, policy=TenantPolicy(first=SSO)), Answer.LIMITED, [Kind.SSO_UNUSED]),
    (replace(FINE, policy=TenantPolicy(first=SSO), ways=frozenset({SSO})), Answer.YES, [Kind.SSO_REQUIRED]),
    (replace(FINE, policy=STRICT), Answer.YES, [Kind.SECOND_DEMANDED]),
    (replace(FINE, policy=STRICT, account=person(enrolled=Enrolled(frozenset({Factor.TOTP})))), Answer.YES, []),
]


@pytest.mark.parametrize(("facts", "answer", "kinds"), CASES)
def test_each_fact_has_its_reason(facts: Facts, answer: Answer, kinds: list[Kind]) -> None:
    found = judge(facts, FactorPolicy())
    assert (found.answer, [reason.kind for reason in found.reasons]) == (answer, kinds)


def test_every_kind_of_reason_has_its_case_here_and_its_sentence_on_the_page() -> None:
    assert {kind for _, _, kinds in CASES for kind in kinds} == set(Kind)
    template = (TEMPLATES / "person/standing.html").read_text()
    shown = {kind for kind in Kind if f'"{kind.value}"' in template}
    assert set(Kind) - shown == {Kind.SECOND_DEMANDED}  # the last two sentences tell of it, by its detail


@pytest.mark.parametrize("lock", [Lock(False, "192.0.2.7", 9), Lock(True, "192.0.2.7", 9)])
def test_what_unlocking_mends_is_told(lock: Lock) -> None:
    assert judge(replace(FINE, locks=(lock,)), FactorPolicy()).is_locked
    assert not judge(FINE, FactorPolicy()).is_locked
