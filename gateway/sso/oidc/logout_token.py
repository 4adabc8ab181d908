"""Checks logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6). Pure.

Anybody can send one. That it was not received before (`token_id`) is for the caller to see to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.sso.oidc.compact import read_compact, verify
from gateway.sso.oidc.encoding import read_object
from gateway.sso.oidc.id_token import LEEWAY_SECONDS, LONGEST_SECONDS, check_subject, is_filled, read_time
from gateway.sso.oidc.keys import Key
from gateway.sso.oidc.record import Kind, Metadata, Provider, Refusal, Refused, Rejected

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = frozenset(("", "jwt", "logout+jwt"))  # Keycloak and others write "JWT"
MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Logout:
    """What a provider has ended: one sign-in of a person (`session_id`), or all of theirs if that is ""."""

    token_id: str
    subject: str
    session_id: str


def issuer_of(token: str) -> str:
    """Return the issuer that a token names, "" if none. Nothing is verified yet."""
    try:
        issuer = read_object(read_compact(token).payload, Refusal.MALFORMED).get("iss")
    except Rejected:
        return ""
    return issuer if isinstance(issuer, str) else ""


def check_logout_token(
    token: str, provider: Provider, metadata: Metadata, keys: Sequence[Key], now: int
) -> Logout | Refused:
    """Return what a logout token ends. `keys` are those that `KeyRing.find` has for `key_id_of(token)`."""
    try:
        compact = read_compact(token)
        if compact.type not in TYPES:
            raise Rejected(Refusal.TYPE)
        verify(compact, keys, issuer=metadata.issuer, allowed=metadata.algorithms)
        return check_claims(read_object(compact.payload, Refusal.MALFORMED), provider, metadata.issuer, now)
    except Rejected as rejected:
        return rejected.refused


def check_claims(given: Mapping[str, object], provider: Provider, issuer: str, now: int) -> Logout:
    check_purpose(given)
    if given.get("iss") != issuer:
        raise Rejected(Refusal.ISSUER)
    if given.get("aud") not in (provider.client_id, [provider.client_id]):
        raise Rejected(Refusal.AUDIENCE)
    check_times(given, now)
    identity = given.get("jti")
    if not is_filled(identity) or len(identity) > MAX_ID or not identity.isprintable():
        raise Rejected(Refusal.TOKEN_ID)
    return Logout(identity, *read_whom(given, provider.kind))


def check_purpose(given: Mapping[str, object]) -> None:
    """Refuse other tokens of the same provider, which have the same audience: ID tokens before all."""
    events = given.get("events")
    # Keycloak adds a member of its own. An event of another kind alone is no sign-out.
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise Rejected(Refusal.NO_LOGOUT_EVENT)
    if "nonce" in given:
        raise Rejected(Refusal.NONCE)
    if str(given.get("typ", "logout")).lower() != "logout" or "token_use" in given:
        raise Rejected(Refusal.TYPE)


def check_times(given: Mapping[str, object], now: int) -> None:
    """Check that the token is not older than LONGEST_SECONDS, whatever it says of its end."""
    expires, issued, begins = read_time(given, "exp"), read_time(given, "iat"), read_time(given, "nbf")
    if issued is None:
        raise Rejected(Refusal.TIMES)
    if expires is not None and now >= expires + LEEWAY_SECONDS:
        raise Rejected(Refusal.EXPIRED)
    if issued > now + LEEWAY_SECONDS:
        raise Rejected(Refusal.ISSUED_IN_FUTURE)
    if issued < now - LONGEST_SECONDS:
        raise Rejected(Refusal.ISSUED_LONG_AGO)
    if begins is not None and begins > now + LEEWAY_SECONDS:
        raise Rejected(Refusal.NOT_YET_VALID)


def read_whom(given: Mapping[str, object], kind: Kind) -> tuple[str, str]:
    """Return subject and session id. Entra ID's `sub` is not what people are known by (Claims.key): it is left out."""
    subject, session_id = "", ""
    if "sub" in given:
        check_subject(given["sub"])
        subject = "" if kind is Kind.ENTRA else str(given["sub"])
    if "sid" in given:
        check_subject(given["sid"])
        session_id = str(given["sid"])
    if not subject and not session_id:
        raise Rejected(Refusal.SUBJECT)
    return subject, session_id
