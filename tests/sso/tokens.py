"""Real keys, and tokens signed with them: well-formed, or wrong in every way that a test wants."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Json = dict[str, object]
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8))


def write(value: object) -> str:
    """Return a part of a token: bytes as they are, anything else as JSON."""
    return encode(value if isinstance(value, bytes) else json.dumps(value).encode())


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of a provider, and its name there."""

    id: str
    private: Private

    @property
    def jwk(self) -> Json:
        match self.private.public_key():
            case rsa.RSAPublicKey() as key:
                numbers = key.public_numbers()
                named: Json = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
            case ec.EllipticCurvePublicKey() as curve:
                point, size = curve.public_numbers(), (curve.key_size + 7) // 8
                x, y = encode(point.x.to_bytes(size)), encode(point.y.to_bytes(size))
                named = {"kty": "EC", "crv": f"P-{curve.key_size}", "x": x, "y": y}
            case ed25519.Ed25519PublicKey() as edwards:
                named = {"kty": "OKP", "crv": "Ed25519", "x": encode(edwards.public_bytes_raw())}
            case ed448.Ed448PublicKey() as edwards_448:
                named = {"kty": "OKP", "crv": "Ed448", "x": encode(edwards_448.public_bytes_raw())}
        return {"kid": self.id, "use": "sig", **named}

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, signed: bytes, algorithm: str) -> bytes:
        """Sign with the key as its type allows, whatever the header calls it."""
        match self.private:
            case rsa.RSAPrivateKey() as key if algorithm.startswith("PS"):
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
                return key.sign(signed, pss, hashes.SHA256())
            case rsa.RSAPrivateKey() as key:
                return key.sign(signed, padding.PKCS1v15(), hashes.SHA512() if "512" in algorithm else hashes.SHA256())
            case ec.EllipticCurvePrivateKey() as curve:
                size = (curve.key_size + 7) // 8
                both = decode_dss_signature(curve.sign(signed, ec.ECDSA(hashes.SHA256())))
                return b"".join(each.to_bytes(size) for each in both)
            case edwards:
                return edwards.sign(signed)

    def token(self, header: object, payload: object, algorithm: str) -> str:
        signed = f"{write(header)}.{write(payload)}"
        return f"{signed}.{encode(self.sign(signed.encode(), algorithm))}"


def with_hmac(header: Json, payload: object, secret: bytes) -> str:
    signed = f"{write(header)}.{write(payload)}"
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@cache
def signer(name: str) -> Signer:
    """Return a key by name, the same each time: of an algorithm, "foreign" and an algorithm, or a weak one."""
    makers: dict[str, Callable[[], Private]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "Ed448": ed448.Ed448PrivateKey.generate,
        "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),
    }
    made = makers.get(name.removeprefix("foreign "), lambda: rsa.generate_private_key(65537, 2048))()
    return Signer(f"key of {name}", made)
