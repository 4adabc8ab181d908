"""Logout tokens: the kinds that providers send are accepted, and nothing else, each refusal with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gateway.model.secret import Secret
from gateway.sso.oidc.compact import MAX_TOKEN
from gateway.sso.oidc.id_token import check_id_token, expect
from gateway.sso.oidc.keys import Key
from gateway.sso.oidc.logout_token import EVENT, Logout, check_logout_token, issuer_of
from gateway.sso.oidc.record import ALGORITHMS, Kind, Metadata, Provider, Refusal, Refused
from tests.sso import test_id_token
from tests.sso.test_id_token import (
    CLIENT,
    ENTRA_ISSUER,
    FOREIGN,
    GOOGLE,
    HS256,
    ISSUER,
    NAMES,
    NOW,
    OTHER_TENANT,
    keys,
    keys_of,
)
from tests.sso.tokens import Json, signer, with_hmac, write

METADATA = Metadata(ISSUER, f"{ISSUER}/a", f"{ISSUER}/t", f"{ISSUER}/j", ALGORITHMS)
PROVIDER = Provider("idp_1", "acme", ISSUER, CLIENT, Secret("s"), Kind.GENERIC, ("openid",), is_enabled=True)
ENTRA = replace(PROVIDER, issuer=ENTRA_ISSUER, kind=Kind.ENTRA)
CLAIMS: Json = {
    "iss": ISSUER,
    "aud": CLIENT,
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "1",
    "events": {EVENT: {}},
    "sub": "erin",
    "sid": "08a5019c",
}


def make(
    claims: Json | bytes = CLAIMS, header: Json | None = None, name: str = "RS256", *, by: str = "", **changes: object
) -> str:
    return test_id_token.make(claims, {"typ": "logout+jwt", **(header or {})}, name, by=by, **changes)


def check(token: str, provider: Provider = PROVIDER, given: Sequence[Key] | None = None) -> Logout | Refused:
    metadata = replace(METADATA, issuer=provider.issuer)
    return check_logout_token(token, provider, metadata, keys() if given is None else given, NOW)


@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_accepted_with_each_algorithm(name: str) -> None:
    assert check(make(name=name)) == Logout("1", "erin", "08a5019c")


@pytest.mark.parametrize(
    "token",
    [
        lambda: make(header={"typ": ...}),
        lambda: make(header={"typ": "application/logout+JWT"}),
        lambda: make(
            header={"typ": "JWT"}, typ="Logout", events={EVENT: {}, "revoke_offline_access": True}
        ),  # Keycloak
        lambda: make(aud=[CLIENT]),
        lambda: make(exp=...),
        lambda: make(exp=NOW - 59),
        lambda: make(iat=NOW + 60),
        lambda: make(iat=NOW - 600),
        lambda: make(iat=NOW - 0.5, exp=NOW + 1e3),
        lambda: make(nbf=NOW + 60),
        lambda: make(events={EVENT: {"reason": "left"}}),
        lambda: make(trace_id="x"),
    ],
)
def test_what_providers_write_is_accepted(token: Callable[[], str]) -> None:
    assert check(token()) == Logout("1", "erin", "08a5019c")


def test_it_names_a_person_or_one_sign_in() -> None:
    assert check(make(sid=...)) == Logout("1", "erin", "")
    assert check(make(sub=...)) == Logout("1", "", "08a5019c")


def test_at_entra_id_only_the_sign_in_counts_because_its_subject_is_not_what_people_are_known_by() -> None:
    key = keys_of(signer("RS256"), issuer=ENTRA_ISSUER)
    assert check(make(iss=ENTRA_ISSUER), ENTRA, key) == Logout("1", "", "08a5019c")
    assert check(make(iss=ENTRA_ISSUER, sid=...), ENTRA, key) == Refused(Refusal.SUBJECT)


def test_it_is_no_id_token() -> None:
    expected = expect(PROVIDER, METADATA, Secret("NONCE"))
    assert check_id_token(make(), expected, keys(), NOW) == Refused(Refusal.TYPE)
    assert check_id_token(make(header={"typ": "JWT"}), expected, keys(), NOW) == Refused(Refusal.LOGOUT_TOKEN)


def test_the_issuer_is_read_before_anything_is_verified() -> None:
    assert issuer_of(make(by="foreign RS256")) == ISSUER
    assert [issuer_of(token) for token in ("", "x.y.z", make(iss=5), make(iss=...), "x" * MAX_TOKEN * 2)] == [""] * 5


# Refused. Each entry: what it is, the token, the reason, and the provider or which keys there are, if others.

HOSTILE: list[tuple[str, Callable[[], str], Refusal, Provider, object]] = []


def hostile(
    what: str, token: Callable[[], str], reason: Refusal, provider: Provider = PROVIDER, given: object = None
) -> None:
    HOSTILE.append((what, token, reason, provider, given))


# How it is written and signed; test_id_token.py has more of that, for the same functions.
hostile("nothing", lambda: "", Refusal.MALFORMED)
hostile("two parts", lambda: make().rpartition(".")[0], Refusal.MALFORMED)
hostile("encrypted", lambda: make() + ".x.y", Refusal.ENCRYPTED)
hostile("17 kB", lambda: make(more="x" * MAX_TOKEN), Refusal.LONG)
hostile("claims that are a list", lambda: make(b"[]"), Refusal.MALFORMED)
hostile("alg none", lambda: f"{write({'alg': 'none', 'typ': 'logout+jwt'})}.{write(CLAIMS)}.", Refusal.ALGORITHM)
hostile("HS256 with the public key", lambda: with_hmac(HS256, CLAIMS, signer("RS256").pem), Refusal.ALGORITHM)
hostile("HS256 with the client's secret", lambda: with_hmac(HS256, CLAIMS, b"s"), Refusal.ALGORITHM)
hostile("RS512", lambda: make(header={"alg": "RS512"}), Refusal.ALGORITHM)
hostile("an unknown key", lambda: make(header={"kid": "unknown"}), Refusal.KEY_UNKNOWN)
hostile("a foreign key", lambda: make(by="foreign RS256"), Refusal.SIGNATURE)
hostile("a key that it brings", lambda: make(header={"jwk": FOREIGN.jwk}, by="foreign RS256"), Refusal.HEADER)
hostile("a key from elsewhere", lambda: make(header={"jku": "https://evil.example/jwks"}), Refusal.HEADER)
hostile("another person after signing", lambda: "{}.{}.{}".format(
        (parts := make().split("."))[0], write({**CLAIMS, "sub": "victim"}), parts[2]), Refusal.SIGNATURE)  # fmt: skip
hostile("a key of another tenant", lambda: make(iss=ENTRA_ISSUER), Refusal.KEY_ISSUER, ENTRA,
        lambda: keys_of(signer("RS256"), issuer=f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"))  # fmt: skip

# What it wants to be.
hostile("an ID token", lambda: test_id_token.make(), Refusal.NO_LOGOUT_EVENT)
hostile("an ID token with a type", lambda: make(test_id_token.CLAIMS), Refusal.NO_LOGOUT_EVENT)
hostile("an ID token with events", lambda: make(test_id_token.CLAIMS, events={EVENT: {}}), Refusal.NONCE)
hostile("a nonce", lambda: make(nonce="x"), Refusal.NONCE)
hostile("a nonce that is null", lambda: make(nonce=None), Refusal.NONCE)
for kind in ("at+jwt", "secevent+jwt", "id_token+jwt", "dpop+jwt", "JWE"):
    hostile(f"typ {kind}", lambda kind=kind: make(header={"typ": kind}), Refusal.TYPE)
for word in ("Bearer", "ID", "Refresh", "", 5):
    hostile(f"a claim typ {word!r}", lambda word=word: make(typ=word), Refusal.TYPE)
hostile("Cognito's access token", lambda: make(token_use="access"), Refusal.TYPE)
for events in (..., None, [], [EVENT], EVENT, {}, {EVENT: None}, {EVENT: True}, {EVENT: []}, {EVENT + "/": {}},
               {"http://schemas.openid.net/event/token-revoked": {}}, {EVENT.upper(): {}}):  # fmt: skip
    hostile(f"events {events!r}", lambda events=events: make(events=events), Refusal.NO_LOGOUT_EVENT)
hostile("events twice", lambda: make(b'{"events": {}, ' + json.dumps(CLAIMS).encode()[1:]), Refusal.DUPLICATE)

# Issuer, audience, times.
for issuer in (..., None, "", [ISSUER], ISSUER + "/", ISSUER.replace("https", "http"), GOOGLE,
               "https://id.example.com/realms/beta", ENTRA_ISSUER):  # fmt: skip
    hostile(f"iss {issuer!r}", lambda issuer=issuer: make(iss=issuer), Refusal.ISSUER)
for audience in (..., None, "", "other", [], ["other"], [CLIENT, "other"], CLIENT.upper(), {CLIENT: 1}):
    hostile(f"aud {audience!r}", lambda audience=audience: make(aud=audience), Refusal.AUDIENCE)
for name in ("iat", "exp", "nbf"):
    for time in ("1800000000", True, None, [NOW]):
        hostile(f"{name} {time!r}", lambda name=name, time=time: make(**{name: time}), Refusal.TIMES)
hostile("no iat", lambda: make(iat=...), Refusal.TIMES)
hostile("made in the future", lambda: make(iat=NOW + 61), Refusal.ISSUED_IN_FUTURE)
hostile(
    "made long ago, and good for a year", lambda: make(iat=NOW - 601, exp=NOW + 31_536_000), Refusal.ISSUED_LONG_AGO
)
hostile("made long ago, without an end", lambda: make(iat=NOW - 601, exp=...), Refusal.ISSUED_LONG_AGO)
hostile("expired", lambda: make(exp=NOW - 60), Refusal.EXPIRED)
hostile("not good yet", lambda: make(nbf=NOW + 61), Refusal.NOT_YET_VALID)

# Its id, and whom it names.
for identity in (..., None, "", 5, ["1"], "x" * 256, "line\nbreak"):
    hostile(f"jti {identity!r}", lambda identity=identity: make(jti=identity), Refusal.TOKEN_ID)
hostile("nobody", lambda: make(sub=..., sid=...), Refusal.SUBJECT)
for name in ("sub", "sid"):
    for value in (None, "", 5, ["erin"], {"erin": 1}, True, "x" * 256, "e\x00", "érin", "*\n"):
        hostile(f"{name} {value!r}", lambda name=name, value=value: make(**{name: value}), Refusal.SUBJECT)


def test_each_hostile_token_differs() -> None:
    assert len({what for what, *_ in HOSTILE}) == len(HOSTILE) > 90


@pytest.mark.parametrize(("token", "reason", "provider", "given"), [each[1:] for each in HOSTILE],
                         ids=[each[0] for each in HOSTILE])  # fmt: skip
def test_a_hostile_token_is_refused(
    token: Callable[[], str], reason: Refusal, provider: Provider, given: Callable[[], Sequence[Key]] | None
) -> None:
    found = check(token(), provider, given() if given else None)
    assert isinstance(found, Refused)
    assert found.reason is reason
