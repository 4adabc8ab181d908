"""Strangers who try to keep people out: with a password, without one, from their own address or from the same one."""

from __future__ import annotations

import sqlite3

import pytest

from tests.support.gateway import PASSWORD, PEOPLE, PROXY, Gateway
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.owner import LINK_MAIL, enrol_owner, mailed_link, path_of
from tests.support.person import CHROME, Person, code_of
from tests.support.raw import Response

FIREFOX = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
OWNER = PEOPLE["owner"][0]
RESET_MAIL = "Reset your"


def ask(own: Gateway, path: str, fields: dict[str, str], address: str, browser: str = FIREFOX) -> Response:
    return own.post(path, fields, browser, f"X-Forwarded-For: {address}", source=PROXY)


def links_sent(own: Gateway) -> int:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        return int(connection.execute("SELECT count(*) FROM magic_links").fetchone()[0])


def account_of(own: Gateway, email: str) -> str:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        query = "SELECT id FROM accounts WHERE identifier = ?"
        return str(connection.execute(query, (email,)).fetchone()[0])


@pytest.mark.parametrize("again", ["", "1"])
def test_a_link_is_not_sent_before_what_comes_before_it_is_proved(own: Gateway, mailbox: Mailbox, again: str) -> None:
    enrol_owner(own, mailbox)
    before = links_sent(own)
    thief = Person(own, "owner", source="127.0.0.8")
    thief.give_password("/platform")
    for _ in range(6):
        refused = thief.send("/login/link", {"resend": "1", "again": again, "next": "/platform"})
        assert (refused.status, (refused.get("location") or "").partition("?")[0]) == (303, "/login")
    waiting = thief.open(f"/login/link?next=/platform&again={again}", follow=False)
    assert (waiting.get("location") or "").startswith("/login/totp")
    assert links_sent(own) == before


def test_codes_of_a_link_are_not_counted_before_what_comes_before_it_is_proved(own: Gateway, mailbox: Mailbox) -> None:
    _, key, _ = enrol_owner(own, mailbox)
    thief = Person(own, "owner", source="127.0.0.8")
    thief.give_password("/platform")
    for _ in range(8):
        assert thief.send("/login/link", {"code": "AAAA-AAAA", "again": "1", "next": "/"}).status == 303
    owner = Person(own, "owner", source="127.0.0.8", browser=FIREFOX)
    owner.give_password("/platform")
    owner.submit("/login/totp", code=code_of(own, owner.email, key))
    link = mailed_link(mailbox, owner.email, 2)
    shown = Person(own, "owner", source="127.0.0.9").open(link).body.decode()
    code = shown.partition('id="code">')[2].partition("<")[0]
    owner.send("/login/link", {"code": code, "next": "/platform"})
    assert owner.is_signed_in


def test_the_links_of_others_do_not_keep_a_device_out_that_signed_in_before(own: Gateway, mailbox: Mailbox) -> None:
    """The owner has no app yet, so the password alone has a link mailed: the thief has as many as it takes."""
    owner, _, _ = enrol_owner(own, mailbox)
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM totp")
    for number in range(24):
        fields = {"email": OWNER, "password": PASSWORD, "next": "/"}
        ask(own, "/login", fields, f"198.51.100.{number // 6}")
    stranger = Person(own, "owner", source="127.0.0.77")
    stranger.give_password("/platform")
    before = len(mailbox.to(OWNER, LINK_MAIL))
    owner = Person(own, "owner", source=owner.source)
    owner.give_password("/platform")
    owner.send(path_of(links_in(mailbox.wait_for(OWNER, LINK_MAIL, before + 1))[0]), {})
    assert "app" in owner.open("/login/totp?next=/platform").body.decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "198.51.100.9"], ids=["the same address", "another one"])
def test_wrong_passwords_of_others_do_not_lock_a_device_that_signed_in_before(own: Gateway, address: str) -> None:
    person = Person(own, source="127.0.0.1")
    person.sign_in()
    statuses = [ask(own, "/login", {"email": person.email, "password": "wrong"}, address).status for _ in range(6)]
    assert statuses[-1] == 429
    again = Person(own, source="127.0.0.1")
    again.sign_in()
    assert again.is_signed_in


def test_who_imitates_a_known_device_has_one_more_bucket_and_no_more(own: Gateway) -> None:
    Person(own, source="127.0.0.1").sign_in()
    Person(own, source="127.0.0.1", browser=FIREFOX).sign_in()
    email = PEOPLE["employee"][0]
    browsers = [CHROME, FIREFOX, "User-Agent: curl/8.0", "User-Agent: wget/1.0"]
    statuses = [
        ask(own, "/login", {"email": email, "password": "wrong"}, "127.0.0.1", browsers[n % 4]).status
        for n in range(40)
    ]
    assert statuses.count(422) <= 10
    assert statuses[-4:] == [429] * 4


def test_a_stranger_neither_floods_a_mailbox_with_resets_nor_keeps_its_owner_from_one(
    own: Gateway, mailbox: Mailbox
) -> None:
    person = Person(own, source="127.0.0.1")
    person.sign_in()
    for number in range(40):
        ask(own, "/forgot-password", {"email": person.email}, f"198.51.100.{number % 8}")
    mailbox.wait_for(person.email, RESET_MAIL, 5)
    person.send("/forgot-password", {"email": person.email})
    mailbox.wait_for(person.email, RESET_MAIL, 6)
    assert len(mailbox.to(person.email, RESET_MAIL)) == 6


def test_a_stranger_asks_for_few_resets_from_one_address_and_others_may_still(own: Gateway, mailbox: Mailbox) -> None:
    email = PEOPLE["manager"][0]
    for _ in range(4):
        ask(own, "/forgot-password", {"email": email}, "198.51.100.1")
    ask(own, "/forgot-password", {"email": email}, "203.0.113.5")
    mailbox.wait_for(email, RESET_MAIL, 5)


# Devices that were revoked.


@pytest.fixture
def signed_in_thief(own: Gateway, mailbox: Mailbox) -> tuple[Person, str]:
    """A thief who knows the password, signed in on a device that the account was told about; and that mail's link."""
    thief = Person(own, source="127.0.0.66", browser=FIREFOX)
    thief.sign_in()
    mail = mailbox.wait_for(thief.email, "New sign-in")
    link = next(path_of(link) for link in links_in(mail) if "/devices/revoke/" in link)
    return thief, link


WAYS = ["the link", "the link, late", "the page of devices", "the page, all others", "the shell", "an admin"]


@pytest.mark.parametrize("way", WAYS)
def test_a_device_that_was_revoked_is_told_about_again(
    own: Gateway, mailbox: Mailbox, signed_in_thief: tuple[Person, str], way: str
) -> None:
    thief, link = signed_in_thief
    earlier = Person(own, source=thief.source, browser=thief.browser)
    earlier.sign_in()
    earlier.send("/logout", {})
    victim = Person(own, source="127.0.0.1")
    victim.sign_in()
    mailbox.wait_for(victim.email, "New sign-in", 2)
    match way:
        case "the link":
            victim.send(link, {})
        case "the link, late":
            thief.send("/logout", {})
            victim.send(link, {})
        case "the page of devices":
            page = victim.open("/me/sessions").body.decode()
            victim.send("/me/sessions/revoke", {"session": page.partition('name="session" value="')[2][:24]})
        case "the page, all others":
            victim.send("/me/sessions/others", {})
        case "the shell":
            assert own.cli("session", "revoke", "--email", victim.email).returncode == 0
        case "an admin":
            admin = Person(own, "admin", source="127.0.0.3")
            admin.sign_in()
            account = account_of(own, victim.email)
            admin.open(f"/admin/accounts/sign-out?account={account}")
            admin.submit("/admin/accounts/sign-out")
    assert not thief.is_signed_in
    again = Person(own, source=thief.source, browser=thief.browser)
    again.sign_in()
    text = text_of(mailbox.wait_for(victim.email, "New sign-in", 3))
    assert "127.0.0.66" in text
    assert again.is_signed_in
