from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.secret import Secret
from gateway.sso.oidc.compact import MAX_TOKEN, key_id_of
from gateway.sso.oidc.id_token import Expected, check_id_token, expect
from gateway.sso.oidc.keys import Key, read_keys
from gateway.sso.oidc.record import ALGORITHMS, Claims, Kind, Metadata, Provider, Refusal, Refused
from tests.sso.tokens import Json, Signer, encode, signer, with_hmac, write
from tests.support.speed import slowness

NOW = 1_800_000_000
ISSUER, CLIENT = "https://id.example.com/realms/acme", "otium-work"
TENANT, OTHER_TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
OBJECT = "21ec2020-3aea-4069-a2dd-08002b30309d"
ENTRA_ISSUER, GOOGLE = f"https://login.microsoftonline.com/{TENANT}/v2.0", "https://accounts.google.com"

ACCESS_TOKEN = Secret("an access token")
EXPECTED = Expected(ISSUER, CLIENT, Kind.GENERIC, ALGORITHMS, Secret("NONCE"), ACCESS_TOKEN)
ENTRA = replace(EXPECTED, issuer=ENTRA_ISSUER, kind=Kind.ENTRA)
FRESH = replace(EXPECTED, max_age=0, asked_at=NOW - 120)
CLAIMS: Json = {
    "iss": ISSUER,
    "sub": "erin",
    "aud": CLIENT,
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": "NONCE",
    "email": "erin@acme.example",
    "email_verified": True,
}
ENTRA_CLAIMS: Json = {**CLAIMS, "iss": ENTRA_ISSUER, "tid": TENANT, "oid": OBJECT, "ver": "2.0", "nbf": NOW}
GOOGLE_CLAIMS: Json = {**CLAIMS, "iss": GOOGLE, "hd": "acme.example"}
NAMES = ("RS256", "PS256", "ES256", "EdDSA")

HASHES = {
    name: encode(hashlib.new(name, ACCESS_TOKEN.reveal().encode()).digest()[:half])
    for name, half in (("sha256", 16), ("sha512", 32))
}


def keys_of(*signers: Signer, **changes: object) -> tuple[Key, ...]:
    read = read_keys({"keys": [{**each.jwk, **changes} for each in signers]})
    assert isinstance(read, tuple)
    return read


def keys() -> tuple[Key, ...]:
    return keys_of(*map(signer, NAMES))


def make(
    claims: Json | bytes = CLAIMS, header: Json | None = None, name: str = "RS256", *, by: str = "", **changes: object
) -> str:
    """Return a token signed by the key `by`, for the algorithm `name`. A change to ... leaves the claim out."""
    key = signer(by or name)
    head = {"alg": name, "typ": "JWT", "kid": signer(name).id, **(header or {})}
    payload = claims if isinstance(claims, bytes) else changed(claims, changes)
    return key.token(changed(head, {}), payload, name)


def changed(claims: Json, changes: Json) -> Json:
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def entra(**changes: object) -> str:
    return make(ENTRA_CLAIMS, **changes)


def google(**changes: object) -> str:
    return make(GOOGLE_CLAIMS, **changes)


def check(token: str, expected: Expected = EXPECTED, given: Sequence[Key] | None = None) -> Claims | Refused:
    return check_id_token(token, expected, keys() if given is None else given, NOW)


def whole(claims: Json) -> bytes:
    return json.dumps(claims).encode()


def twice(name: str, first: object, claims: Json = CLAIMS) -> bytes:
    """Return claims with one of them twice: the right one last."""
    rest = {key: value for key, value in claims.items() if key != name}
    both = f"{json.dumps({name: first})[:-1]}, {json.dumps({**rest, name: claims[name]})[1:]}"
    return both.encode()


# Accepted, so that what is refused below is refused for its one difference.


@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_accepted_with_each_algorithm(name: str) -> None:
    at_hash = HASHES["sha512" if name == "EdDSA" else "sha256"]
    found = check(make(name=name, at_hash=at_hash))
    assert found == Claims(ISSUER, "erin", "erin@acme.example", True)
    assert found.key == "erin"


@pytest.mark.parametrize(
    "token",
    [
        lambda: make(header={"typ": ...}),
        lambda: make(header={"typ": "jwt"}),
        lambda: make(header={"typ": "application/JWT"}),
        lambda: make(header={"x5t": "abc", "x5t#S256": "abc", "unknown": [1]}),
        lambda: make(aud=[CLIENT], azp=CLIENT),
        lambda: make(aud=["other", CLIENT], azp=CLIENT),
        lambda: make(azp=CLIENT),
        lambda: make(typ="ID", token_use="id"),
        lambda: make(sub="x" * 255),
        lambda: make(exp=NOW - 59, iat=NOW - 600),
        lambda: make(iat=NOW + 60, nbf=NOW + 60, auth_time=NOW + 60),
        lambda: make(exp=NOW + 0.5, iat=NOW - 0.5),
        lambda: make(at_hash=HASHES["sha256"]),
        lambda: make(sub=" erin smith "),
    ],
)
def test_what_is_unusual_and_right_is_accepted(token) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(check(token()), Claims)


def test_a_token_without_a_key_id_is_accepted_if_one_key_fits() -> None:
    token = make(header={"kid": ...})
    assert key_id_of(token) == ""
    assert isinstance(check(token, given=keys_of(*map(signer, ("RS256", "ES256", "EdDSA")))), Claims)


@pytest.mark.parametrize("issuer", [ENTRA_ISSUER, "https://login.microsoftonline.com/{tenantid}/v2.0"])
def test_entra_id_is_accepted_with_keys_of_its_issuer(issuer: str) -> None:
    found = check(entra(), ENTRA, keys_of(signer("RS256"), issuer=issuer))
    assert isinstance(found, Claims)
    assert (found.tenant_id, found.object_id, found.key) == (TENANT, OBJECT, f"{TENANT}/{OBJECT}")


def test_google_is_accepted_with_a_hosted_domain() -> None:
    found = check(google(), replace(EXPECTED, issuer=GOOGLE, kind=Kind.GOOGLE))
    assert isinstance(found, Claims)
    assert found.is_email_verified


@pytest.mark.parametrize("auth_time", [NOW, NOW - 120, NOW - 150])
def test_a_recent_sign_in_is_accepted(auth_time: int) -> None:
    found = check(make(auth_time=auth_time), FRESH)
    assert isinstance(found, Claims)
    assert found.auth_time == auth_time


def test_what_is_expected_is_taken_from_the_provider() -> None:
    metadata = Metadata(ISSUER, f"{ISSUER}/a", f"{ISSUER}/t", f"{ISSUER}/j", frozenset(("RS256",)))
    provider = Provider("idp_1", "acme", ISSUER, CLIENT, Secret("s"), Kind.OKTA, ("openid",), is_enabled=True)
    expected = expect(provider, metadata, Secret("NONCE"), access_token=ACCESS_TOKEN, max_age=5, asked_at=NOW)
    assert expected == Expected(ISSUER, CLIENT, Kind.OKTA, frozenset(("RS256",)), Secret("NONCE"), ACCESS_TOKEN, 5, NOW)
    assert "NONCE" not in repr(expected)


# Refused. Each entry: what it is, the token, the reason, and what was expected or which keys there are, if others.

HS256: Json = {"alg": "HS256", "typ": "JWT", "kid": "key of RS256"}


def unsigned(header: Json) -> str:
    return f"{write({'typ': 'JWT', 'kid': 'key of RS256', **header})}.{write(CLAIMS)}."


def tampered(**changes: object) -> str:
    """Return a token whose claims were changed after it was signed."""
    head, _, signature = make().split(".")
    return f"{head}.{write({**CLAIMS, **changes})}.{signature}"


def respelled(change) -> str:  # type: ignore[no-untyped-def]
    return ".".join(change(make().split(".")))


HOSTILE: list[tuple[str, object, Refusal, object, object]] = []


def hostile(what: str, token: object, reason: Refusal, expected: Expected = EXPECTED, given: object = None) -> None:
    HOSTILE.append((what, token, reason, expected, given))


# How it is written.
hostile("nothing", "", Refusal.MALFORMED)
hostile("one part", "x", Refusal.MALFORMED)
hostile("two parts", lambda: make().rpartition(".")[0], Refusal.MALFORMED)
hostile("four parts", lambda: make() + ".x", Refusal.MALFORMED)
hostile("encrypted", lambda: make() + ".x.y", Refusal.ENCRYPTED)
hostile("17 kB", lambda: make(name_of_the_claim="x" * MAX_TOKEN), Refusal.LONG)
hostile("padding", lambda: respelled(lambda parts: [parts[0], parts[1], parts[2] + "=="]), Refusal.MALFORMED)
hostile("a space in it", lambda: respelled(lambda parts: [parts[0], parts[1][:9] + " " + parts[1][9:], parts[2]]),
        Refusal.MALFORMED)  # fmt: skip
hostile("a line break after it", lambda: make() + "\n", Refusal.MALFORMED)
hostile("other letters", lambda: make().replace("e", "е", 1), Refusal.MALFORMED)
hostile("JSON serialisation", lambda: json.dumps(dict(zip(("protected", "payload", "signature"), make().split("."),
        strict=True))), Refusal.MALFORMED)  # fmt: skip
hostile("a header that is a list", lambda: signer("RS256").token([], CLAIMS, "RS256"), Refusal.MALFORMED)
hostile("a header that is no JSON", lambda: signer("RS256").token(b"{", CLAIMS, "RS256"), Refusal.MALFORMED)
hostile("two algorithms", lambda: signer("RS256").token(b'{"alg":"none","alg":"RS256","kid":"key of RS256"}', CLAIMS,
        "RS256"), Refusal.DUPLICATE)  # fmt: skip
hostile("two key ids", lambda: signer("RS256").token(b'{"alg":"RS256","kid":"x","kid":"key of RS256"}', CLAIMS,
        "RS256"), Refusal.DUPLICATE)  # fmt: skip
hostile("no algorithm", lambda: make(header={"alg": ...}), Refusal.MALFORMED)
hostile("an algorithm that is a list", lambda: make(header={"alg": ["RS256"]}), Refusal.MALFORMED)
hostile("a key id that is a number", lambda: make(header={"kid": 1}), Refusal.MALFORMED)
hostile("claims that are a list", lambda: make(b"[]"), Refusal.MALFORMED)
hostile("claims that are no JSON", lambda: make(b"iss=" + ISSUER.encode()), Refusal.MALFORMED)
hostile("claims in UTF-16", lambda: make(json.dumps(CLAIMS).encode("utf-16")), Refusal.MALFORMED)
hostile("half a surrogate pair", lambda: make(sub="\ud800"), Refusal.MALFORMED)
hostile("deep claims", lambda: make(b'{"a":' * 1_200 + b"1" + b"}" * 1_200), Refusal.MALFORMED)
hostile("nothing claimed", lambda: make(b""), Refusal.MALFORMED)

# What it wants to be.
for kind in ("at+jwt", "application/at+jwt", "AT+JWT", "logout+jwt", "application/logout+jwt", "secevent+jwt", "JWE"):
    hostile(f"typ {kind}", lambda kind=kind: make(header={"typ": kind}), Refusal.TYPE)
hostile("typ that is a list", lambda: make(header={"typ": ["JWT"]}), Refusal.MALFORMED)
hostile("Keycloak's access token", lambda: make(typ="Bearer"), Refusal.ACCESS_TOKEN)
hostile("Keycloak's refresh token", lambda: make(typ="Refresh"), Refusal.ACCESS_TOKEN)
hostile("Cognito's access token", lambda: make(token_use="access"), Refusal.ACCESS_TOKEN)
hostile("a logout token", lambda: make(events={"http://schemas.openid.net/event/backchannel-logout": {}}, sid="x"),
        Refusal.LOGOUT_TOKEN)  # fmt: skip
hostile("a logout token without events", lambda: make(nonce=..., sid="x"), Refusal.NONCE)

# Headers that bring a key along, or change the reading.
FOREIGN = signer("foreign RS256")
for member, value in {
    "jwk": FOREIGN.jwk,
    "jku": "https://evil.example/jwks",
    "x5u": "https://evil.example/cert",
    "x5c": ["MIIB"],
    "crit": ["exp"],
    "b64": False,
    "zip": "DEF",
    "enc": "A256GCM",
    "cty": "JWT",
}.items():
    hostile(f"{member} with the right key", lambda member=member, value=value: make(header={member: value}),
            Refusal.HEADER)  # fmt: skip
hostile("jwk with its own key", lambda: make(header={"jwk": FOREIGN.jwk, "kid": FOREIGN.id}, by="foreign RS256"),
        Refusal.HEADER)  # fmt: skip
hostile("crit that is empty", lambda: make(header={"crit": []}), Refusal.HEADER)
hostile("jku that is null", lambda: make(header={"jku": None}), Refusal.HEADER)

# Algorithms.
for alg in ("none", "None", "NONE", "nOnE", "", "null"):
    hostile(f"alg {alg!r}, unsigned", lambda alg=alg: unsigned({"alg": alg}), Refusal.ALGORITHM)
    hostile(f"alg {alg!r}, signed", lambda alg=alg: make(header={"alg": alg}), Refusal.ALGORITHM)
hostile("unsigned RS256", lambda: unsigned({"alg": "RS256"}), Refusal.SIGNATURE)
hostile("HS256 with the RSA key's PEM", lambda: with_hmac(HS256, CLAIMS, signer("RS256").pem), Refusal.ALGORITHM)
hostile("HS256 with the RSA key's modulus", lambda: with_hmac(HS256, CLAIMS, str(signer("RS256").jwk["n"]).encode()),
        Refusal.ALGORITHM)  # fmt: skip
hostile("HS256 with the client's secret", lambda: with_hmac({**HS256, "kid": ""}, CLAIMS, b"client secret"),
        Refusal.ALGORITHM)  # fmt: skip
hostile("HS256 with an empty secret", lambda: with_hmac(HS256, CLAIMS, b""), Refusal.ALGORITHM)
for alg in ("HS384", "HS512", "RS384", "RS512", "PS512", "ES384", "ES512", "ES256K", "RS1", "Ed448", "A128KW", "dir"):
    hostile(f"alg {alg}", lambda alg=alg: make(header={"alg": alg}), Refusal.ALGORITHM)
hostile("rs256 in lower case", lambda: make(header={"alg": "rs256"}), Refusal.ALGORITHM)
hostile("RS256 with a space", lambda: make(header={"alg": "RS256 "}), Refusal.ALGORITHM)
for alg in NAMES:
    hostile(f"{alg}, which the provider does not use", lambda alg=alg: make(name=alg), Refusal.ALGORITHM,
            replace(EXPECTED, algorithms=ALGORITHMS - {alg}))  # fmt: skip

# Keys.
hostile("an unknown key", lambda: make(header={"kid": "unknown"}), Refusal.KEY_UNKNOWN)
hostile("a key id like another", lambda: make(header={"kid": "KEY OF RS256"}), Refusal.KEY_UNKNOWN)
hostile("no key at all", make, Refusal.KEY_UNKNOWN, EXPECTED, ())
hostile("a path for a key id", lambda: make(header={"kid": "../../dev/null"}), Refusal.KEY_UNKNOWN)
hostile("an EC key for RS256", lambda: make(header={"kid": "key of ES256"}), Refusal.KEY_UNFIT)
hostile("an RSA key for ES256", lambda: make(header={"kid": "key of RS256"}, name="ES256"), Refusal.KEY_UNFIT)
hostile("an EC key for EdDSA", lambda: make(header={"kid": "key of ES256"}, name="EdDSA"), Refusal.KEY_UNFIT)
hostile("a key for PS256 that is for RS256", lambda: make(header={"alg": "PS256"}), Refusal.KEY_UNFIT, EXPECTED,
        lambda: keys_of(signer("RS256"), alg="RS256"))  # fmt: skip
hostile("no key id, and two keys", lambda: make(header={"kid": ...}), Refusal.KEY_AMBIGUOUS, EXPECTED,
        lambda: keys_of(signer("RS256"), FOREIGN))  # fmt: skip
hostile("two keys with one id", lambda: make(header={"kid": "same"}), Refusal.KEY_AMBIGUOUS, EXPECTED,
        lambda: keys_of(signer("RS256"), FOREIGN, kid="same"))  # fmt: skip
hostile("a key of another tenant", entra, Refusal.KEY_ISSUER, ENTRA,
        lambda: keys_of(signer("RS256"), issuer=f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"))  # fmt: skip
hostile("a key of personal accounts", entra, Refusal.KEY_ISSUER, ENTRA,
        lambda: keys_of(signer("RS256"), issuer=f"https://login.microsoftonline.com/{PERSONAL}/v2.0"))  # fmt: skip
hostile("a key of another issuer", make, Refusal.KEY_ISSUER, EXPECTED,
        lambda: keys_of(signer("RS256"), issuer="https://login.microsoftonline.com/{tenantid}/v2.0"))  # fmt: skip

# Signatures.
for alg in NAMES:
    hostile(f"{alg} of a key that is not the provider's", lambda alg=alg: make(name=alg, by=f"foreign {alg}"),
            Refusal.SIGNATURE)  # fmt: skip
hostile("another person after signing", lambda: tampered(sub="mallory"), Refusal.SIGNATURE)
hostile("another nonce after signing", lambda: tampered(nonce="OTHER"), Refusal.SIGNATURE)
hostile("another key id after signing", lambda: respelled(
        lambda parts: [write({"alg": "PS256", "kid": "key of RS256"}), parts[1], parts[2]]), Refusal.SIGNATURE)  # fmt: skip
hostile("a signature that is cut", lambda: respelled(lambda parts: [*parts[:2], encode(b"x" * 255)]), Refusal.SIGNATURE)
hostile("a signature of zeros", lambda: respelled(lambda parts: [*parts[:2], encode(bytes(256))]), Refusal.SIGNATURE)
for size in (0, 64, 63, 65, 96):
    hostile(f"an ES256 signature of {size} zeros (CVE-2022-21449)", lambda size=size:
            f"{make(name='ES256').rpartition('.')[0]}.{encode(bytes(size))}", Refusal.SIGNATURE)  # fmt: skip
hostile("an ES256 signature in DER", lambda: f"{make(name='ES256').rpartition('.')[0]}.{encode(b'0' + bytes(69))}",
        Refusal.SIGNATURE)  # fmt: skip
hostile("an EdDSA signature of zeros", lambda: f"{make(name='EdDSA').rpartition('.')[0]}.{encode(bytes(64))}",
        Refusal.SIGNATURE)  # fmt: skip
hostile("the signature of another token", lambda: f"{make().rpartition('.')[0]}.{make(sub='x').rpartition('.')[2]}",
        Refusal.SIGNATURE)  # fmt: skip

# Issuer, audience, subject.
for issuer in (..., None, "", 5, [ISSUER], [ISSUER, "x"], {"x": ISSUER}, True, "https://evil.example", ISSUER + "/",
               ISSUER.upper(), ISSUER.replace("https", "http"), " " + ISSUER, ISSUER + "\x00"):  # fmt: skip
    hostile(f"iss {issuer!r}", lambda issuer=issuer: make(iss=issuer), Refusal.ISSUER)
for name, first in {
    "iss": "https://evil.example",
    "aud": "other",
    "sub": "mallory",
    "nonce": "OTHER",
    "exp": 1,
}.items():
    hostile(f"{name} twice", lambda name=name, first=first: make(twice(name, first)), Refusal.DUPLICATE)
hostile("tid twice", lambda: make(twice("tid", OTHER_TENANT, ENTRA_CLAIMS)), Refusal.DUPLICATE, ENTRA)
for audience in (..., None, "", 5, [], {}, "other", CLIENT.upper(), f"{CLIENT} other", ["other"], [[CLIENT]], {CLIENT: 1},
                 [CLIENT, 5]):  # fmt: skip
    hostile(f"aud {audience!r}", lambda audience=audience: make(aud=audience, azp=CLIENT), Refusal.AUDIENCE)
for audience in ([CLIENT], [CLIENT, "other"]):
    hostile(f"aud {audience!r} without azp", lambda audience=audience: make(aud=audience), Refusal.AUTHORISED_PARTY)
    hostile(f"aud {audience!r} for another client", lambda audience=audience: make(aud=audience, azp="other"),
            Refusal.AUTHORISED_PARTY)  # fmt: skip
for party in ("other", "", 5, [CLIENT]):
    hostile(f"azp {party!r}", lambda party=party: make(azp=party), Refusal.AUTHORISED_PARTY)
for subject in (..., None, "", 5, ["erin"], {"x": "erin"}, "x" * 256, "érin", "erin\x00", "erin\n"):
    hostile(f"sub {str(subject)[:20]!r}", lambda subject=subject: make(sub=subject), Refusal.SUBJECT)

# Times.
for name in ("exp", "iat"):
    for value in (..., None, str(NOW), [NOW], True, {}):
        hostile(f"{name} {value!r}", lambda name=name, value=value: make(**{name: value}), Refusal.TIMES)
for name in ("nbf", "auth_time"):
    for value in (None, str(NOW), [NOW], False):
        hostile(f"{name} {value!r}", lambda name=name, value=value: make(**{name: value}), Refusal.TIMES)
hostile(
    "exp that is infinite", lambda: make(whole(CLAIMS).replace(str(NOW + 300).encode(), b"1e999")), Refusal.MALFORMED
)
hostile("exp that is Infinity", lambda: make(exp=float("inf")), Refusal.MALFORMED)
hostile("exp that is no number", lambda: make(exp=float("nan")), Refusal.MALFORMED)
hostile("exp of 400 digits", lambda: make(exp=10**400), Refusal.MALFORMED)
hostile("expired by more than the leeway", lambda: make(exp=NOW - 60), Refusal.EXPIRED)
hostile("expired since 1970", lambda: make(exp=0), Refusal.EXPIRED)
hostile("expired, negative", lambda: make(exp=-NOW), Refusal.EXPIRED)
hostile("made in the future", lambda: make(iat=NOW + 61), Refusal.ISSUED_IN_FUTURE)
hostile("made in milliseconds", lambda: make(iat=NOW * 1_000), Refusal.ISSUED_IN_FUTURE)
hostile("made eleven minutes ago", lambda: make(iat=NOW - 601), Refusal.ISSUED_LONG_AGO)
hostile("not valid yet", lambda: make(nbf=NOW + 61), Refusal.NOT_YET_VALID)

# This attempt, its access token, and a recent sign-in.
for nonce in (..., None, "", 5, ["NONCE"], "OTHER", "nonce", "NONCE ", "NONC", "NÖNCE", "NONCE\x00"):
    hostile(f"nonce {nonce!r}", lambda nonce=nonce: make(nonce=nonce), Refusal.NONCE)
for found in (None, "", 5, [HASHES["sha256"]], HASHES["sha512"], HASHES["sha256"] + "=", encode(bytes(16))):
    hostile(f"at_hash {found!r}", lambda found=found: make(at_hash=found), Refusal.ACCESS_TOKEN_HASH)
hostile("at_hash with the hash of another algorithm", lambda: make(name="EdDSA", at_hash=HASHES["sha256"]),
        Refusal.ACCESS_TOKEN_HASH)  # fmt: skip
hostile("no auth_time where it was asked for", make, Refusal.NO_AUTH_TIME, FRESH)
hostile("an old sign-in", lambda: make(auth_time=NOW - 151), Refusal.AUTHENTICATED_LONG_AGO, FRESH)
hostile("a sign-in of yesterday", lambda: make(auth_time=NOW - 86_400), Refusal.AUTHENTICATED_LONG_AGO,
        replace(EXPECTED, max_age=3_600))  # fmt: skip
hostile("a sign-in in the future", lambda: make(auth_time=NOW + 61), Refusal.AUTHENTICATED_IN_FUTURE, FRESH)
hostile("a sign-in in the future that nobody asked for", lambda: make(auth_time=NOW + 61),
        Refusal.AUTHENTICATED_IN_FUTURE)  # fmt: skip

# Entra ID, and Google.
for tenant in (..., None, "", 5, [TENANT], OTHER_TENANT, PERSONAL, TENANT.upper(), TENANT + " "):
    hostile(f"tid {tenant!r}", lambda tenant=tenant: entra(tid=tenant), Refusal.TENANT, ENTRA)
hostile("the issuer of another tenant", lambda: entra(iss=f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0",
        tid=OTHER_TENANT), Refusal.ISSUER, ENTRA)  # fmt: skip
hostile("the issuer of version 1", lambda: entra(iss=f"https://sts.windows.net/{TENANT}/"), Refusal.ISSUER, ENTRA)
hostile("the pattern of all tenants", lambda: entra(iss="https://login.microsoftonline.com/{tenantid}/v2.0"),
        Refusal.ISSUER, ENTRA)  # fmt: skip
hostile("an issuer without a tenant", lambda: entra(iss=ISSUER), Refusal.TENANT, replace(ENTRA, issuer=ISSUER))
hostile("the tenant of personal accounts", lambda: entra(iss=ENTRA_ISSUER.replace(TENANT, PERSONAL), tid=PERSONAL),
        Refusal.TENANT, replace(ENTRA, issuer=ENTRA_ISSUER.replace(TENANT, PERSONAL)))  # fmt: skip
for identity in (..., None, "", 5, [OBJECT], "erin", OBJECT + "/", OBJECT.upper()):
    hostile(f"oid {identity!r}", lambda identity=identity: entra(oid=identity), Refusal.OBJECT_ID, ENTRA)
for domain in (..., None, "", 5, ["acme.example"]):
    hostile(f"hd {domain!r}", lambda domain=domain: google(hd=domain), Refusal.HOSTED_DOMAIN,
            replace(EXPECTED, issuer=GOOGLE, kind=Kind.GOOGLE))  # fmt: skip
hostile("Google, set up as any other provider", lambda: google(hd=...), Refusal.HOSTED_DOMAIN,
        replace(EXPECTED, issuer=GOOGLE))  # fmt: skip


@pytest.mark.parametrize(("what", "token", "reason", "expected", "given"), HOSTILE, ids=[each[0] for each in HOSTILE])
def test_a_hostile_token_is_refused_with_its_own_reason(what, token, reason, expected, given) -> None:  # type: ignore[no-untyped-def]
    made = token() if callable(token) else token
    found = check(made, expected, given() if callable(given) else given)
    assert isinstance(found, Refused)
    assert found.reason == reason


def test_there_are_enough_hostile_tokens_and_each_is_another_one() -> None:
    assert len({what for what, *_ in HOSTILE}) == len(HOSTILE) >= 200
    reasons = {reason for _, _, reason, *_ in HOSTILE}
    assert len(reasons) > 25


@given(st.data())
def test_a_token_with_a_byte_changed_is_never_accepted(data: st.DataObject) -> None:
    token = make(name="ES256")
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != token[at]))
    assert isinstance(check(token[:at] + other + token[at + 1 :]), Refused)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(max_size=3), max_size=3)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "azp", "exp", "iat", "nonce", "tid", "oid"]), VALUES, min_size=1
    )
)
def test_no_signed_claims_break_the_check(changes: dict[str, object]) -> None:
    given = {**ENTRA_CLAIMS, **changes}
    found = check(make(given, name="ES256"), ENTRA)
    assert isinstance(found, Claims | Refused)
    if isinstance(found, Claims):
        assert (given["iss"], given["aud"], given["nonce"]) == (ENTRA_ISSUER, CLIENT, "NONCE")
        assert (given["tid"], given["oid"]) == (TENANT, OBJECT)


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}", f"{encode(text.encode())}.e30.AA"):
        assert isinstance(check(token), Refused)
        assert isinstance(key_id_of(token), str | Refused)


def test_the_key_id_is_found_before_anything_is_verified() -> None:
    assert key_id_of(make(name="ES256")) == "key of ES256"
    assert key_id_of(make(header={"jku": "https://evil.example"})) == Refused(Refusal.HEADER, "jku")


def test_a_token_is_checked_in_a_moment() -> None:
    longest = make(groups=["x" * 100] * 110)
    assert MAX_TOKEN * 0.9 < len(longest) < MAX_TOKEN
    given, times = keys(), []
    for _ in range(5):
        began = time.thread_time()
        assert isinstance(check(longest, EXPECTED, given), Claims)
        times.append(time.thread_time() - began)
    assert min(times) < 0.005 * slowness()  # what the event loop may be held
