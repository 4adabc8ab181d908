"""Every key of the gateway, derived from its one secret (HKDF, RFC 5869).

Machines that share the secret share the keys, and only the secret has to be backed up. The newest secret signs and
encrypts; all of them verify, so a new one can be put in front without signing people out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derive(secret: Secret[bytes], purpose: str, length: int) -> bytes:
    """Return `length` bytes for `purpose`; the bytes of one purpose reveal nothing about those of another."""
    return HKDF(SHA256(), length, salt=None, info=f"otium-gateway/{purpose}".encode()).derive(secret.reveal())


def assertion_key(secret: Secret[bytes]) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key that signs assertions."""
    # 48 bytes for a 32-byte order: the bias of the remainder is below 2**-128 (FIPS 186-5, A.2.1).
    scalar = int.from_bytes(derive(secret, "assertion/es256", 48)) % (P256_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def public_key_set(secrets: Sequence[Secret[bytes]]) -> dict[str, list[dict[str, str]]]:
    """Return the JWK set (RFC 7517 §5) with which an upstream verifies assertions."""
    keys = (assertion_key(secret).public_key() for secret in secrets)
    return {"keys": [{**jwk(key), "use": "sig", "alg": "ES256", "kid": key_id(key)} for key in keys]}


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return the thumbprint of a key (RFC 7638 §3): the hash of its JWK with the names in order, without spaces."""
    text = json.dumps(jwk(key), separators=(",", ":"), sort_keys=True)
    return encode_base64url(sha256(text.encode("ascii")).digest())


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the JWK of a P-256 key, with its required members only (RFC 7518 §6.2.1)."""
    point = key.public_numbers()
    x, y = (encode_base64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def checkpoint_key(secret: Secret[bytes]) -> Ed25519PrivateKey:
    """Return the Ed25519 key that signs checkpoints of the audit log (RFC 8032: any 32 bytes are a valid key)."""
    return Ed25519PrivateKey.from_private_bytes(derive(secret, "audit-checkpoint/ed25519", 32))
