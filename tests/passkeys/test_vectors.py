"""The test vectors of the specification (WebAuthn L3 §16), as they are and altered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.passkey.ceremony import (
    Asserted,
    Key,
    Refusal,
    Refused,
    Registered,
    Site,
    id_of,
    read_assertion,
    read_registration,
)
from tests.support.authenticator import base64url, flipped, unbase64url, with_part

FOUND = json.loads((Path(__file__).parent / "vectors.json").read_text())
VECTORS: dict[str, Any] = FOUND["vectors"]
ROOT = x509.load_der_x509_certificate(bytes.fromhex(FOUND["attestation_ca_cert"])).public_bytes(Encoding.PEM)
SITE = Site("example.org", frozenset({"https://example.org"}))

ACCEPTED = [
    "none.ES256", "packed-self.ES256", "none.ES256.long-credential-id", "packed.ES256", "packed.RS256", "packed.EdDSA",
]  # fmt: skip
WITH_CERTIFICATE = ["packed.ES256", "packed.RS256", "packed.EdDSA"]
IN_A_FRAME = ["none.ES256.crossOrigin", "none.ES256.topOrigin"]
OTHER_FORMATS = ["android-key.ES256", "apple.ES256", "fido-u2f.ES256"]

names = pytest.mark.parametrize("name", ACCEPTED)
positions = st.integers(0, 10_000)
bits = st.integers(1, 255)


def registration(name: str) -> tuple[str, bytes]:
    """Return the answer and its challenge."""
    return answer(name, "registration", "clientDataJSON", "attestationObject")


def assertion(name: str) -> tuple[str, bytes]:
    return answer(name, "authentication", "clientDataJSON", "authenticatorData", "signature")


def answer(name: str, kind: str, *parts: str) -> tuple[str, bytes]:
    vector = VECTORS[name][kind]
    written = base64url(bytes.fromhex(VECTORS[name]["registration"]["credential_id"]))
    response = {part: base64url(bytes.fromhex(vector[part])) for part in parts}
    text = json.dumps({"id": written, "rawId": written, "type": "public-key", "response": response})
    return text, bytes.fromhex(vector["challenge"])


def register(name: str) -> Key:
    text, challenge = registration(name)
    made = read_registration(text, SITE, challenge)
    assert isinstance(made, Registered), made
    return made.key


def prove(text: str, challenge: bytes, key: Key) -> Asserted | Refused:
    return read_assertion(
        text, SITE, challenge, key, handle=b"account", needs_verification=False, needs_handle=False
    )  # fmt: skip


def test_every_vector_is_used() -> None:
    assert {*ACCEPTED, *IN_A_FRAME, *OTHER_FORMATS} == set(VECTORS)


@names
def test_a_registration_is_accepted(name: str) -> None:
    key = register(name)
    vector = VECTORS[name]["registration"]
    assert key.id.hex() == vector["credential_id"]
    assert key.aaguid.replace("-", "") == vector["aaguid"]
    assert key.public_key.hex() in vector["attestationObject"]
    assert id_of(registration(name)[0]) == key.id


@names
def test_its_assertion_is_accepted(name: str) -> None:
    text, challenge = assertion(name)
    flags = bytes.fromhex(VECTORS[name]["authentication"]["authenticatorData"])[32]
    assert prove(text, challenge, register(name)) == Asserted(bool(flags & 0x04), 0, bool(flags & 0x10), False)


@pytest.mark.parametrize("name", IN_A_FRAME)
def test_a_vector_from_a_frame_of_another_site_is_refused(name: str) -> None:
    text, challenge = registration(name)
    assert read_registration(text, SITE, challenge) == Refused(Refusal.CROSS_ORIGIN)


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_an_attestation_that_nobody_asked_for_is_refused(name: str) -> None:
    text, challenge = registration(name)
    assert read_registration(text, SITE, challenge) == Refused(Refusal.ATTESTATION)


@pytest.mark.parametrize("name", WITH_CERTIFICATE)
def test_a_vector_with_a_certificate_proves_its_model(name: str) -> None:
    text, challenge = registration(name)
    model = register(name).aaguid
    made = read_registration(text, SITE, challenge, allowed_aaguids={model}, roots=[ROOT])
    assert isinstance(made, Registered)
    assert made.key.aaguid == model


@pytest.mark.parametrize("name", ["none.ES256", "packed-self.ES256", *OTHER_FORMATS])
def test_any_other_does_not(name: str) -> None:
    text, challenge = registration(name)
    aaguid = VECTORS[name]["registration"]["aaguid"]
    model = f"{aaguid[:8]}-{aaguid[8:12]}-{aaguid[12:16]}-{aaguid[16:20]}-{aaguid[20:]}"
    made = read_registration(text, SITE, challenge, allowed_aaguids={model}, roots=[ROOT])
    assert made == Refused(Refusal.ATTESTATION)


@names
@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature"])
@given(at=positions, flip=bits)
def test_an_assertion_with_one_altered_byte_is_refused(name: str, part: str, at: int, flip: int) -> None:
    text, challenge = assertion(name)
    altered = with_part(text, part, lambda value: flipped(value, at, flip))
    assert isinstance(prove(altered, challenge, register(name)), Refused)


@given(at=positions, flip=bits, part=st.sampled_from(["clientDataJSON", "attestationObject"]))
def test_a_self_attested_registration_with_one_altered_byte_is_refused(at: int, flip: int, part: str) -> None:
    text, challenge = registration("packed-self.ES256")
    altered = with_part(text, part, lambda value: flipped(value, at, flip))
    assert isinstance(read_registration(altered, SITE, challenge), Refused)


@pytest.mark.parametrize("name", WITH_CERTIFICATE)
@given(at=positions, flip=bits, part=st.sampled_from(["clientDataJSON", "attestationObject"]))
def test_a_registration_whose_model_is_proved_with_one_altered_byte_is_refused(
    name: str, at: int, flip: int, part: str
) -> None:
    text, challenge = registration(name)
    aaguid = register(name).aaguid
    altered = with_part(text, part, lambda value: flipped(value, at, flip))
    made = read_registration(altered, SITE, challenge, allowed_aaguids={aaguid}, roots=[ROOT])
    assert isinstance(made, Refused)


@given(at=positions, flip=bits, part=st.sampled_from(["clientDataJSON", "attestationObject"]))
def test_no_altered_registration_raises(at: int, flip: int, part: str) -> None:
    """Without attestation nothing signs it, so an altered AAGUID, for one, is accepted."""
    text, challenge = registration("none.ES256")
    altered = with_part(text, part, lambda value: flipped(value, at, flip))
    made = read_registration(altered, SITE, challenge)
    if isinstance(made, Registered):
        assert unbase64url(json.loads(altered)["rawId"]) == made.key.id


@names
@given(end=positions, part=st.sampled_from(["clientDataJSON", "attestationObject"]))
def test_a_truncated_registration_is_malformed(name: str, end: int, part: str) -> None:
    text, challenge = registration(name)
    altered = with_part(text, part, lambda value: value[: end % len(value)])
    assert read_registration(altered, SITE, challenge) == Refused(Refusal.MALFORMED)


@names
def test_the_key_of_another_vector_does_not_verify_an_assertion(name: str) -> None:
    other = register(next(each for each in ACCEPTED if each != name))
    key = register(name)
    text, challenge = assertion(name)
    assert prove(text, challenge, other) == Refused(Refusal.CREDENTIAL)
    swapped = Key(
        key.id, other.public_key, 0, key.is_backup_eligible, False, "", (), None, "example.org"
    )  # fmt: skip
    assert prove(text, challenge, swapped) == Refused(Refusal.SIGNATURE)
