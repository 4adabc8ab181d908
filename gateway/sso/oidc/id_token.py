"""Checks ID tokens (OpenID Connect Core 1.0 §3.1.3.7). Pure.

Every check gives its own reason. The token comes from the provider's token endpoint over TLS; it is nevertheless
checked as if a stranger had sent it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret
from gateway.model.token import is_same
from gateway.sso.oidc import entra
from gateway.sso.oidc.claims import read_claims
from gateway.sso.oidc.compact import Compact, read_compact, verify
from gateway.sso.oidc.encoding import read_object
from gateway.sso.oidc.keys import Key
from gateway.sso.oidc.record import Claims, Kind, Metadata, Provider, Refusal, Refused, Rejected

LEEWAY_SECONDS = 60
FRESH_LEEWAY_SECONDS = 30  # shorter: within it, a sign-in before the question passes for one after it
LONGEST_SECONDS = 600  # from the token's making until we have it
MAX_SUBJECT = 255
GOOGLE = "https://accounts.google.com"
# What Keycloak (`typ`) and Cognito (`token_use`) call their other tokens.
NOT_ID_TOKENS = frozenset(("bearer", "refresh", "offline", "logout", "access"))


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token has to be like. `algorithms` are those of the provider's metadata.

    `access_token` is the one that came with it, if one did. With `max_age` (seconds), the person must have signed in at
    the provider no longer than that before `asked_at` (UTC seconds; by default now), give or take FRESH_LEEWAY_SECONDS.
    """

    issuer: str
    client_id: str
    kind: Kind
    algorithms: frozenset[str]
    nonce: Secret[str]
    access_token: Secret[str] | None = None
    max_age: int | None = None
    asked_at: int | None = None


def expect(
    provider: Provider,
    metadata: Metadata,
    nonce: Secret[str],
    *,
    access_token: Secret[str] | None = None,
    max_age: int | None = None,
    asked_at: int | None = None,
) -> Expected:
    """Return what a token of a provider has to be like."""
    return Expected(
        metadata.issuer, provider.client_id, provider.kind, metadata.algorithms, nonce, access_token, max_age, asked_at
    )


def check_id_token(token: str, expected: Expected, keys: Sequence[Key], now: int) -> Claims | Refused:
    """Return the claims of an ID token. `keys` are those that `KeyRing.find` has for `key_id_of(token)`."""
    try:
        compact = read_compact(token)
        if compact.type not in ("", "jwt"):
            raise Rejected(Refusal.TYPE)
        verify(compact, keys, issuer=expected.issuer, allowed=expected.algorithms)
        given = read_object(compact.payload, Refusal.MALFORMED)
        return check_claims(given, compact, expected, now)
    except Rejected as rejected:
        return rejected.refused


def check_claims(given: Mapping[str, object], compact: Compact, expected: Expected, now: int) -> Claims:
    check_purpose(given)
    if given.get("iss") != expected.issuer:
        raise Rejected(Refusal.ISSUER)
    check_audience(given, expected.client_id)
    check_subject(given.get("sub"))
    check_times(given, now)
    check_nonce(given.get("nonce"), expected.nonce)
    if expected.access_token is not None and "at_hash" in given:
        check_access_token(given["at_hash"], expected.access_token, compact.algorithm)
    auth_time = check_auth_time(given, expected, now)
    if expected.kind is Kind.ENTRA:
        check_entra(given, expected.issuer)
    if (expected.kind is Kind.GOOGLE or expected.issuer == GOOGLE) and not is_filled(given.get("hd")):
        raise Rejected(Refusal.HOSTED_DOMAIN)
    return read_claims(given, expected.kind, auth_time=auth_time)


def check_purpose(given: Mapping[str, object]) -> None:
    """Refuse other tokens of the same provider, which may have the same audience."""
    if "events" in given:  # Back-Channel Logout 1.0 §2.4
        raise Rejected(Refusal.LOGOUT_TOKEN)
    for name in ("typ", "token_use"):
        if str(given.get(name)).lower() in NOT_ID_TOKENS:
            raise Rejected(Refusal.ACCESS_TOKEN)


def check_audience(given: Mapping[str, object], client_id: str) -> None:
    """Check that the token is for us. If it is for others as well, it must have been issued to us (`azp`)."""
    audience, party = given.get("aud"), given.get("azp")
    if isinstance(audience, list):
        if client_id not in audience or not all(isinstance(each, str) for each in audience):
            raise Rejected(Refusal.AUDIENCE)
        if party is None:
            raise Rejected(Refusal.AUTHORISED_PARTY)
    elif audience != client_id:
        raise Rejected(Refusal.AUDIENCE)
    if party is not None and party != client_id:
        raise Rejected(Refusal.AUTHORISED_PARTY)


def check_subject(subject: object) -> None:
    """Check that it is up to 255 characters of ASCII (§2)."""
    if not is_filled(subject) or len(subject) > MAX_SUBJECT or not (subject.isascii() and subject.isprintable()):
        raise Rejected(Refusal.SUBJECT)


def check_times(given: Mapping[str, object], now: int) -> None:
    expires, issued, begins = read_time(given, "exp"), read_time(given, "iat"), read_time(given, "nbf")
    if expires is None or issued is None:
        raise Rejected(Refusal.TIMES)
    if now >= expires + LEEWAY_SECONDS:
        raise Rejected(Refusal.EXPIRED)
    if issued > now + LEEWAY_SECONDS:
        raise Rejected(Refusal.ISSUED_IN_FUTURE)
    if issued < now - LONGEST_SECONDS:
        raise Rejected(Refusal.ISSUED_LONG_AGO)
    if begins is not None and begins > now + LEEWAY_SECONDS:
        raise Rejected(Refusal.NOT_YET_VALID)


def read_time(given: Mapping[str, object], name: str) -> int | None:
    """Return a NumericDate in UTC seconds (RFC 7519 §2), or None if there is none."""
    value = given.get(name)
    if value is None and name not in given:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Rejected(Refusal.TIMES)
    return int(value)


def check_nonce(nonce: object, expected: Secret[str]) -> None:
    """Check that the token answers this attempt, and is not that of another one."""
    if not isinstance(nonce, str) or not is_same(nonce.encode("utf-8"), expected.reveal().encode("utf-8")):
        raise Rejected(Refusal.NONCE)


def check_access_token(found: object, access_token: Secret[str], algorithm: str) -> None:
    """Check `at_hash` (§3.1.3.6): half of the hash that the signature uses."""
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = digest(access_token.reveal().encode("utf-8")).digest()
    half = encode_base64url(whole[: len(whole) // 2])
    if not isinstance(found, str) or not is_same(found.encode("utf-8"), half.encode("ascii")):
        raise Rejected(Refusal.ACCESS_TOKEN_HASH)


def check_auth_time(given: Mapping[str, object], expected: Expected, now: int) -> int | None:
    """Return when the person signed in at the provider, which must be recent if that was asked for."""
    at = read_time(given, "auth_time")
    if at is not None and at > now + LEEWAY_SECONDS:
        raise Rejected(Refusal.AUTHENTICATED_IN_FUTURE)
    if expected.max_age is None:
        return at
    if at is None:
        raise Rejected(Refusal.NO_AUTH_TIME)
    asked_at = now if expected.asked_at is None else expected.asked_at
    if not is_since(at, asked_at - expected.max_age):
        raise Rejected(Refusal.AUTHENTICATED_LONG_AGO)
    return at


def is_since(at: int, since: int) -> bool:
    """Whether somebody signed in after a time of ours, as far as the provider's clock can tell."""
    return at >= since - FRESH_LEEWAY_SECONDS


def check_entra(given: Mapping[str, object], issuer: str) -> None:
    """Check that the token is of the issuer's tenant, and says by what the person is known there."""
    tenant, identity = entra.tenant_of(issuer), given.get("oid")
    if not tenant or given.get("tid") != tenant or tenant == entra.PERSONAL:
        raise Rejected(Refusal.TENANT)
    if not isinstance(identity, str) or not entra.GUID.fullmatch(identity):
        raise Rejected(Refusal.OBJECT_ID)


def is_filled(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)
