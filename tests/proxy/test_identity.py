"""Identity headers: what a session's fields say, how long they are remembered, and the signature of the assertion."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, KeySet

from gateway.crypto.keys import assertion_key, public_key_set
from gateway.model.account import Module, Role
from gateway.model.factor import Factor, Proof
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.proxy.assertion import Assertions
from gateway.proxy.identity import RENEW_SECONDS, Identities
from gateway.settings.record import IDENTITY_NAMES

NOW = 1_790_000_000
SECRET = Secret(b"only for tests" * 4)
KEYS = KeySet.import_key_set(json.loads(json.dumps(public_key_set([SECRET]))))
ASSERTIONS = Assertions(assertion_key(SECRET), "https://app.example.com", "otiumwork")
NAME = "X-Otium-Assertion"
ON = {**IDENTITY_NAMES, "assertion": NAME}
ERIN = Session(
    id="ses_1",
    account="acc_1",
    identifier="erin@acme.example",
    name="Erin",
    tenant="acme",
    role=Role.EMPLOYEE,
    modules=frozenset([Module.LEGAL, Module.HR]),
    is_owner=False,
    proofs=(Proof(Factor.TOTP, NOW), Proof(Factor.PASSWORD, NOW)),
    started_at=NOW,
    seen_at=NOW,
)


def identities(names: dict[str, str], *, blank: tuple[str, ...] = ()) -> Identities:
    return Identities(names, user_is_email=False, assertions=ASSERTIONS, blank=blank)


def read(lines: bytes) -> dict[str, str]:
    """Return the fields; each name stands there once."""
    pairs = [line.partition(": ") for line in lines.decode("ascii").removesuffix("\r\n").split("\r\n")]
    assert len({name.lower() for name, _, _ in pairs}) == len(pairs)
    return {name: value for name, _, value in pairs}


def test_a_published_key_is_named_by_its_thumbprint() -> None:
    (key,) = KEYS.keys
    assert isinstance(key, ECKey)
    assert (key.kid, key.curve_name, key.is_private) == (key.thumbprint(), "P-256", False)


def test_an_assertion_says_everything_and_can_be_verified() -> None:
    token = jwt.decode(ASSERTIONS.sign(ERIN, NOW), KEYS, algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "typ": "JWT", "kid": KEYS.keys[0].kid}
    assert token.claims == {
        "iss": "https://app.example.com",
        "aud": "otiumwork",
        "sub": "acc_1",
        "sid": "ses_1",
        "email": "erin@acme.example",
        "name": "Erin",
        "tenant": "acme",
        "role": "employee",
        "groups": ["employee", "hr", "legal"],
        "amr": ["password", "totp", "mfa", "otp", "pwd"],
        "auth_time": NOW,
        "iat": NOW,
        "exp": NOW + 60,
    }


# Two hundred signatures: one in 128 has a number that is shorter than 32 bytes.
@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(['Zoë "Z"', "\\", "\x00", "名", "🦊"])
)
def test_whatever_a_name_holds_the_signature_is_of_that_name(name: str) -> None:
    token = jwt.decode(ASSERTIONS.sign(replace(ERIN, name=name), NOW), KEYS, algorithms=["ES256"])
    assert token.claims["name"] == name


def test_another_key_verifies_no_assertion() -> None:
    with pytest.raises(BadSignatureError):
        jwt.decode(ASSERTIONS.sign(ERIN, NOW), ECKey.generate_key("P-256"), algorithms=["ES256"])


def test_proxy_and_forward_auth_share_an_assertion_until_it_is_renewed() -> None:
    told = identities(ON)
    first = read(told.lines(ERIN, NOW))
    assert read(told.answer_lines(ERIN, NOW + RENEW_SECONDS - 1)) == first
    renewed = read(told.answer_lines(ERIN, NOW + RENEW_SECONDS))
    assert renewed[NAME] != first[NAME]
    assert read(told.lines(ERIN, NOW + RENEW_SECONDS)) == renewed


def test_a_session_that_has_changed_is_told_anew_at_once() -> None:
    told = identities(ON)
    told.lines(ERIN, NOW)
    changed = replace(ERIN, role=Role.ADMIN)
    assert read(told.lines(changed, NOW))["X-Otium-Role"] == "admin"
    claims = jwt.decode(read(told.answer_lines(changed, NOW))[NAME], KEYS, algorithms=["ES256"]).claims
    assert claims["role"] == "admin"


def test_nothing_is_signed_unless_the_assertion_has_a_name() -> None:
    told = identities(IDENTITY_NAMES)
    first = told.lines(ERIN, NOW)
    assert NAME not in read(first)
    assert told.lines(ERIN, NOW + 10 * RENEW_SECONDS) is first  # and so nothing is written anew


def test_forward_auth_answers_every_name_to_copy_once_with_or_without_a_value() -> None:
    told = identities(IDENTITY_NAMES, blank=(NAME,))
    names = {name for name in IDENTITY_NAMES.values() if name} | {NAME}
    nobody, nameless = read(told.answer_lines(None, NOW)), read(told.answer_lines(replace(ERIN, name=""), NOW))
    assert nobody == dict.fromkeys(names, "")
    assert set(nameless) == names
    assert {name for name, value in nameless.items() if not value} == {"Remote-Name", NAME}


def test_a_name_that_means_something_else_here_is_not_answered_twice() -> None:
    told = identities({**IDENTITY_NAMES, "user": NAME.lower()}, blank=(NAME,))
    assert read(told.answer_lines(ERIN, NOW))[NAME.lower()] == "acc_1"
