"""Leaving by a page of the provider in the person's browser, as Entra ID does it: a frame, without cookies."""

from __future__ import annotations

import html
import json
import re
import uuid
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, connect
from tests.support.gateway import ORIGIN, Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.raw import Response, get

PAGE = "/login/sso/logout/acme"
IDS = [str(uuid.UUID(int=number)) for number in range(1, 20)]
PEOPLE = [User(name, f"g{number}@acme.example", "G", claims={"xms_edov": True}) for number, name in enumerate(IDS)]
numbers = iter(range(len(IDS)))


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    client = replace(GATEWAY, frontchannel_logout_uri=ORIGIN + PAGE, post_logout_redirect_uris=(f"{ORIGIN}/login",))
    realm = identity_provider.entra(users=PEOPLE, clients=[client], optional_claims=["sid", "login_hint", "email"])
    connect(own, realm, subject=IDS[0], kind="entra", creates_accounts="yes")
    return realm


def arrive(own: Gateway, realm: Realm, number: int) -> Employee:
    browser = Employee(own, realm.provider, f"g{number}@acme.example")
    assert browser.come_back(browser.leave(), IDS[number]).get("location") == "/probe"
    assert browser.is_signed_in
    return browser


def frame(own: Gateway, source: str = "127.0.4.1", **query: str) -> Response:
    """Ask for the page as a frame of another site does: the browser sends no cookies that are SameSite."""
    lines = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
    return own.exchange(get(f"{PAGE}?{urlencode(query)}", *lines), source=source)


def sid_of(own: Gateway, browser: Employee) -> str:
    query = (
        "SELECT sid FROM sso_sessions JOIN accounts ON accounts.id = sso_sessions.account JOIN sessions ON sessions.id = holder "
        "WHERE identifier = :email AND ended_at IS NULL"
    )
    ((sid,),) = own.write(query, email=browser.email)
    return str(sid)


def test_whoever_signs_out_at_entra_id_is_signed_out_here_in_that_browser(own: Gateway, realm: Realm) -> None:
    number = next(numbers)
    laptop, phone, colleague = (arrive(own, realm, each) for each in (number, number, next(numbers)))
    page = laptop.elsewhere.sign_out(realm.metadata()["end_session_endpoint"])
    (url,) = re.findall(r'<iframe hidden src="([^"]+)"', page.body)
    assert url.startswith(f"{ORIGIN}{PAGE}?sid=")
    answer = frame(own, **dict(parse_qsl(urlsplit(html.unescape(url)).query)))
    assert (answer.status, answer.body) == (200, b"")
    assert (laptop.is_signed_in, phone.is_signed_in, colleague.is_signed_in) == (False, True, True)
    query = "SELECT actor, details FROM audit WHERE event = 'logout' AND identifier = :email"
    ((actor, details),) = own.write(query, email=laptop.email)
    assert (actor, json.loads(details)) == (realm.issuer, {"how": "front-channel logout"})


def test_the_answer_may_be_framed_by_the_provider_only_and_tells_nothing(own: Gateway, realm: Realm) -> None:
    browser = arrive(own, realm, next(numbers))
    sid = sid_of(own, browser)
    answers = [
        frame(own, sid="unknown"),
        frame(own),
        frame(own, sid=sid, iss="https://evil.example"),
        frame(own, sid=sid),
    ]
    for answer in answers:
        policy = answer.get("content-security-policy") or ""
        assert f"frame-ancestors {realm.provider.origin};" in policy
        assert (answer.all("x-frame-options"), answer.get("cache-control")) == ([], "no-store")
        assert answer.all("set-cookie") == []
    told = {(answer.status, answer.body, answer.get("content-security-policy")) for answer in answers}
    assert len(told) == 1
    assert not browser.is_signed_in


def test_other_pages_may_not_be_framed(own: Gateway, realm: Realm) -> None:
    for path in ("/login", "/login/sso", "/login/sso/acme", "/login/sso/left/x", "/login/sso/logout/nowhere"):
        answer = own.exchange(get(path))
        assert "frame-ancestors 'none'" in (answer.get("content-security-policy") or ""), path
        assert answer.get("x-frame-options") == ("DENY" if path != "/login/sso/logout/nowhere" else None)


@pytest.mark.parametrize("issuer", ["", "right"])
def test_the_issuer_may_be_named(own: Gateway, realm: Realm, issuer: str) -> None:
    browser = arrive(own, realm, next(numbers))
    frame(own, sid=sid_of(own, browser), **({"iss": realm.issuer} if issuer else {}))
    assert not browser.is_signed_in


def test_only_the_exact_id_of_a_sign_in_ends_it(own: Gateway, realm: Realm) -> None:
    browser = arrive(own, realm, next(numbers))
    sid = sid_of(own, browser)
    (account, session), *_ = own.write(
        "SELECT accounts.id, sessions.id FROM accounts JOIN sessions ON sessions.account = accounts.id "
        "WHERE identifier = :email", email=browser.email,
    )  # fmt: skip
    wrong = [sid[:-1], sid + "0", sid.upper() + "X", f" {sid}", "%", "_" * len(sid), "*", sid[:-1] + "%", account, session,
             f"{sid}\x00", "' OR 1=1 --", "x" * 300]  # fmt: skip
    tried = [frame(own, source=f"127.0.4.{10 + at}", sid=text).status for at, text in enumerate(wrong)]
    tried.append(frame(own, source="127.0.4.40", sid=sid, iss=realm.issuer + "/").status)
    tried.append(own.exchange(get(f"{PAGE}?sid={quote(sid)}&sid=x&iss=", method="HEAD"), source="127.0.4.41").status)
    assert set(tried) <= {200, 400}
    assert browser.is_signed_in


def test_guessing_has_a_limit_and_does_not_keep_others_from_leaving(own: Gateway, realm: Realm) -> None:
    browser = arrive(own, realm, next(numbers))
    sid = sid_of(own, browser)
    assert {frame(own, source="127.0.8.1", sid=f"guess {number}").status for number in range(120)} == {200}
    frame(own, source="127.0.8.1", sid=sid)
    assert browser.is_signed_in  # nothing from there counts any more
    frame(own, source="127.0.8.2", sid=sid)
    assert not browser.is_signed_in


def test_a_sign_in_that_has_ended_here_before_uses_up_no_try(own: Gateway, realm: Realm) -> None:
    """Entra ID tells every application that was opened, also those that the person has left by then."""
    number = next(numbers)
    gone = sid_of(own, arrive(own, realm, number))
    assert {frame(own, source="127.0.8.3", sid=gone).status for _ in range(120)} == {200}
    browser = arrive(own, realm, number)
    frame(own, source="127.0.8.3", sid=sid_of(own, browser))
    assert not browser.is_signed_in


def test_entra_id_is_told_who_signs_out(own: Gateway, realm: Realm) -> None:
    """So that it needs no page to choose the account."""
    browser = arrive(own, realm, next(numbers))
    way = browser.send("/logout", {}).get("location") or ""
    page = browser.open(way).body.decode()
    url = html.unescape(re.findall(r'<a class="button" href="([^"]+)"', page)[0])
    given = dict(parse_qsl(urlsplit(url).query))
    assert given["logout_hint"].startswith("Ty4")  # the claim login_hint of this Entra ID: "O." and the person's id
    assert given["post_logout_redirect_uri"] == f"{ORIGIN}/login"
