"""Ways back in: the tenant's admin for members, the shell for everybody, and nobody else."""

from __future__ import annotations

import base64
import html
import os
import re
import sqlite3

import pytest

from tests.support.gateway import PEOPLE, SECRET, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.owner import enrol_owner, mailed_link
from tests.support.person import Person, code_of, key_on


def new_secret() -> str:
    return base64.b64encode(os.urandom(48)).decode()


def account_id(gateway: Gateway, who: str) -> str:
    with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
        query = "SELECT id FROM accounts WHERE identifier = ?"
        return str(connection.execute(query, (PEOPLE[who][0],)).fetchone()[0])


def test_the_page_says_who_helps_when_phone_and_codes_are_gone(own: Gateway, mailbox: Mailbox) -> None:
    member = Person(own)
    member.sign_in()
    member.enrol()
    member = Person(own, source="127.0.0.7")
    member.give_password()
    shown = html.unescape(member.open("/login/backup?next=/").body.decode())
    order = ["Look for your backup codes", "Try your other devices", "your company’s administrator", "Ask in person"]
    assert [shown.index(words) for words in order] == sorted(shown.index(words) for words in order)
    assert f"They need only your email address, {member.email}." in shown
    assert not any(name in shown for name in ("Adam", PEOPLE["admin"][0], "otium-gateway"))  # no names, no commands
    enrol_owner(own, mailbox)
    owner = Person(own, "owner", source="127.0.0.3")
    owner.give_password()
    page = html.unescape(owner.open("/login/backup?next=/").body.decode())
    command = f"otium-gateway account unlock --email {owner.email} --reset-2fa --confirm"
    assert f"<code>{command}</code>" in page
    assert 'href="/login/backup?next=/#lost-phone"' in owner.open("/login/totp?next=/").body.decode()
    assert own.cli(*command.split()[1:]).returncode == 0
    waiting = html.unescape(owner.give_password().body.decode())
    assert "Can’t open the email?" in waiting
    assert f"<code>otium-gateway account unlock --email {owner.email} --one-time-link --confirm</code>" in waiting
    link = mailed_link(mailbox, owner.email, 2)
    assert key_on(owner.send(link, {}, follow=True))


def test_an_admin_resets_a_member_who_then_enrols_again(own: Gateway, mailbox: Mailbox) -> None:
    member, admin = Person(own), Person(own, "admin", source="127.0.0.3")
    member.sign_in()
    member.enrol()
    admin.sign_in()
    wanted = account_id(own, "employee")
    assert f"/admin/accounts/member?account={wanted}" in admin.open("/admin/accounts?q=erin").body.decode()
    page = admin.open(f"/admin/accounts/member?account={wanted}").body.decode()
    assert f"/admin/accounts/reset-2fa?account={wanted}" in page
    admin.open(f"/admin/accounts/reset-2fa?account={wanted}")
    done = admin.submit("/admin/accounts/reset-2fa", follow=False)
    assert done.get("location") == f"/admin/accounts/member?account={wanted}&done=reset"
    assert not member.is_signed_in
    mailbox.wait_for(member.email, "reset", said="Adam")
    page_again = member.give_password("/probe")
    key = key_on(page_again)
    assert not member.is_signed_in
    member.submit("/login/totp", code=code_of(own, member.email, key))
    assert member.is_signed_in


@pytest.mark.parametrize("target", ["other", "owner", "admin"])
def test_an_admin_reaches_no_other_tenant_no_owner_and_not_themselves(own: Gateway, target: str) -> None:
    admin = Person(own, "admin")
    admin.sign_in()
    wanted = account_id(own, target)
    assert admin.open(f"/admin/accounts/reset-2fa?account={wanted}").status == 404
    assert admin.send("/admin/accounts/reset-2fa", {"account": wanted}).status == 404
    if target != "admin":
        assert PEOPLE[target][0] not in admin.open("/admin/accounts").body.decode()


def test_a_member_reaches_no_page_of_an_admin(own: Gateway) -> None:
    member = Person(own)
    member.sign_in()
    assert member.open("/admin/accounts").status == 403
    assert member.send("/admin/accounts/reset-2fa", {"account": account_id(own, "manager")}).status == 403


def test_unlock_shows_first_and_does_it_when_confirmed(own: Gateway) -> None:
    person = Person(own)
    for _ in range(6):
        answer = person.send("/login", {"email": person.email, "password": "wrong", "next": "/"})
    assert answer.status == 429
    shown = own.cli("account", "unlock", "--email", person.email)
    assert "nothing changed; add --confirm" in shown.stdout
    assert person.send("/login", {"email": person.email, "password": "x", "next": "/"}).status == 429
    assert own.cli("account", "unlock", "--email", person.email, "--confirm").returncode == 0
    person.sign_in()
    assert person.is_signed_in
    assert "account_unlocked" in own.cli("audit", "list").stdout


def test_the_shell_takes_totp_away_and_sets_a_password(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    done = own.cli("account", "unlock", "--email", person.email, "--reset-2fa", "--reset-password", "--confirm")
    assert done.returncode == 0, done.stderr
    assert not person.is_signed_in
    mailbox.wait_for(person.email, "reset", said="operator")
    password = done.stdout.partition("new password: ")[2].split()[0]
    page = person.give_password(password=password)
    assert key_on(page)


def test_a_one_time_link_needs_somebody_who_is_signing_in(own: Gateway) -> None:
    result = own.cli("account", "unlock", "--email", PEOPLE["owner"][0], "--one-time-link", "--confirm")
    assert result.returncode == 1
    assert "no sign-in in progress" in result.stderr


def test_keys_rotate_and_the_old_secret_can_go(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    key, codes = person.enrol()
    person.send("/forgot-password", {"email": PEOPLE["manager"][0]})
    reset = re.sub(r"^https?://[^/]+", "", links_in(mailbox.wait_for(PEOPLE["manager"][0], "password"))[0])
    made = new_secret()
    own.stop()
    own.environ["GATEWAY_SECRET"] = f"{made}\n{SECRET}"
    assert "1 TOTP secrets, 8 backup codes" in own.cli("keys", "rotate").stdout
    assert "1 TOTP secrets, 8 backup codes" in own.cli("keys", "rotate", "--confirm").stdout
    assert "0 TOTP secrets, 0 backup codes" in own.cli("keys", "rotate").stdout
    own.environ["GATEWAY_SECRET"] = made
    own.start()
    assert person.is_signed_in
    again = Person(own, source="127.0.0.3")
    again.give_password()
    again.submit("/login/totp", code=code_of(own, again.email, key))
    assert again.is_signed_in
    third = Person(own, source="127.0.0.4")
    third.give_password()
    third.open("/login/backup?next=/probe")
    third.submit("/login/backup", code=codes[5])
    assert third.is_signed_in
    assert "Set a new password" in third.open(reset).body.decode()


def test_without_the_secret_that_sealed_it_rotation_changes_nothing(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    own.environ["GATEWAY_SECRET"] = new_secret()
    result = own.cli("keys", "rotate")
    assert result.returncode == 1
    assert "with a secret that is missing" in result.stderr
