"""Leaving by the provider: what it ends is out at once, and nothing else is. And leaving the provider from here."""

from __future__ import annotations

import html
import itertools
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.sso.oidc.logout_token import EVENT
from tests.sso.journey import GATEWAY, Employee, connect, linked
from tests.support.gateway import ORIGIN, Gateway
from tests.support.identity_provider import Client, IdentityProvider, Realm, User
from tests.support.mail import Mailbox
from tests.support.person import Person, code_of
from tests.support.raw import Response, get

ACME, BETA = "/login/sso/logout/acme", "/login/sso/logout/beta"
BACK = f"{ORIGIN}/login"
sources = itertools.count(1)


def people_of(tenant: str) -> list[User]:
    names = ("erin", *(f"crowd{n}" for n in range(40)))
    return [User(name, f"{name}@{tenant}.example", name.title()) for name in names]


def client_of(path: str) -> Client:
    return replace(GATEWAY, backchannel_logout_uri=ORIGIN + path, post_logout_redirect_uris=(BACK,))


@pytest.fixture(scope="module")
def via(own: Gateway) -> dict[str, str]:
    return {ORIGIN: f"http://127.0.0.1:{own.port}"}


@pytest.fixture(scope="module")
def realm(own: Gateway, via: dict[str, str], identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=people_of("acme"), clients=[client_of(ACME)], via=via)
    connect(own, realm)
    return realm


@pytest.fixture(scope="module")
def beta(own: Gateway, via: dict[str, str], identity_provider: IdentityProvider) -> Realm:
    """The provider of another tenant, where people have the same names."""
    realm = identity_provider.realm(users=people_of("beta"), clients=[client_of(BETA)], via=via)
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    connect(own, realm, "olga@beta.example", creates_accounts="yes")
    return realm


numbers = itertools.count()


@pytest.fixture
def names(own: Gateway, realm: Realm, mailbox: Mailbox) -> Iterator[str]:
    """The names of people of acme whose accounts are connected."""

    def make() -> Iterator[str]:
        for number in numbers:
            linked(Employee(own, realm.provider, f"crowd{number}@acme.example"), mailbox)
            yield f"crowd{number}"

    return make()


def arrive(own: Gateway, realm: Realm, name: str, tenant: str = "acme") -> Employee:
    """Sign in by the provider, in a new browser."""
    browser = Employee(own, realm.provider, f"{name}@{tenant}.example")
    assert browser.come_back(browser.leave(), name).get("location") == "/probe"
    assert browser.is_signed_in
    return browser


def give_password(own: Gateway, name: str) -> Person:
    browser = Person(own, f"{name}@acme.example", source=f"127.0.5.{next(sources)}")
    browser.give_password()
    assert browser.is_signed_in
    return browser


def token_of(realm: Realm, claims: dict[str, object], **how: object) -> str:
    now = int(time.time())
    whole = {
        "iss": realm.issuer, "aud": GATEWAY.client_id, "iat": now, "exp": now + 120, "jti": str(uuid.uuid4()),
        "events": {EVENT: {}}, **claims,
    }  # fmt: skip
    return realm.sign(whole, header={"typ": "logout+jwt"}, **how)


def send(own: Gateway, token: str | bytes, path: str = ACME, source: str = "", *lines: str) -> Response:
    """Send a logout token as a provider does: no cookie, no Origin."""
    body = token if isinstance(token, bytes) else urlencode({"logout_token": token}).encode()
    kind = "Content-Type: application/x-www-form-urlencoded"
    head = get(path, *(lines or (kind,)), f"Content-Length: {len(body)}", method="POST")
    return own.exchange(head + body, source=source or f"127.0.4.{next(sources)}")


def sid_of(own: Gateway, browser: Employee) -> str:
    """Return the id at the provider of somebody's only session."""
    query = (
        "SELECT sid FROM sso_sessions JOIN accounts ON accounts.id = sso_sessions.account JOIN sessions ON sessions.id = holder "
        "WHERE identifier = :email AND ended_at IS NULL"
    )
    ((sid,),) = own.write(query, email=browser.email)
    return str(sid)


def logged(own: Gateway, event: str, email: str = "") -> list[dict[str, str]]:
    query = "SELECT actor, details FROM audit WHERE event = :event AND identifier = :email ORDER BY id"
    return [{"by": by, **json.loads(details)} for by, details in own.write(query, event=event, email=email)]


# Back-channel.


def test_whoever_is_signed_out_at_the_provider_is_out_everywhere_and_nobody_else_is(
    own: Gateway, realm: Realm, beta: Realm, names: Iterator[str]
) -> None:
    name, other = next(names), next(names)
    laptop, phone, colleague = arrive(own, realm, name), arrive(own, realm, name), arrive(own, realm, other)
    elsewhere, typed = arrive(own, beta, name, "beta"), give_password(own, name)
    assert realm.log_out(name) >= 2
    assert {sent["status"] for sent in realm.sent()} == {200}
    assert (laptop.is_signed_in, phone.is_signed_in) == (False, False)
    assert (colleague.is_signed_in, elsewhere.is_signed_in, typed.is_signed_in) == (True, True, True)
    rows = [row for row in logged(own, "logout", laptop.email) if row["by"]]
    assert rows == [{"by": realm.issuer, "how": "back-channel logout"}] * 2
    assert beta.log_out(name) == 1
    assert not elsewhere.is_signed_in
    assert colleague.is_signed_in


def test_one_sign_in_at_the_provider_ends_alone(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    """Its page, in one of the browsers: the sessions that this one opened are ended, and those of the others stay."""
    name = next(names)
    laptop, phone = arrive(own, realm, name), arrive(own, realm, name)
    laptop.elsewhere.sign_out(realm.metadata()["end_session_endpoint"])
    assert (laptop.is_signed_in, phone.is_signed_in) == (False, True)


def test_a_session_that_opened_after_our_own_second_step_ends_too(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    person = arrive(own, realm, name)
    key, _ = person.enrol()
    browser = Employee(own, realm.provider, person.email)
    assert (browser.come_back(browser.leave(), name).get("location") or "").startswith("/login/totp")
    browser.open("/login/totp?next=/probe")
    browser.submit("/login/totp", code=code_of(own, person.email, key))
    assert browser.is_signed_in
    realm.log_out(name)
    assert not browser.is_signed_in


def test_an_attempt_that_waits_for_our_second_step_ends_too(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    name = next(names)
    person = arrive(own, realm, name)
    key, _ = person.enrol()
    browser = Employee(own, realm.provider, person.email)
    browser.come_back(browser.leave(), name)
    browser.open("/login/totp?next=/probe")
    realm.log_out(name)
    browser.submit("/login/totp", code=code_of(own, person.email, key))
    assert not browser.is_signed_in


def test_a_session_that_the_provider_confirmed_ends_with_that_sign_in(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    browser, other = Employee(own, realm.provider, f"{name}@acme.example"), give_password(own, name)
    browser.give_password()
    assert browser.come_back(browser.leave(), name).get("location") == "/probe"
    realm.log_out(name)
    assert (browser.is_signed_in, other.is_signed_in) == (False, True)


def test_a_token_for_a_person_ends_all_that_they_opened_by_the_provider(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    laptop, phone, typed = arrive(own, realm, name), arrive(own, realm, name), give_password(own, name)
    answer = send(own, token_of(realm, {"sub": name}))
    assert (answer.status, answer.body, answer.get("cache-control")) == (200, b"", "no-store")
    assert (laptop.is_signed_in, phone.is_signed_in, typed.is_signed_in) == (False, False, True)


def test_a_token_works_once(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    name = next(names)
    token = token_of(realm, {"sub": name})
    assert send(own, token).status == 200
    own.write("UPDATE sso_logouts SET at = at - 1")  # who comes back within the same second has to try again
    again = arrive(own, realm, name)
    answer = send(own, token)
    assert (answer.status, json.loads(answer.body)) == (
        400, {"error": "invalid_request", "error_description": "replayed"},
    )  # fmt: skip
    assert (answer.get("content-type"), answer.get("cache-control")) == ("application/json; charset=utf-8", "no-store")
    assert again.is_signed_in
    assert logged(own, "sso_logout_refused")[-1]["reason"] == "replayed"


def test_a_sign_in_that_the_provider_has_ended_meanwhile_opens_nothing(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    """The person comes back with a code of a sign-in at the provider that was ended before the code was used."""
    name = next(names)
    browser = arrive(own, realm, name)
    sid = sid_of(own, browser)
    assert send(own, token_of(realm, {"sid": sid, "sub": name})).status == 200
    assert not browser.is_signed_in
    answer = browser.come_back(browser.leave(), name)  # the provider itself still has it
    assert answer.status == 422
    assert not browser.is_signed_in


def test_the_sessions_of_a_tenant_are_safe_from_the_provider_of_another(
    own: Gateway, realm: Realm, beta: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    browser = arrive(own, realm, name)
    named = {"sub": name, "sid": sid_of(own, browser)}
    tokens = [
        (token_of(beta, named), ACME, "issuer"),
        (token_of(beta, {**named, "iss": realm.issuer}), ACME, "key"),
        (token_of(realm, named), BETA, "issuer"),
        (token_of(realm, {**named, "iss": beta.issuer}), BETA, "key"),
        (token_of(realm, {**named, "aud": "other"}), ACME, "audience"),
        (token_of(realm, named, key="unknown"), ACME, "key"),
        (token_of(realm, named, alg="none"), ACME, "algorithm"),
        (token_of(realm, named, alg="HS256", secret=GATEWAY.secret), ACME, "algorithm"),
        (token_of(realm, named), "/login/sso/logout/otium", "issuer"),
        (token_of(realm, named), "/login/sso/logout/nowhere", "issuer"),
    ]
    for token, path, reason in tokens:
        answer = send(own, token, path)
        assert answer.status == 400
        reasons = {"key_unknown", "signature"} if reason == "key" else {reason}  # keys of realms may have the same id
        assert json.loads(answer.body)["error_description"] in reasons
    assert send(own, token_of(beta, named), BETA).status == 200
    assert browser.is_signed_in
    assert len(tokens) == 10


def test_an_id_token_signs_nobody_out(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    name = next(names)
    browser = arrive(own, realm, name)
    token = token_of(realm, {"sub": name, "events": None, "nonce": "x"})
    assert json.loads(send(own, token).body)["error_description"] == "no_logout_event"
    assert browser.is_signed_in


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", ()),
        (b"logout_token=", ()),
        (b"logout_token=a&logout_token=b", ()),
        (b"token=x", ()),
        (b"logout_token=%ff", ()),
        (b'{"logout_token": "x"}', ("Content-Type: application/json",)),
        (b"logout_token=" + b"x" * 70_000, ()),
        (b"logout_token=" + b"x" * 60_000, ()),
    ],
)
def test_what_is_no_token_gets_400_in_json(own: Gateway, realm: Realm, body: bytes, lines: tuple[str, ...]) -> None:
    answer = send(own, body, ACME, "", *lines)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")
    assert answer.get("cache-control") == "no-store"


def test_whoever_sends_what_is_refused_has_to_wait_and_locks_out_nobody_else(
    own: Gateway, realm: Realm, beta: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    browser, source = arrive(own, realm, name), "127.0.6.1"
    foreign = token_of(beta, {"sub": name})
    answers = [send(own, foreign, ACME, source) for _ in range(120)]
    assert {answer.status for answer in answers} == {400, 429}
    assert int(answers[-1].get("retry-after") or 0) > 0
    assert json.loads(answers[-1].body)["error"] == "invalid_request"
    # A hosted provider sends the tokens of all its customers from one address.
    assert send(own, token_of(realm, {"sub": name}), ACME, source).status == 200
    assert not browser.is_signed_in


def test_the_provider_ends_sessions_also_while_it_is_switched_off_and_not_once_it_is_removed(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    browser = arrive(own, realm, name)
    own.write("UPDATE identity_providers SET is_enabled = :no WHERE tenant = 'acme'", no=False)
    try:
        assert send(own, token_of(realm, {"sub": name})).status == 200
    finally:
        own.write("UPDATE identity_providers SET is_enabled = :yes WHERE tenant = 'acme'", yes=True)
    assert not browser.is_signed_in


# From here to the provider.


def test_whoever_signs_out_here_is_offered_to_sign_out_at_the_provider_too(
    own: Gateway, realm: Realm, names: Iterator[str]
) -> None:
    name = next(names)
    browser = arrive(own, realm, name)
    sid, phone = sid_of(own, browser), arrive(own, realm, name)
    way = browser.send("/logout", {}).get("location") or ""
    assert not browser.is_signed_in
    assert way.startswith("/login/sso/left/")
    page = Person(own, browser.email, source="127.0.7.1").open(way)  # whatever the browser still has, or not
    assert (page.status, page.get("referrer-policy")) == (200, "strict-origin")
    url = html.unescape(re.findall(r'<a class="button" href="([^"]+)"', page.body.decode())[0])
    assert url.startswith(realm.metadata()["end_session_endpoint"] + "?")
    given = dict(parse_qsl(urlsplit(url).query))
    assert given == {"client_id": GATEWAY.client_id, "post_logout_redirect_uri": BACK, "logout_hint": sid}
    gone = browser.elsewhere.sign_out(url)
    assert (gone.status, gone.url) == (303, BACK)
    assert "Sign in at" in browser.elsewhere.open(browser.leave()).body
    assert phone.is_signed_in


def test_whoever_gave_a_password_is_offered_nothing_more(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    browser = give_password(own, next(names))
    assert browser.send("/logout", {}).get("location") == "/login?signed-out=1"


def test_the_way_to_the_provider_is_no_way_for_strangers(own: Gateway, realm: Realm) -> None:
    nobody = Person(own, source="127.0.7.2")
    for token in ("x", "x" * 5_000, "AAAA", "A" * 200):
        answer = nobody.open(f"/login/sso/left/{token}", follow=False)
        assert (answer.status, answer.get("location")) == (303, "/login?signed-out=1")


def test_a_provider_that_is_down_is_not_offered(own: Gateway, realm: Realm, names: Iterator[str]) -> None:
    browser = arrive(own, realm, next(names))
    way = browser.send("/logout", {}).get("location") or ""
    own.write("UPDATE identity_providers SET issuer = :x WHERE tenant = 'acme'", x="http://127.0.0.1:9/nothing")
    try:
        assert browser.open(way, follow=False).get("location") == "/login?signed-out=1"
    finally:
        own.write("UPDATE identity_providers SET issuer = :x WHERE tenant = 'acme'", x=realm.issuer)


def test_the_administrator_is_told_what_to_register(own: Gateway, realm: Realm) -> None:
    adam = Person(own, "admin", source="127.0.7.3")
    adam.give_password("/admin/sso")
    page = adam.open("/admin/sso").body.decode().replace("<wbr>", "")
    assert f"<code>{ORIGIN}{ACME}</code>" in page
    assert f"<code>{BACK}</code>" in page
