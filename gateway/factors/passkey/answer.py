"""The parts of a browser's answer, and the checks that both ceremonies share (WebAuthn L3 §7.1, §7.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from gateway.factors.passkey.encoding import (
    CBORReader,
    decode_cbor,
    decode_json,
    decode_text,
    malformed,
    read_bytes,
)
from gateway.factors.passkey.options import EDDSA, ES256, RS256
from gateway.factors.passkey.record import Refusal, Rejected, Site
from gateway.model.base64url import encode_base64url

MAX_BYTES = 65_536  # of an answer; one with certificates has about 10,000
CREDENTIAL_ID_BYTES = range(16, 1_024)  # WebAuthn L3 §4, "credential ID"
RSA_BITS = range(2_048, 4_097)
MAX_RSA_EXPONENT = 2**32


class COSE:
    """Key types, algorithms and curves of COSE_Key (RFC 9053 §7)."""

    OKP, EC2, RSA = 1, 2, 3
    ES256, EDDSA, RS256 = ES256, EDDSA, RS256
    P256, ED25519 = 1, 6


# WebAuthn L3 §5.8.4: keep those that are unknown, but not whatever a script may send instead.
MAX_TRANSPORTS = 8
TRANSPORT = re.compile(r"[a-z-]{1,20}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A `PublicKeyCredential` (WebAuthn L3 §5.1), which the browser's toJSON() wrote."""

    id: bytes
    response: Mapping[str, object]
    extensions: Mapping[str, object]

    def read(self, name: str) -> bytes:
        """Return bytes of the response, which must be there."""
        return read_bytes(self.response.get(name))

    @property
    def transports(self) -> tuple[str, ...]:
        """Return how the authenticator can be reached, sorted; () if the browser doesn't say."""
        found = self.response.get("transports", [])
        if not isinstance(found, list):
            raise malformed()
        fit = {each for each in found if isinstance(each, str) and TRANSPORT.fullmatch(each)}
        return tuple(sorted(fit)[:MAX_TRANSPORTS])

    @property
    def is_discoverable(self) -> bool | None:
        properties = self.extensions.get("credProps")
        told = properties.get("rk") if isinstance(properties, dict) else None
        return told if isinstance(told, bool) else None

    def keep(self, *names: str) -> dict[str, object]:
        """Return the JSON with only these parts of the response: those that were read and checked here."""
        written = encode_base64url(self.id)
        response = {name: self.response[name] for name in names}
        return {"id": written, "rawId": written, "type": "public-key", "response": response}


def read_answer(text: str) -> Answer:
    if len(text) > MAX_BYTES:
        raise malformed()
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise malformed() from None
    if size > MAX_BYTES:
        raise malformed()
    answer = decode_json(text)
    if answer.get("type") != "public-key":
        raise Rejected(Refusal.TYPE)
    credential = read_bytes(answer.get("rawId"))
    if answer.get("id") != answer["rawId"] or len(credential) not in CREDENTIAL_ID_BYTES:
        raise malformed()
    response = answer.get("response")
    extensions = answer.get("clientExtensionResults", {})
    if not isinstance(response, dict) or not isinstance(extensions, dict):
        raise malformed()
    return Answer(credential, response, extensions)


def check_client_data(data: bytes, kind: str, site: Site, challenge: bytes) -> None:
    """Check what the browser says of the ceremony. `kind` is "webauthn.create" or "webauthn.get"."""
    told = decode_json(decode_text(data))  # §7.1 steps 5 and 6, §7.2 steps 8 and 9
    if told.get("type") != kind:  # §7.1 step 7, §7.2 step 10
        raise Rejected(Refusal.TYPE)
    if told.get("challenge") != encode_base64url(challenge):  # §7.1 step 8, §7.2 step 11
        raise Rejected(Refusal.CHALLENGE)
    origin = told.get("origin")
    if not isinstance(origin, str) or origin not in site.origins:  # §7.1 step 9, §7.2 step 12
        raise Rejected(Refusal.ORIGIN)
    # §7.1 steps 10 and 11, §7.2 steps 13 and 14: our pages are in nobody's frame.
    if told.get("crossOrigin", False) is not False or "topOrigin" in told:
        raise Rejected(Refusal.CROSS_ORIGIN)


class Flag(IntFlag):
    """Flags of authenticator data (WebAuthn L3 §6.1)."""

    PRESENT = 0x01
    VERIFIED = 0x04
    BACKUP_ELIGIBLE = 0x08
    BACKED_UP = 0x10
    HAS_KEY = 0x40
    HAS_EXTENSIONS = 0x80


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key in authenticator data (WebAuthn L3 §6.5.1). `public_key` is a COSE_Key."""

    aaguid: bytes
    id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    rp_id_hash: bytes
    flags: Flag
    sign_count: int
    made: MadeKey | None


def read_authenticator_data(data: bytes) -> AuthenticatorData:
    """Read all of it (WebAuthn L3 §6.1). Extensions are skipped: we ask for none."""
    reader = CBORReader(data)
    rp_id_hash, flags, sign_count = reader.take(32), Flag(reader.take(1)[0]), int.from_bytes(reader.take(4))
    made = None
    if Flag.HAS_KEY in flags:
        aaguid = reader.take(16)
        credential = reader.take(int.from_bytes(reader.take(2)))
        start = reader.at
        reader.read()
        made = MadeKey(aaguid, credential, data[start : reader.at])
    if Flag.HAS_EXTENSIONS in flags and not isinstance(reader.read(), dict):
        raise malformed()
    if reader.at != len(data):
        raise malformed()
    return AuthenticatorData(rp_id_hash, flags, sign_count, made)


def check_authenticator_data(data: AuthenticatorData, site: Site, *, needs_verification: bool) -> None:
    if data.rp_id_hash != sha256(site.rp_id.encode("utf-8")).digest():  # §7.1 step 14, §7.2 step 15
        raise Rejected(Refusal.RP_ID)
    if Flag.PRESENT not in data.flags:  # §7.1 step 15, §7.2 step 16
        raise Rejected(Refusal.PRESENCE)
    if needs_verification and Flag.VERIFIED not in data.flags:  # §7.1 step 16, §7.2 step 17
        raise Rejected(Refusal.VERIFICATION)
    if Flag.BACKED_UP in data.flags and Flag.BACKUP_ELIGIBLE not in data.flags:  # §7.1 step 17, §7.2 step 18
        raise Rejected(Refusal.BACKUP_ELIGIBLE)


def check_public_key(encoded: bytes) -> None:
    """Check that a COSE_Key (RFC 9052 §7) is of an algorithm that we offer, and can be used (§7.1 step 20)."""
    try:
        match decode_cbor(encoded):
            case {1: COSE.EC2, 3: COSE.ES256, -1: COSE.P256, -2: bytes(x), -3: bytes(y)} if len(x) == len(y) == 32:
                EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), SECP256R1()).public_key()
            case {1: COSE.OKP, 3: COSE.EDDSA, -1: COSE.ED25519, -2: bytes(x)}:
                Ed25519PublicKey.from_public_bytes(x)
            case {1: COSE.RSA, 3: COSE.RS256, -1: bytes(n), -2: bytes(e)}:
                _check_rsa(int.from_bytes(n), int.from_bytes(e))
            case _:
                raise Rejected(Refusal.ALGORITHM)
    except ValueError:  # not a point of the curve, for example
        raise Rejected(Refusal.ALGORITHM) from None


def _check_rsa(modulus: int, exponent: int) -> None:
    if modulus.bit_length() not in RSA_BITS or exponent >= MAX_RSA_EXPONENT:
        raise Rejected(Refusal.ALGORITHM)
    RSAPublicNumbers(exponent, modulus).public_key()
