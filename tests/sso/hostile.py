"""ID tokens that no honest provider sends. Each is otherwise the right one for the sign-in that it answers."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass

from tests.sso.journey import GATEWAY
from tests.sso.tokens import encode, signer, with_hmac
from tests.support.identity_provider import Json, forgery

NOW = int(time.time())
LONG = 20_000
OURS = GATEWAY.client_id


@dataclass(frozen=True, slots=True)
class Hostile:
    """A forged ID token, and the reason that the audit log has to give."""

    name: str
    how: Json
    reason: str


def claims(name: str, reason: str, **changes: object) -> Hostile:
    return Hostile(name, forgery(dict(changes)), reason)


def header(name: str, reason: str, **changes: object) -> Hostile:
    return Hostile(name, forgery(header=dict(changes)), reason)


def raw(name: str, reason: str, text: str) -> Hostile:
    return Hostile(name, forgery(raw=text), reason)


def write(value: object) -> str:
    return encode(json.dumps(value).encode())


FOREIGN = signer("foreign RS256")
PLAIN = {"alg": "RS256", "typ": "JWT"}
TWICE, DEEP = b'{"alg": "RS256", "alg": "none"}', b"[" * 9_000

SIGNATURES = (
    Hostile("no algorithm", forgery(alg="none"), "algorithm"),
    Hostile("no algorithm, in capitals", forgery(alg="NONE"), "algorithm"),
    Hostile("no algorithm, mixed", forgery(alg="nOnE"), "algorithm"),
    Hostile("HMAC with the client's secret", forgery(alg="HS256", secret=GATEWAY.secret), "algorithm"),
    Hostile("HMAC, SHA-512", forgery(alg="HS512", secret=GATEWAY.secret), "algorithm"),
    Hostile("an algorithm that isn't on our list", forgery(alg="RS512"), "algorithm"),
    Hostile("a key that was published nowhere", forgery(key="unknown"), "signature"),
    Hostile("the id of a key that is of another kind", forgery(alg="ES256", key="unknown"), "key_unfit"),
    header("a key id that isn't there", "key_unknown", kid="another"),
    header("a key id that leads elsewhere", "key_unknown", kid="../../../../dev/null"),
    header("a key id that is no text", "malformed", kid=["a"]),
    header("its own key", "header", jwk=FOREIGN.jwk),
    header("the address of its keys", "header", jku="https://evil.example/keys"),
    header("the address of its certificate", "header", x5u="https://evil.example/certificate"),
    header("its own certificate", "header", x5c=["MIIB"]),
    header("an extension that must be understood", "header", crit=["exp"], exp=NOW + 60),
    header("an unencoded payload", "header", b64=False),
    header("compressed", "header", zip="DEF"),
    header("a nested token", "header", cty="JWT"),
    header("the type of an access token", "type", typ="at+jwt"),
    header("the type of a logout token", "type", typ="logout+jwt"),
    header("the type of a security event", "type", typ="application/secevent+jwt"),
)
SHAPES = (
    raw("empty", "malformed", ""),
    raw("one part", "malformed", "token"),
    raw("two parts", "malformed", "a.b"),
    raw("four parts", "malformed", "a.b.c.d"),
    raw("encrypted", "encrypted", "a.b.c.d.e"),
    raw("far too long", "long", LONG * "a"),
    raw("in another alphabet", "malformed", "ä.ö.ü"),
    raw("padded", "malformed", f"{b64encode(json.dumps(PLAIN).encode()).decode()}=.e30.c2ln"),
    raw("a list for a header", "malformed", f"{write([PLAIN])}.{write({})}.c2ln"),
    raw("the same name twice", "duplicate", f"{encode(TWICE)}.{write({})}.c2ln"),
    raw("deep", "malformed", f"{encode(DEEP)}.{write({})}.c2ln"),
    raw("signed by a stranger", "key_unknown", FOREIGN.token({**PLAIN, "kid": FOREIGN.id}, {"sub": "erin"}, "RS256")),
    raw("HMAC by hand", "algorithm", with_hmac({"alg": "HS256"}, {"sub": "erin"}, GATEWAY.secret.encode())),
)
CLAIMS = (
    claims("no issuer", "issuer", iss=None),
    claims("another issuer", "issuer", iss="https://evil.example"),
    claims("a list of issuers", "issuer", iss=["https://evil.example"]),
    claims("an issuer with members", "issuer", iss={"a": "b"}),
    claims("no audience", "audience", aud=None),
    claims("another audience", "audience", aud="another"),
    claims("a longer audience", "audience", aud=f"{OURS}x"),
    claims("a list of other audiences", "audience", aud=["another", "more"]),
    claims("an empty list of audiences", "audience", aud=[]),
    claims("an audience that is no text", "audience", aud=[OURS, 1], azp=OURS),
    claims("two audiences, and for whom is not said", "authorised_party", aud=[OURS, "another"]),
    claims("two audiences, and for the other one", "authorised_party", aud=[OURS, "another"], azp="another"),
    claims("made for another client", "authorised_party", azp="another"),
    claims("a list of parties", "authorised_party", azp=[OURS]),
    claims("no subject", "subject", sub=None),
    claims("an empty subject", "subject", sub=""),
    claims("a list of subjects", "subject", sub=["erin"]),
    claims("a number for a subject", "subject", sub=7),
    claims("a long subject", "subject", sub=256 * "a"),
    claims("a subject with a line break", "subject", sub="erin\r\nX: y"),
    claims("a subject in other letters", "subject", sub="еrin"),
    claims("no end", "times", exp=None),
    claims("an end that is text", "times", exp=str(NOW + 300)),
    claims("an end that is true", "times", exp=True),
    claims("over", "expired", exp=NOW - 3_600),
    claims("no beginning", "times", iat=None),
    claims("a beginning that is a list", "times", iat=[NOW]),
    claims("from the future", "issued_in_future", iat=NOW + 90_000),
    claims("from long ago", "issued_long_ago", iat=NOW - 90_000),
    claims("not yet valid", "not_yet_valid", nbf=NOW + 90_000),
    claims("no nonce", "nonce", nonce=None),
    claims("an empty nonce", "nonce", nonce=""),
    claims("a nonce of somebody's own", "nonce", nonce="A" * 43),
    claims("a list of nonces", "nonce", nonce=["A" * 43]),
    claims("a logout token", "logout_token", events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    claims("Keycloak's access token", "access_token", typ="Bearer"),
    claims("Keycloak's refresh token", "access_token", typ="Refresh"),
    claims("Cognito's access token", "access_token", token_use="access"),
    claims("of another access token", "access_token_hash", at_hash="A" * 22),
    claims("signed in tomorrow", "authenticated_in_future", auth_time=NOW + 90_000),
    claims("signed in at a text", "times", auth_time="now"),
)
TOKENS = (*SIGNATURES, *SHAPES, *CLAIMS)
