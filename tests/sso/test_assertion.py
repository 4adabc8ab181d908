"""What we sign in a client secret's place, as another library reads it."""

from __future__ import annotations

import json
import ssl
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jwt
from joserfc.jwk import import_key

from gateway.sso.oidc.assertion import (
    CERTIFICATE_DAYS,
    NewKey,
    algorithm_for,
    audience_of,
    make_key,
    sign_assertion,
    thumbprint_of,
)
from gateway.sso.oidc.record import Kind, Metadata

NOW = 1_800_000_000
ISSUER = "https://id.example.com"
METADATA = Metadata(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/jwks", frozenset(("RS256",)))
KINDS = (Kind.GENERIC, Kind.ENTRA)


@pytest.fixture(scope="module")
def made() -> dict[Kind, NewKey]:
    return {kind: make_key("key_1", kind, "Single sign-on acme", NOW) for kind in KINDS}


def header_of(token: str) -> dict[str, str]:
    part = token.partition(".")[0]
    return dict(json.loads(urlsafe_b64decode(part + "==")))


@pytest.mark.parametrize("kind", KINDS)
def test_an_assertion_is_verified_by_the_public_part(made: dict[Kind, NewKey], kind: Kind) -> None:
    one = made[kind]
    token = sign_assertion(one.key, "client 1", ISSUER, NOW)
    read = jwt.decode(token, import_key(json.loads(one.public)), algorithms=[algorithm_for(kind)])
    assert read.claims.pop("jti")
    assert read.claims == {
        "iss": "client 1", "sub": "client 1", "aud": ISSUER, "iat": NOW, "nbf": NOW, "exp": NOW + 60,
    }  # fmt: skip


def test_no_two_assertions_are_the_same(made: dict[Kind, NewKey]) -> None:
    key = made[Kind.GENERIC].key
    tokens = [jwt.decode(sign_assertion(key, "c", ISSUER, NOW), import_key(json.loads(made[Kind.GENERIC].public)))]
    tokens += [jwt.decode(sign_assertion(key, "c", ISSUER, NOW), import_key(json.loads(made[Kind.GENERIC].public)))]
    assert len({token.claims["jti"] for token in tokens}) == 2


def test_the_header_names_the_key_as_its_provider_knows_it(made: dict[Kind, NewKey]) -> None:
    generic, entra = (sign_assertion(made[kind].key, "c", ISSUER, NOW) for kind in KINDS)
    assert header_of(generic) == {"alg": "ES256", "typ": "JWT", "kid": "key_1"}
    thumbprint = thumbprint_of(made[Kind.ENTRA].key)
    assert header_of(entra) == {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}


@pytest.mark.parametrize(
    ("kind", "at_token", "at_par"),
    [
        (Kind.ENTRA, f"{ISSUER}/token", ISSUER),
        (Kind.OKTA, f"{ISSUER}/token", "https://evil.example/par"),
        (Kind.GENERIC, ISSUER, ISSUER),
        (Kind.KEYCLOAK, ISSUER, ISSUER),
        (Kind.GOOGLE, ISSUER, ISSUER),
    ],
)
def test_the_audience_is_what_the_product_takes_and_never_another_endpoint(
    kind: Kind, at_token: str, at_par: str
) -> None:
    """Otherwise a provider could name the token endpoint of another one, and be sent what is good there."""
    assert audience_of(kind, METADATA, METADATA.token_endpoint) == at_token
    assert audience_of(kind, METADATA, "https://evil.example/par") == at_par


def test_the_certificate_is_of_the_key_and_for_two_years(made: dict[Kind, NewKey]) -> None:
    key = made[Kind.ENTRA].key
    read = x509.load_pem_x509_certificate(ssl.DER_cert_to_PEM_cert(key.certificate).encode())
    read.verify_directly_issued_by(read)
    public = read.public_key()
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == 2048
    assert read.not_valid_before_utc < datetime.fromtimestamp(NOW, UTC)
    assert (read.not_valid_after_utc - datetime.fromtimestamp(NOW, UTC)).days == CERTIFICATE_DAYS
    assert read.subject.rfc4514_string() == "CN=Single sign-on acme"
    assert made[Kind.GENERIC].key.certificate == b""


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_private_is_shown(made: dict[Kind, NewKey], kind: Kind) -> None:
    public = json.loads(made[kind].public)
    assert {"d", "p", "q", "dp", "dq", "qi"}.isdisjoint(public)
    assert (public["kid"], public["use"], public["alg"]) == ("key_1", "sig", algorithm_for(kind))
    assert "PRIVATE" not in repr(made[kind])
