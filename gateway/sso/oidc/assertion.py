"""Keys of ours that take a client secret's place: we sign assertions (RFC 7523, `private_key_jwt`).

For Entra ID the key has a certificate, by which it is known there. Its assertions are for the token endpoint, Okta's
for the endpoint that they are sent to, as these products demand. All others get the issuer as the audience: a dishonest
provider could name an honest one's endpoint as its own, and use there what we send (draft-ietf-oauth-rfc7523bis).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret
from gateway.model.token import new_token
from gateway.sso.oidc.record import ClientKey, Kind, Metadata

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

LIFE_SECONDS = 60
CERTIFICATE_DAYS = 730
RSA_BITS = 2_048
KIND_OF_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key, and its public part as a JWK (RFC 7517)."""

    key: ClientKey
    public: str


def algorithm_for(kind: Kind) -> str:
    """Return how assertions for a provider are signed. Entra ID wants PS256, and a certificate."""
    return "PS256" if kind is Kind.ENTRA else "ES256"


def make_key(identity: str, kind: Kind, name: str, now: int) -> NewKey:
    """Make a key for a provider; `name` is the certificate's. Takes up to a second of processor time."""
    # Imported when used: see libraries.load.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    algorithm, certificate = algorithm_for(kind), b""
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "PS256":
        made = rsa.generate_private_key(65_537, RSA_BITS)
        certificate = certify(made, name, now)
    else:
        made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = ClientKey(identity, algorithm, Secret(pem), certificate)
    return NewKey(key, json.dumps(public_part(key), separators=(",", ":")))


def certify(key: Any, name: str, now: int) -> bytes:
    """Return a certificate that the key signs itself, in DER."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begins = datetime.fromtimestamp(now, UTC)
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begins - timedelta(minutes=5),
        not_valid_after=begins + timedelta(days=CERTIFICATE_DAYS),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def public_part(key: ClientKey) -> dict[str, object]:
    public = dict(import_key(key).as_dict(private=False))
    thumbprint = {"x5t#S256": thumbprint_of(key)} if key.certificate else {}
    return {**public, "kid": key.id, "use": "sig", "alg": key.algorithm, **thumbprint}


def import_key(key: ClientKey) -> RSAKey | ECKey:
    from joserfc.jwk import ECKey, RSAKey

    kind = ECKey if key.algorithm == "ES256" else RSAKey
    return kind.import_key(key.private.reveal())


def thumbprint_of(key: ClientKey) -> str:
    """Return the SHA-256 of the certificate (RFC 7515 §4.1.8)."""
    return encode_base64url(sha256(key.certificate).digest())


def audience_of(kind: Kind, metadata: Metadata, url: str) -> str:
    """Return whom an assertion is for that is sent to `url`: never another endpoint than that, or its issuer."""
    is_endpoint = kind is Kind.OKTA or (kind is Kind.ENTRA and url == metadata.token_endpoint)
    return url if is_endpoint else metadata.issuer


def sign_assertion(key: ClientKey, client_id: str, audience: str, now: int) -> str:
    """Return an assertion that the client is us (RFC 7523 §3). It is good once, for a minute."""
    from joserfc import jws

    named = {"x5t#S256": thumbprint_of(key)} if key.certificate else {"kid": key.id}
    header = {"alg": key.algorithm, "typ": "JWT", **named}
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": new_token().reveal(),
        "iat": now,
        "nbf": now,
        "exp": now + LIFE_SECONDS,
    }
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.serialize_compact(header, payload, import_key(key), algorithms=[key.algorithm])
