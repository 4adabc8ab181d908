"""Registrations by an authenticator in software: what is accepted, and the reason of each refusal."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import cbor2
import pytest

from gateway.factors.passkey.ceremony import Key, Refusal, Refused, Registered, Site, read_registration
from tests.support.authenticator import (
    EDDSA,
    ES256,
    RS256,
    Authenticator,
    Maker,
    Said,
    changed,
    cose_of_rsa,
    with_part,
)

CHALLENGE = bytes(range(100, 132))
SITE = Site("example.org", frozenset({"https://example.org", "https://www.example.org"}))
MODEL = "00112233-4455-6677-8899-aabbccddeeff"
AAGUID = bytes.fromhex(MODEL.replace("-", ""))

SAID = Said(CHALLENGE)


def read(text: str) -> Registered | Refused:
    return read_registration(text, SITE, CHALLENGE)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_key_of_each_algorithm_is_accepted(algorithm: int) -> None:
    authenticator = Authenticator(algorithm, aaguid=AAGUID)
    said = Said(CHALLENGE, origin="https://www.example.org", count=7, is_backed_up=False)
    text = authenticator.register(said, transports=["usb", "nfc", "usb"])
    key = Key(
        id=authenticator.id,
        public_key=authenticator.public_key,
        sign_count=7,
        is_backup_eligible=True,
        is_backed_up=False,
        aaguid=MODEL,
        transports=("nfc", "usb"),
        is_discoverable=True,
        rp_id="example.org",
    )
    assert read(text) == Registered(key, is_verified=True)


def test_an_authenticator_that_does_not_say_its_model_has_none() -> None:
    made = read(Authenticator().register(SAID))
    assert isinstance(made, Registered)
    assert made.key.aaguid == ""


@pytest.mark.parametrize(
    ("extensions", "told"),
    [
        ({"credProps": {"rk": True}}, True),
        ({"credProps": {"rk": False}}, False),
        ({"credProps": {}}, None),
        ({"credProps": {"rk": 1}}, None),
        ({}, None),
    ],
)
def test_whether_a_key_is_discoverable_is_what_the_browser_says(extensions: object, told: bool | None) -> None:
    made = read(
        changed(Authenticator().register(SAID), lambda answer: answer.update(clientExtensionResults=extensions))
    )
    assert isinstance(made, Registered)
    assert made.key.is_discoverable is told


def test_of_transports_only_what_could_be_one_is_kept() -> None:
    given = ["usb", "a transport of tomorrow", "quantum", "x" * 21, 7, None, ["nfc"], "<b>", "Ä"]
    made = read(Authenticator().register(SAID, transports=given))
    assert isinstance(made, Registered)
    assert made.key.transports == ("quantum", "usb")
    many = read(Authenticator().register(SAID, transports=[f"t{letter}" for letter in "abcdefghijklmnop"]))
    assert isinstance(many, Registered)
    assert len(many.key.transports) == 8


def test_extensions_that_nobody_asked_for_are_skipped() -> None:
    made = read(Authenticator().register(Said(CHALLENGE, extensions=cbor2.dumps({"credProtect": 2}))))
    assert isinstance(made, Registered)


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=4)))
def test_of_all_flags_presence_is_needed_and_a_backup_needs_eligibility(flags: tuple[bool, bool, bool, bool]) -> None:
    present, verified, eligible, backed_up = flags
    made = read(Authenticator().register(Said(CHALLENGE, "https://example.org", "example.org", *flags)))
    if not present:
        assert made == Refused(Refusal.PRESENCE)
    elif backed_up and not eligible:
        assert made == Refused(Refusal.BACKUP_ELIGIBLE)
    else:
        assert isinstance(made, Registered)
        assert (made.is_verified, made.key.is_backup_eligible, made.key.is_backed_up) == (verified, eligible, backed_up)


FORGED = [
    (Said(b"another challenge"), Refusal.CHALLENGE),
    (Said(CHALLENGE, client={"challenge": None}), Refusal.CHALLENGE),
    (Said(CHALLENGE, client={"type": "webauthn.get"}), Refusal.TYPE),
    (Said(CHALLENGE, client={"type": "payment.get"}), Refusal.TYPE),
    (Said(CHALLENGE, "https://example.com"), Refusal.ORIGIN),
    (Said(CHALLENGE, "https://app.example.org"), Refusal.ORIGIN),
    (Said(CHALLENGE, "http://example.org"), Refusal.ORIGIN),
    (Said(CHALLENGE, "https://example.org:8443"), Refusal.ORIGIN),
    (Said(CHALLENGE, "https://example.org/"), Refusal.ORIGIN),
    (Said(CHALLENGE, "https://EXAMPLE.org"), Refusal.ORIGIN),
    (Said(CHALLENGE, "null"), Refusal.ORIGIN),
    (Said(CHALLENGE, "android:apk-key-hash:4Tb"), Refusal.ORIGIN),
    (Said(CHALLENGE, client={"origin": None}), Refusal.ORIGIN),
    (Said(CHALLENGE, client={"origin": ["https://example.org"]}), Refusal.ORIGIN),
    (Said(CHALLENGE, client={"origin": "https://\ud800"}), Refusal.ORIGIN),
    (Said(CHALLENGE, client={"crossOrigin": True}), Refusal.CROSS_ORIGIN),
    (Said(CHALLENGE, client={"crossOrigin": "false"}), Refusal.CROSS_ORIGIN),
    (Said(CHALLENGE, client={"crossOrigin": 0}), Refusal.CROSS_ORIGIN),
    (Said(CHALLENGE, client={"topOrigin": "https://example.org"}), Refusal.CROSS_ORIGIN),
    (Said(CHALLENGE, rp_id="example.com"), Refusal.RP_ID),
    (Said(CHALLENGE, rp_id="www.example.org"), Refusal.RP_ID),
    (Said(CHALLENGE, is_present=False), Refusal.PRESENCE),
    (Said(CHALLENGE, is_backup_eligible=False), Refusal.BACKUP_ELIGIBLE),
    (Said(CHALLENGE, extensions=b"\x01"), Refusal.MALFORMED),
    (Said(CHALLENGE, extensions=b"\xa0\xa0"), Refusal.MALFORMED),
    (Said(CHALLENGE, extensions=b"\xa1"), Refusal.MALFORMED),
]


@pytest.mark.parametrize(("said", "reason"), FORGED)
def test_what_is_forged_is_refused_with_its_reason(said: Said, reason: Refusal) -> None:
    assert read(Authenticator().register(said)) == Refused(reason)


X, Y = b"\x01" * 32, b"\x02" * 32  # no point of the curve
BIG = 2**2_047 + 1
UNUSABLE = [
    {1: 2, 3: -7, -1: 1, -2: X, -3: Y},
    {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},
    {1: 2, 3: -7, -1: 1, -2: X[1:], -3: Y},
    {1: 2, 3: -7, -1: 2, -2: X, -3: Y},
    {1: 2, 3: -7, -1: 1, -2: X},
    {1: 2, 3: -47, -1: 8, -2: X, -3: Y},  # ES256K
    {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)},  # ES384
    {1: 1, 3: -8, -1: 7, -2: bytes(57)},  # Ed448
    {1: 1, 3: -8, -1: 6, -2: X[1:]},
    {1: 1, 3: -7, -1: 6, -2: X},
    {1: 7, 3: -48, -1: bytes(1_312)},  # ML-DSA-44
    {3: -7},
    {},
    cose_of_rsa(2**2_046 + 1, 65_537),
    cose_of_rsa(2**4_096 + 1, 65_537),
    cose_of_rsa(BIG, 2**32 + 1),
    cose_of_rsa(BIG, 1),
    cose_of_rsa(BIG, 65_536),
    {**cose_of_rsa(BIG, 65_537), 3: -37},  # PS256
    {**cose_of_rsa(BIG, 65_537), 3: -65_535},  # SHA-1
]


@pytest.mark.parametrize("key", UNUSABLE)
def test_a_key_that_can_not_be_used_is_refused(key: dict[int, object]) -> None:
    authenticator = Authenticator()
    authenticator.public_key = cbor2.dumps(key)
    assert read(authenticator.register(SAID)) == Refused(Refusal.ALGORITHM)


@pytest.mark.parametrize("bits", [2_048, 4_096])
def test_an_rsa_key_of_either_end_is_accepted(bits: int) -> None:
    authenticator = Authenticator()
    authenticator.public_key = cbor2.dumps(cose_of_rsa(2 ** (bits - 1) + 1, 65_537))
    assert isinstance(read(authenticator.register(SAID)), Registered)


@pytest.mark.parametrize(("length", "is_fit"), [(0, False), (15, False), (16, True), (1_023, True), (1_024, False)])
def test_a_credential_id_has_16_to_1023_bytes(length: int, is_fit: bool) -> None:
    made = read(Authenticator(credential=b"i" * length).register(SAID))
    assert isinstance(made, Registered) if is_fit else made == Refused(Refusal.MALFORMED)


def test_the_id_of_another_credential_is_refused() -> None:
    other = json.loads(Authenticator(credential=b"j" * 32).register(SAID))["id"]
    text = changed(Authenticator().register(SAID), lambda answer: answer.update(id=other, rawId=other))
    assert read(text) == Refused(Refusal.CREDENTIAL)


def test_an_id_that_is_not_the_raw_id_is_malformed() -> None:
    text = changed(Authenticator().register(SAID), lambda answer: answer.update(id="AAAAAAAAAAAAAAAAAAAAAA"))
    assert read(text) == Refused(Refusal.MALFORMED)


def test_another_type_of_credential_is_refused() -> None:
    for kind in ("password", None, ["public-key"]):
        text = changed(Authenticator().register(SAID), lambda answer, kind=kind: answer.update(type=kind))
        assert read(text) == Refused(Refusal.TYPE)


def test_an_answer_without_a_new_key_is_malformed() -> None:
    attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": SAID.authenticator_data()})
    text = with_part(Authenticator().register(SAID), "attestationObject", lambda _: attestation)
    assert read(text) == Refused(Refusal.MALFORMED)


def test_an_assertion_is_no_registration() -> None:
    assert read(Authenticator().prove(SAID)) == Refused(Refusal.TYPE)


# Attestation.


def read_model(text: str, maker: Maker, *models: str) -> Registered | Refused:
    return read_registration(text, SITE, CHALLENGE, allowed_aaguids=models or {MODEL}, roots=[maker.root_pem])


def attested(maker: Maker, aaguid: bytes = AAGUID) -> str:
    return Authenticator(aaguid=aaguid).register(SAID, maker.attest)


def test_a_model_is_proved_by_its_makers_certificate() -> None:
    for maker in (Maker(), Maker(aaguid=AAGUID)):
        made = read_model(attested(maker), maker)
        assert isinstance(made, Registered)
        assert made.key.aaguid == MODEL


def test_a_file_may_hold_the_roots_of_several_makers() -> None:
    maker = Maker()
    both = Maker().root_pem + maker.root_pem
    made = read_registration(attested(maker), SITE, CHALLENGE, allowed_aaguids={MODEL}, roots=[both])
    assert isinstance(made, Registered)


def test_self_attestation_is_accepted_where_no_model_is_demanded() -> None:
    authenticator = Authenticator(aaguid=AAGUID)
    assert isinstance(read(authenticator.register(SAID, authenticator.attest_itself)), Registered)


def test_no_and_self_attestation_prove_no_model() -> None:
    authenticator, maker = Authenticator(aaguid=AAGUID), Maker()
    for text in (authenticator.register(SAID), authenticator.register(SAID, authenticator.attest_itself)):
        assert read_model(text, maker) == Refused(Refusal.ATTESTATION)


def test_a_model_that_is_not_listed_is_refused() -> None:
    maker = Maker()
    assert read_model(attested(maker, b"o" * 16), maker) == Refused(Refusal.ATTESTATION)
    assert read_model(attested(maker, bytes(16)), maker) == Refused(Refusal.ATTESTATION)


def test_no_model_is_allowed_by_an_empty_list() -> None:
    maker = Maker()
    made = read_registration(attested(maker), SITE, CHALLENGE, allowed_aaguids=(), roots=[maker.root_pem])
    assert made == Refused(Refusal.ATTESTATION)


@pytest.mark.parametrize("roots", [[], [b""], [b"no certificate"], [Maker(root="another").root_pem]])
def test_without_a_root_nothing_is_proved(roots: list[bytes]) -> None:
    made = read_registration(attested(Maker()), SITE, CHALLENGE, allowed_aaguids={MODEL}, roots=roots)
    assert made == Refused(Refusal.ATTESTATION)


@pytest.mark.parametrize(
    "maker",
    [Maker(unit="Sales"), Maker(is_authority=True), Maker(aaguid=b"o" * 16)],
    ids=["not for attestation", "an authority", "for another model"],
)
def test_a_certificate_for_something_else_proves_no_model(maker: Maker) -> None:
    assert read_model(attested(maker), maker) == Refused(Refusal.ATTESTATION)


Change = Callable[[dict[str, object]], object]
STATEMENTS: list[Change] = [
    lambda statement: statement.pop("sig"),
    lambda statement: statement.pop("alg"),
    lambda statement: statement.update(sig=b"no signature"),
    lambda statement: statement.update(sig=7),
    lambda statement: statement.update(sig=[]),
    lambda statement: statement.update(alg=-8),
    lambda statement: statement.update(alg="ES256"),
    lambda statement: statement.update(x5c=[b"no certificate"]),
    lambda statement: statement.update(x5c=[7]),
    lambda statement: statement.update(x5c={}),
    lambda statement: statement.update(x5c=b"bytes"),
    lambda statement: statement.update(x5c=[]),
]


@pytest.mark.parametrize("change", STATEMENTS)
@pytest.mark.parametrize("is_demanded", [False, True])
def test_a_broken_statement_is_refused(change: Change, is_demanded: bool) -> None:
    maker = Maker()

    def attest(signed: bytes) -> tuple[str, dict[str, object]]:
        form, statement = maker.attest(signed)
        change(statement)
        return form, statement

    text = Authenticator(aaguid=AAGUID).register(SAID, attest)
    made = read_model(text, maker) if is_demanded else read(text)
    assert made == Refused(Refusal.ATTESTATION)


@pytest.mark.parametrize(
    "form", ["tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "compound", "", "NONE"]
)
def test_a_format_that_proves_no_model_is_refused(form: str) -> None:
    text = Authenticator().register(SAID, lambda _: (form, {"ver": "2.0"}))
    assert read(text) == Refused(Refusal.ATTESTATION)


def test_none_with_a_statement_is_refused() -> None:
    for statement in ({"sig": b"x"}, {"anything": 1}):
        text = Authenticator().register(SAID, lambda _, given=statement: ("none", given))
        assert read(text) == Refused(Refusal.ATTESTATION)
