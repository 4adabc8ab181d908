"""Assertions by an authenticator in software: what is accepted, and the reason of each refusal."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.passkey.ceremony import (
    Asserted,
    Key,
    Refusal,
    Refused,
    Registered,
    Site,
    read_assertion,
    read_registration,
)
from tests.passkeys.test_registration import CHALLENGE, FORGED, SAID, SITE
from tests.support.authenticator import (
    EDDSA,
    ES256,
    RS256,
    Authenticator,
    Said,
    changed,
    cose_of_rsa,
    flipped,
    with_part,
)

PASSKEY = Authenticator()
HANDLE = b"account"


def key_of(authenticator: Authenticator, said: Said = SAID) -> Key:
    made = read_registration(authenticator.register(said), SITE, CHALLENGE)
    assert isinstance(made, Registered), made
    return made.key


KEY = key_of(PASSKEY)


def read(
    text: str, key: Key = KEY, *, site: Site = SITE, needs_verification: bool = False, needs_handle: bool = False
) -> Asserted | Refused:
    return read_assertion(
        text, site, CHALLENGE, key,
        handle=HANDLE, needs_verification=needs_verification, needs_handle=needs_handle,
    )  # fmt: skip


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_registered_key_proves_itself(algorithm: int) -> None:
    passkey = Authenticator(algorithm)
    proved = read(passkey.prove(replace(SAID, count=3)), key_of(passkey), needs_verification=True, needs_handle=True)
    assert proved == Asserted(is_verified=True, sign_count=3, is_backed_up=True, went_back=False)


FLAGS = list(itertools.product([False, True], repeat=4))


@pytest.mark.parametrize("needs_verification", [False, True])
@pytest.mark.parametrize("registered", FLAGS)
def test_all_flags_of_a_registration_and_an_assertion(registered: tuple[bool, ...], needs_verification: bool) -> None:
    made = read_registration(PASSKEY.register(with_flags(*registered)), SITE, CHALLENGE)
    present, _, eligible, backed_up = registered
    assert isinstance(made, Registered) is (present and (eligible or not backed_up))
    if isinstance(made, Refused):
        return
    for flags in FLAGS:
        proved = read(PASSKEY.prove(with_flags(*flags)), made.key, needs_verification=needs_verification)
        assert proved == expected(*flags, was_eligible=eligible, needs_verification=needs_verification), flags


def with_flags(*flags: bool) -> Said:
    return Said(CHALLENGE, "https://example.org", "example.org", *flags)


def expected(
    present: bool, verified: bool, eligible: bool, backed_up: bool, *, was_eligible: bool, needs_verification: bool
) -> Asserted | Refused:
    if not present:
        return Refused(Refusal.PRESENCE)
    if needs_verification and not verified:
        return Refused(Refusal.VERIFICATION)
    if (backed_up and not eligible) or eligible is not was_eligible:
        return Refused(Refusal.BACKUP_ELIGIBLE)
    return Asserted(verified, 0, backed_up, False)


@pytest.mark.parametrize(("said", "reason"), [each for each in FORGED if "type" not in each[0].client])
def test_what_is_forged_is_refused_with_its_reason(said: Said, reason: Refusal) -> None:
    assert read(PASSKEY.prove(said)) == Refused(reason)


def test_a_registration_is_no_assertion() -> None:
    assert read(PASSKEY.register(SAID)) == Refused(Refusal.TYPE)


def test_a_key_of_another_rp_id_is_refused() -> None:
    site = Site("www.example.org", SITE.origins)
    text = PASSKEY.prove(replace(SAID, rp_id="www.example.org"))
    assert read(text, site=site) == Refused(Refusal.RP_ID)
    assert isinstance(read(text, replace(KEY, rp_id="www.example.org"), site=site), Asserted)


@pytest.mark.parametrize(
    ("handle", "needs_handle", "is_right"),
    [
        (HANDLE, True, True),
        (HANDLE, False, True),
        (None, False, True),
        (None, True, False),
        (b"", False, True),
        (b"", True, False),
        (b"someone", True, False),
        (b"someone", False, False),
    ],
)
def test_the_user_handle_is_that_of_the_account(handle: bytes | None, needs_handle: bool, is_right: bool) -> None:
    proved = read(PASSKEY.prove(replace(SAID, handle=handle)), needs_handle=needs_handle)
    assert isinstance(proved, Asserted) if is_right else proved == Refused(Refusal.HANDLE)


def test_a_handle_that_is_no_base64url_is_malformed() -> None:
    for handle in (7, True, [], "YWNjb3VudA==", "a b"):
        text = changed(PASSKEY.prove(SAID), lambda answer, handle=handle: answer["response"].update(userHandle=handle))
        assert read(text) == Refused(Refusal.MALFORMED), handle


@given(before=st.integers(0, 2**32 - 1), now=st.integers(0, 2**32 - 1))
def test_a_counter_that_does_not_increase_is_reported_and_not_refused(before: int, now: int) -> None:
    check_counter(before, now)


@pytest.mark.parametrize(("before", "now"), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (1, 2), (2**32 - 1, 0)])
def test_a_counter_at_its_ends(before: int, now: int) -> None:
    check_counter(before, now)


def check_counter(before: int, now: int) -> None:
    proved = read(PASSKEY.prove(replace(SAID, count=now)), replace(KEY, sign_count=before))
    assert proved == Asserted(True, now, True, went_back=now <= before and (now, before) != (0, 0))


def test_another_keys_answer_is_refused() -> None:
    other = Authenticator(EDDSA, credential=b"o" * 32)
    assert read(other.prove(SAID)) == Refused(Refusal.CREDENTIAL)
    impostor = Authenticator(EDDSA, credential=PASSKEY.id)
    assert read(impostor.prove(SAID)) == Refused(Refusal.SIGNATURE)


@pytest.mark.parametrize("signature", [b"", b"\0", b"0" * 70, bytes(64), b"\xff" * 30_000])
@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_what_is_no_signature_is_refused(algorithm: int, signature: bytes) -> None:
    passkey = Authenticator(algorithm)
    text = with_part(passkey.prove(SAID), "signature", lambda _: signature)
    assert read(text, key_of(passkey)) == Refused(Refusal.SIGNATURE)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_an_altered_byte_of_a_signature_is_a_wrong_signature(algorithm: int, at: int, flip: int) -> None:
    passkey = Authenticator(algorithm)
    text = with_part(passkey.prove(SAID), "signature", lambda value: flipped(value, at, flip))
    assert read(text, key_of(passkey)) == Refused(Refusal.SIGNATURE)


def test_a_replayed_answer_is_to_another_challenge() -> None:
    assert read(PASSKEY.prove(Said(bytes(32)))) == Refused(Refusal.CHALLENGE)


@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "é", "a=b", "AB"])
def test_a_part_that_is_missing_or_no_base64url_is_malformed(part: str, value: object) -> None:
    text = changed(PASSKEY.prove(SAID), lambda answer: answer["response"].update({part: value}))
    assert read(text) == Refused(Refusal.MALFORMED)
    text = changed(PASSKEY.prove(SAID), lambda answer: answer["response"].pop(part))
    assert read(text) == Refused(Refusal.MALFORMED)


def test_a_stored_key_that_can_not_be_used_is_refused() -> None:
    for stored in (b"", b"\x04" + bytes(64), cbor2.dumps(cose_of_rsa(2**1_023 + 1, 65_537))):
        proved = read(PASSKEY.prove(SAID), replace(KEY, public_key=stored))
        assert isinstance(proved, Refused)
        assert proved.reason in {Refusal.MALFORMED, Refusal.ALGORITHM}


def test_what_else_a_browser_sends_is_ignored() -> None:
    text = changed(
        PASSKEY.prove(replace(SAID, client={"tokenBinding": {"status": "supported"}, "later": "{[,"})),
        lambda answer: answer.update(authenticatorAttachment="tomorrow", more={"number": 1e9}),
    )
    assert isinstance(read(text), Asserted)
    assert json.loads(text)["more"]
