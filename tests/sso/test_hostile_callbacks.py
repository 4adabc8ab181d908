"""Hostile ID tokens and callbacks, over HTTP, with a real provider that lies (THREATS.md 59 to 61): none gets a session.

Each is refused for the reason that it was made for: the audit log names it, and the page only says what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.sso.hostile import TOKENS, Hostile
from tests.sso.journey import GATEWAY, Employee, connect, linked
from tests.sso.tokens import with_hmac
from tests.support.gateway import COOKIE, Gateway
from tests.support.identity_provider import IdentityProvider, Json, Realm, User, forgery
from tests.support.mail import Mailbox
from tests.support.person import NAVIGATION
from tests.support.raw import Response, get

PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    User("mara", "mara@acme.example", "Mara"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(20)),
]


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    connect(own, realm)
    return realm


@pytest.fixture(scope="module", autouse=True)
def erins_account(own: Gateway, realm: Realm, mailbox: Mailbox, identity_provider: IdentityProvider) -> None:
    linked(Employee(own, identity_provider, "erin@acme.example"), mailbox)


@pytest.fixture
def erin(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> Iterator[Employee]:
    """Erin with a new browser, whose account is connected: whatever is accepted signs her in."""
    yield Employee(own, identity_provider, "erin@acme.example")
    realm.heal()
    realm.set(id_token=None, callback=None, users=PEOPLE, clock=0)


def refusals(own: Gateway, since: int = 0) -> list[Json]:
    """Return the details of what the audit log has of refused sign-ins."""
    query = "SELECT details, personal FROM audit WHERE event = 'login_failed' AND id > :since ORDER BY id"
    found = own.write(query, since=since)
    return [{**json.loads(details), **json.loads(personal or "{}")} for details, personal in found]


def latest(own: Gateway) -> int:
    return int(own.write("SELECT COALESCE(MAX(id), 0) FROM audit")[0][0])


def check_refused(own: Gateway, person: Employee, answer: Response, reasons: list[str], since: int) -> None:
    """Check that there is no session, that the log names the reasons, and that the page doesn't."""
    assert answer.status in (400, 403, 405, 422, 502), (answer.status, answer.get("location"))
    assert not any(line.startswith(f"{COOKIE}=") for line in answer.all("set-cookie"))
    assert not person.is_signed_in
    assert [each["reason"] for each in refusals(own, since)] == reasons
    page = answer.body.decode()
    assert "You’re not signed in" in page
    assert "no-store" in (answer.get("cache-control") or "")
    for word in ("token", "nonce", "signature", "issuer", "JWT", "claim", "evil.example"):
        assert word not in page, word


def test_a_token_that_is_only_signed_again_is_accepted(erin: Employee, realm: Realm) -> None:
    """So the others are refused for what was changed in them, and not because they were forged badly."""
    way = erin.leave()
    realm.set(id_token=forgery({"extra": "claim"}, header={"typ": "JWT"}))
    assert erin.come_back(way, "erin").get("location") == "/probe"
    assert erin.is_signed_in


@pytest.mark.parametrize("hostile", TOKENS, ids=[hostile.name.replace(" ", "-") for hostile in TOKENS])
def test_a_hostile_token_gets_no_session(own: Gateway, erin: Employee, realm: Realm, hostile: Hostile) -> None:
    way, since = erin.leave(), latest(own)
    realm.set(id_token=hostile.how)
    check_refused(own, erin, erin.come_back(way, "erin"), [hostile.reason], since)
    realm.set(id_token=None)
    assert erin.come_back(erin.leave(), "erin").get("location") == "/probe"  # nothing was locked or left behind


# Tokens that are right in themselves, and not for this sign-in.


@dataclass(frozen=True, slots=True)
class Scene:
    """Erin, about to come back from `way`, and the others who are there."""

    own: Gateway
    realm: Realm
    erin: Employee
    way: str

    def other_realm(self) -> Realm:
        return self.realm.provider.realm(users=PEOPLE, clients=[GATEWAY])

    def overhear(self, subject: str = "erin") -> tuple[str, Json]:
        """Return a token that the provider made for another sign-in, and its claims."""
        claims = {
            "iss": self.realm.issuer, "aud": GATEWAY.client_id, "sub": subject, "iat": now(self.own),
            "exp": now(self.own) + 600, "nonce": 43 * "N", "email": "erin@acme.example",
        }  # fmt: skip
        return self.realm.sign(claims), claims

    def bring(self, query: str, tenant: str = "acme") -> Response:
        target = f"/login/sso/callback/{tenant}?{query}"
        request = get(target, self.erin.cookie_line, self.erin.browser, *NAVIGATION)
        return self.own.exchange(request, source=self.erin.source)

    def answer(self) -> dict[str, str]:
        return self.erin.elsewhere.sign_in(self.way, "erin").query


def now(own: Gateway) -> int:
    return int(own.write("SELECT MAX(began_at) FROM sso_waits")[0][0])


def of_another_sign_in(scene: Scene) -> str:
    return scene.overhear()[0]


def of_another_issuer(scene: Scene) -> str:
    return scene.other_realm().sign(scene.overhear()[1])


def an_access_token(scene: Scene) -> str:
    return scene.realm.sign(scene.overhear()[1], header={"typ": "at+jwt"})


def a_logout_token(scene: Scene) -> str:
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    return scene.realm.sign({**scene.overhear()[1], "nonce": None, "events": event}, header={"typ": "logout+jwt"})


def with_the_public_key_as_secret(scene: Scene) -> str:
    key = scene.realm.jwks()["keys"][0]
    return with_hmac({"alg": "HS256", "kid": key["kid"]}, scene.overhear()[1], key["n"].encode())


def with_another_payload(scene: Scene) -> str:
    head, _, signature = scene.overhear("mara")[0].split(".")
    return f"{head}.{scene.overhear()[0].split('.')[1]}.{signature}"


def without_its_signature(scene: Scene) -> str:
    return scene.overhear()[0].rpartition(".")[0] + "."


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (of_another_sign_in, "nonce"),
        (of_another_issuer, "key_unknown"),
        (an_access_token, "type"),
        (a_logout_token, "type"),
        (with_the_public_key_as_secret, "algorithm"),
        (with_another_payload, "signature"),
        (without_its_signature, "signature"),
    ],
)
def test_a_token_for_another_purpose_gets_no_session(
    own: Gateway, erin: Employee, realm: Realm, make: Callable[[Scene], str], reason: str
) -> None:
    scene, since = Scene(own, realm, erin, erin.leave()), latest(own)
    realm.set(id_token=forgery(raw=make(scene)))
    check_refused(own, erin, erin.come_back(scene.way, "erin"), [reason], since)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"body": "{}"}, "no_id_token"),
        ({"body": '{"id_token": 1}'}, "no_id_token"),
        ({"body": '{"id_token": ["a.b.c"]}'}, "no_id_token"),
        ({"body": '{"id_token": "a.b.c", "id_token": "d.e.f"}'}, "duplicate"),
        ({"body": "[]"}, "not_json"),
        ({"body": '{"id_token": NaN}'}, "not_json"),
        ({"body": "{" + '"a":[' * 5_000}, "not_json"),
        ({"body": "<html></html>", "headers": {"content-type": "text/html"}}, "content_type"),
        ({"body": "{}", "headers": {**JSON, "content-encoding": "gzip"}}, "content_type"),
        ({"body": "{}", "size": 1_000_000_000}, "too_large"),
        ({"status": 302, "headers": {"location": "http://127.0.0.1/"}}, "redirect"),
        ({"status": 307, "headers": {"location": "http://169.254.169.254/latest/meta-data/"}}, "redirect"),
        ({"status": 204}, "status"),
        ({"status": 500, "body": "{}"}, "status"),
        ({"status": 400, "body": '{"error": "invalid_grant"}'}, "code"),
        ({"status": 401, "body": '{"error": "invalid_client"}'}, "client"),
        ({"status": 400, "body": '{"error": {"a": 1}, "error_description": [1]}'}, "provider_error"),
        ({"close": True}, "not_http"),
    ],
)
def test_a_hostile_answer_to_the_code_gets_no_session(
    own: Gateway, erin: Employee, realm: Realm, fault: Json, reason: str
) -> None:
    way, since = erin.leave(), latest(own)
    realm.fail("token", **fault)
    check_refused(own, erin, erin.come_back(way, "erin"), [reason], since)


# Callbacks.


def changed(scene: Scene, **changes: str | None) -> Response:
    query = {name: value for name, value in {**scene.answer(), **changes}.items() if value is not None}
    return scene.bring(urlencode(query))


def twice(scene: Scene, name: str) -> Response:
    query = scene.answer()
    return scene.bring(f"{urlencode(query)}&{urlencode({name: query[name]})}")


def in_another_browser(scene: Scene) -> Response:
    query, mine = scene.answer(), dict(scene.erin.cookies)
    scene.erin.cookies.clear()
    scene.erin.leave()
    assert scene.erin.cookies.keys() == mine.keys()
    return scene.bring(urlencode(query))


def without_cookies(scene: Scene) -> Response:
    query = scene.answer()
    scene.erin.cookies.clear()
    return scene.bring(urlencode(query))


def after_ten_minutes(scene: Scene) -> Response:
    query = scene.answer()
    scene.own.write("UPDATE sso_waits SET began_at = began_at - 601")
    return scene.bring(urlencode(query))


def after_a_refusal(scene: Scene) -> Response:
    query = scene.answer()
    scene.bring(urlencode({"state": query["state"], "error": "access_denied", "iss": query["iss"]}))
    return scene.bring(urlencode(query))


def a_code_of_another_sign_in(scene: Scene) -> Response:
    """The code is good, and was given out with the challenge of another tab."""
    other = scene.erin.elsewhere.sign_in(scene.erin.leave(), "erin").query
    return changed(scene, code=other["code"])


def a_code_of_another_provider(scene: Scene) -> Response:
    other = scene.other_realm()
    code = Employee(scene.own, other.provider, "x").elsewhere.sign_in(
        f"{other.issuer}/auth?{urlencode(QUESTION)}", "erin"
    )
    return changed(scene, code=code.query["code"])


QUESTION = {
    "client_id": GATEWAY.client_id, "redirect_uri": GATEWAY.redirect_uris[0], "response_type": "code",
    "scope": "openid", "code_challenge": 43 * "A", "code_challenge_method": "S256",
}  # fmt: skip


@pytest.mark.parametrize(
    ("bring", "reasons"),
    [
        (lambda scene: changed(scene, state=None), ["state"]),
        (lambda scene: changed(scene, state=""), ["state"]),
        (lambda scene: changed(scene, state=43 * "A"), ["state"]),
        (lambda scene: changed(scene, state="é"), ["state"]),
        (lambda scene: changed(scene, state=5_000 * "A"), ["state"]),
        (lambda scene: twice(scene, "state"), ["duplicate"]),
        (lambda scene: twice(scene, "code"), ["duplicate"]),
        (lambda scene: twice(scene, "iss"), ["duplicate"]),
        (lambda scene: changed(scene, code=None), ["answer"]),
        (lambda scene: changed(scene, code=""), ["answer"]),
        (lambda scene: changed(scene, code=4_097 * "a"), ["answer"]),
        (lambda scene: changed(scene, code="a\r\nX: y"), ["answer"]),
        (lambda scene: changed(scene, error="access_denied"), ["answer"]),
        (lambda scene: changed(scene, error=""), ["answer"]),
        (lambda scene: changed(scene, code=None, error="access denied\x00"), ["answer"]),
        (lambda scene: changed(scene, code="another"), ["code"]),
        (lambda scene: changed(scene, iss="https://evil.example"), ["answer_issuer"]),
        (lambda scene: changed(scene, iss=scene.realm.issuer + "/"), ["answer_issuer"]),
        (lambda scene: changed(scene, iss=None), ["answer_issuer"]),
        (lambda scene: changed(scene, iss=""), ["answer_issuer"]),
        (lambda scene: changed(scene, iss=None, code=None, error="server_error"), ["answer_issuer"]),
        (lambda scene: changed(scene, code=None, error="temporarily_unavailable"), ["unavailable"]),
        (lambda scene: changed(scene, **{f"x{n}": "y" for n in range(40)}), ["answer"]),
        (lambda scene: scene.bring("%ff%fe=%00&state=a&code=b"), ["answer"]),
        (lambda scene: scene.bring(urlencode(scene.answer()), "beta"), ["answer_issuer"]),
        (lambda scene: scene.bring(urlencode(scene.answer()), "nobody"), ["answer_issuer"]),
        (in_another_browser, ["state"]),
        (without_cookies, ["state"]),
        (after_ten_minutes, ["state"]),
        (after_a_refusal, ["declined", "state"]),
        (a_code_of_another_sign_in, ["code"]),
        (a_code_of_another_provider, ["code"]),
    ],
)
def test_a_hostile_callback_gets_no_session(
    own: Gateway, erin: Employee, realm: Realm, bring: Callable[[Scene], Response], reasons: list[str]
) -> None:
    scene, since = Scene(own, realm, erin, erin.leave()), latest(own)
    check_refused(own, erin, bring(scene), reasons, since)


@pytest.mark.parametrize(
    ("origin", "site"),
    [("https://evil.example", "cross-site"), ("null", "cross-site"), ("https://app.example.com", "same-origin")],
)
def test_an_answer_by_post_is_refused_and_the_sign_in_can_go_on(
    own: Gateway, erin: Employee, realm: Realm, origin: str, site: str
) -> None:
    scene = Scene(own, realm, erin, erin.leave())
    query = scene.answer()
    answer = own.post(
        "/login/sso/callback/acme",
        query,
        erin.cookie_line,
        f"Sec-Fetch-Site: {site}",
        source=erin.source,
        origin=origin,
    )
    assert answer.status == 405
    assert answer.all("set-cookie") == []
    assert erin.bring(query).get("location") == "/probe"


def test_ten_tabs_go_on_after_one_was_attacked(own: Gateway, erin: Employee, realm: Realm) -> None:
    ways = [erin.leave(f"/probe?tab={tab}") for tab in range(10)]
    answers = [erin.elsewhere.sign_in(way, "erin").query for way in ways]
    assert erin.bring({**answers[3], "code": answers[4]["code"]}).status == 422
    assert erin.bring({**answers[3]}).status == 422  # a state is good once
    for tab in (9, 0, 5, 1, 2, 8, 7, 6):
        assert erin.bring(answers[tab]).get("location") == f"/probe?tab={tab}"


# What happened meanwhile.


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("UPDATE identity_providers SET is_enabled = :no", "UPDATE identity_providers SET is_enabled = :yes", "state"),
        (
            "UPDATE accounts SET status = 'disabled' WHERE identifier = 'erin@acme.example'",
            "UPDATE accounts SET status = 'active' WHERE identifier = 'erin@acme.example'",
            "account",
        ),
        (
            "UPDATE accounts SET tenant = 'beta' WHERE identifier = 'erin@acme.example'",
            "UPDATE accounts SET tenant = 'acme' WHERE identifier = 'erin@acme.example'",
            "account",
        ),
        (
            "UPDATE tenants SET status = 'suspended' WHERE slug = 'acme'",
            "UPDATE tenants SET status = 'active' WHERE slug = 'acme'",
            "account",
        ),
    ],
    ids=["turned off", "disabled", "of another company", "suspended"],
)
def test_who_lost_the_right_meanwhile_is_refused(
    own: Gateway, erin: Employee, realm: Realm, before: str, after: str, reason: str
) -> None:
    scene, since = Scene(own, realm, erin, erin.leave()), latest(own)
    query = scene.answer()
    own.write(before, **({"no": False} if ":no" in before else {}))
    answer = erin.bring(query)
    try:
        check_refused(own, erin, answer, [reason], since)
    finally:
        own.write(after, **({"yes": True} if ":yes" in after else {}))


def test_who_was_made_an_owner_meanwhile_is_refused(own: Gateway, erin: Employee, realm: Realm) -> None:
    scene, since = Scene(own, realm, erin, erin.leave()), latest(own)
    query = scene.answer()
    owners = 'owners = ["otto@otium.example"'
    own.reload(f"{owners}]", f'{owners}, "erin@acme.example"]')
    answer = erin.bring(query)
    try:
        check_refused(own, erin, answer, ["account"], since)
    finally:
        own.reload(f'{owners}, "erin@acme.example"]', f"{owners}]")
