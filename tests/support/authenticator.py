"""An authenticator in software, with the browser before it: it makes passkeys and proves them, and lies as it is told.

What it says is a `Said`; change a field to forge it before it is signed. `changed` alters an answer afterwards.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

ES256, EDDSA, RS256 = -7, -8, -257
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@dataclass(frozen=True, slots=True)
class Said:
    """What browser and authenticator say in a ceremony. The flags are UP, UV, BE and BS."""

    challenge: bytes
    origin: str = "https://example.org"
    rp_id: str = "example.org"
    is_present: bool = True
    is_verified: bool = True
    is_backup_eligible: bool = True
    is_backed_up: bool = True
    count: int = 0
    handle: bytes | None = b"account"
    client: Mapping[str, object] = field(default_factory=dict)
    """Entries of the client data to add or replace, such as crossOrigin."""
    extensions: bytes = b""
    """CBOR after the key; sets the flag ED."""

    def client_data(self, kind: str) -> bytes:
        told = {"type": kind, "challenge": base64url(self.challenge), "origin": self.origin, "crossOrigin": False}
        return json.dumps({**told, **self.client}).encode()

    def authenticator_data(self, made: bytes = b"") -> bytes:
        bits = (
            (self.is_present, 0x01), (self.is_verified, 0x04), (self.is_backup_eligible, 0x08),
            (self.is_backed_up, 0x10), (made, 0x40), (self.extensions, 0x80),
        )  # fmt: skip
        flags = sum(bit for is_set, bit in bits if is_set)
        rp_id_hash = sha256(self.rp_id.encode()).digest()
        return rp_id_hash + bytes([flags]) + self.count.to_bytes(4) + made + self.extensions


Attest = Callable[[bytes], tuple[str, dict[str, object]]]
"""Returns format and statement of the attestation of what is to be signed."""


class Authenticator:
    """Holds one passkey. `public_key` is its COSE_Key; set it to claim another."""

    def __init__(self, algorithm: int = ES256, *, aaguid: bytes = bytes(16), credential: bytes = bytes(range(32))):
        self.aaguid = aaguid
        self.id = credential
        self.key = private_key(algorithm)
        self.public_key = cbor2.dumps(cose_of(self.key))

    def register(self, said: Said, attest: Attest | None = None, **more: object) -> str:
        """Return the answer to options to make a passkey. `more` are parts of the response, such as transports."""
        client_data = said.client_data(said.client.get("type") or "webauthn.create")  # type: ignore[arg-type]
        length = len(self.id).to_bytes(2)
        data = said.authenticator_data(self.aaguid + length + self.id + self.public_key)
        form, statement = attest(data + sha256(client_data).digest()) if attest else ("none", {})
        attestation = cbor2.dumps({"fmt": form, "attStmt": statement, "authData": data})
        response = {"clientDataJSON": base64url(client_data), "attestationObject": base64url(attestation), **more}
        return self._answer(response, {"credProps": {"rk": True}})

    def prove(self, said: Said) -> str:
        """Return the answer to options to use a passkey."""
        client_data, data = said.client_data("webauthn.get"), said.authenticator_data()
        signature = sign(self.key, data + sha256(client_data).digest())
        response = {
            "clientDataJSON": base64url(client_data),
            "authenticatorData": base64url(data),
            "signature": base64url(signature),
            "userHandle": None if said.handle is None else base64url(said.handle),
        }
        return self._answer(response, {})

    def attest_itself(self, signed: bytes) -> tuple[str, dict[str, object]]:
        """Self attestation: an `Attest`."""
        return "packed", {"alg": cose_of(self.key)[3], "sig": sign(self.key, signed)}

    def _answer(self, response: dict[str, Any], extensions: dict[str, object]) -> str:
        written = base64url(self.id)
        return json.dumps(
            {
                "id": written,
                "rawId": written,
                "type": "public-key",
                "authenticatorAttachment": "platform",
                "clientExtensionResults": extensions,
                "response": response,
            }
        )


class Maker:
    """A maker of authenticators: a root certificate, and one for a model."""

    def __init__(
        self,
        *,
        aaguid: bytes | None = None,
        unit: str = "Authenticator Attestation",
        is_authority: bool = False,
        root: str = "root",
    ) -> None:
        self._root_key = private_key(ES256, root)
        self._key = private_key(ES256, "maker")
        root_name = name_of("Root", "Authorities")
        self.root = certificate(root_name, root_name, self._root_key, self._root_key, is_authority=True)
        model = name_of("Model", unit)
        self.certificate = certificate(model, root_name, self._key, self._root_key, is_authority, aaguid)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def attest(self, signed: bytes) -> tuple[str, dict[str, object]]:
        """An `Attest`."""
        chain = [self.certificate.public_bytes(Encoding.DER)]
        return "packed", {"alg": ES256, "sig": sign(self._key, signed), "x5c": chain}


def changed(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    """Return an answer after `change` to its JSON."""
    answer = json.loads(text)
    change(answer)
    return json.dumps(answer)


def with_part(text: str, name: str, change: Callable[[bytes], bytes]) -> str:
    """Return an answer after `change` to bytes of its response, which are not signed again."""
    answer = json.loads(text)
    answer["response"][name] = base64url(change(unbase64url(answer["response"][name])))
    return json.dumps(answer)


def flipped(value: bytes, at: int, bits: int) -> bytes:
    at %= len(value)
    return value[:at] + bytes([value[at] ^ bits]) + value[at + 1 :]


@cache
def private_key(algorithm: int, name: str = "") -> PrivateKey:
    """Return a key by algorithm and name, made once."""
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == RS256:
        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return ec.generate_private_key(ec.SECP256R1())


def cose_of(key: PrivateKey) -> dict[int, Any]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {1: 2, 3: ES256, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: EDDSA, -1: 6, -2: key.public_key().public_bytes_raw()}
    numbers = key.public_key().public_numbers()
    return cose_of_rsa(numbers.n, numbers.e)


def cose_of_rsa(modulus: int, exponent: int) -> dict[int, Any]:
    return {
        1: 3,
        3: RS256,
        -1: modulus.to_bytes(modulus.bit_length() // 8 + 1).lstrip(b"\0"),
        -2: exponent.to_bytes(8).lstrip(b"\0"),
    }


def sign(key: PrivateKey, content: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    return key.sign(content, padding.PKCS1v15(), SHA256())


def name_of(common: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Makers"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    issuer_key: PrivateKey,
    is_authority: bool = False,
    aaguid: bytes | None = None,
) -> x509.Certificate:
    """Return a certificate that is valid for a day. `aaguid` is the model that it names, if any."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if aaguid is not None:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x04\x10" + aaguid), critical=False)
    return builder.sign(issuer_key, SHA256())
