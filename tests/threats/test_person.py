"""One person's page for administrators: why they can't get in, and what is ended or changed there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.person import Person, hidden_fields
from tests.support.upstream import RecordingUpstream
from tests.threats.test_people import admin_of, audited, id_of

AT = "/admin/accounts/member"


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("person")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port, changes={"TOKENS__ON": "true"})
    running.seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture
def admin(own: Gateway) -> Person:
    return admin_of(own)


def main_of(person: Person, account: str) -> str:
    page = person.open(f"{AT}?account={account}")
    assert page.status == 200
    return html.unescape(page.body.decode().partition("<main")[2])


def send(person: Person, account: str, what: str, **fields: str) -> tuple[int, str]:
    answer = person.send(AT, {"account": account, "do": what, **fields})
    return answer.status, html.unescape(answer.body.decode().partition("<main")[2])


def test_a_lockout_is_explained_and_ended(own: Gateway, admin: Person) -> None:
    member = Person(own, "crowd1@acme.example", source="127.0.0.21")
    for _ in range(6):
        member.give_password(password="wrong")
    assert member.give_password().status == 429
    account = id_of(own, member.email)
    page = main_of(admin, account)
    assert "something can stop them" in page
    assert re.search(r"wrong passwords from 127\.0\.0\.21, new devices there are locked out until <time", page)
    assert "locked" in page.partition("Latest events")[2].partition("</section>")[0].lower()
    assert send(admin, account, "unlocked")[0] == 303
    assert "Yes, nothing about their account stops them." in main_of(admin, account)
    assert member.give_password().status == 200
    assert [row["by"] for row in audited(own, "account_unlocked")] == [admin.email]


def test_ten_devices_are_shown_and_all_when_asked(own: Gateway, admin: Person) -> None:
    for at in range(12):
        Person(own, "crowd8@acme.example", source=f"127.0.1.{at + 1}").give_password()
    account = id_of(own, "crowd8@acme.example")
    page = main_of(admin, account)
    assert page.count('value="device-out"') == 10
    assert ">2 more</a>" in page
    everything = html.unescape(admin.open(f"{AT}?account={account}&all=1").body.decode())
    assert everything.count('value="device-out"') == 12
    assert " more</a>" not in everything


def test_what_mends_it_is_offered_once(own: Gateway, admin: Person) -> None:
    admin.send("/admin/accounts/invite", {"email": "ivy@acme.example", "name": "Ivy", "role": "employee"})
    for email, what in (("ivy@acme.example", "resent"), ("dora@acme.example", "enabled")):
        page = main_of(admin, id_of(own, email))
        assert "<strong>No:</strong>" in page
        assert page.count(f'value="{what}"') == 1


def test_one_device_is_signed_out_after_it_was_named(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    stolen, other = (Person(own, "crowd2@acme.example", source=f"127.0.0.{at}") for at in (31, 32))
    for each in (stolen, other):
        each.give_password()
    account = id_of(own, stolen.email)
    page = main_of(admin, account)
    session = next(
        fields["session"]
        for fields in (hidden_fields(f"<form{form}", AT) for form in page.split("<form")[1:])
        if "session" in fields and "127.0.0.31" in page.partition(f'id="{fields["session"]}"')[2].partition("</p>")[0]
    )
    status, asked = send(admin, account, "device-out", session=session)
    assert (status, "127.0.0.31" in asked, stolen.is_signed_in) == (200, True, True)
    assert admin.submit(AT, follow=False).status == 303
    assert (stolen.is_signed_in, other.is_signed_in) == (False, True)
    mailbox.wait_for(stolen.email, "signed out")


def test_tokens_are_revoked_one_by_one_and_all_after_it_was_said_how_many(own: Gateway, admin: Person) -> None:
    member = Person(own, "crowd3@acme.example")
    member.give_password()
    for name in ("Calendar", "Backups", "Script"):
        created = member.send("/me/tokens", {"name": name, "days": "30", "role": "employee", "access": "read"})
        assert created.status == 200
    account = id_of(own, member.email)
    page = main_of(admin, account)
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]
    assert send(admin, account, "revoked", token=token)[0] == 303
    status, asked = send(admin, account, "tokens-revoked")
    assert status == 200
    assert re.search(r"Tokens that stop working</dt><dd>2</dd>", asked)
    assert admin.submit(AT, follow=False).status == 303
    assert "Calendar" not in main_of(admin, account).partition("Latest events")[0]
    assert len(audited(own, "token_revoked")) == 3
    assert member.is_signed_in


def test_a_token_or_device_of_somebody_else_is_not_ended_by_naming_another_person(own: Gateway, admin: Person) -> None:
    one = Person(own, "crowd4@acme.example")
    one.give_password()
    one.send("/me/tokens", {"name": "Calendar", "days": "30", "role": "employee", "access": "read"})
    [(token,)] = own.write("SELECT id FROM api_tokens WHERE account = :a", a=id_of(own, one.email))
    [(session,)] = own.write("SELECT id FROM sessions WHERE account = :a", a=id_of(own, one.email))
    another = id_of(own, "crowd5@acme.example")
    assert send(admin, another, "revoked", token=str(token))[0] == 404
    assert send(admin, another, "device-out", session=str(session), confirmed="yes")[0] == 404
    assert one.is_signed_in
    assert own.write("SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL AND id = :t", t=token) == [(1,)]


def test_a_form_that_another_administrator_overtook_comes_back_with_what_was_typed(own: Gateway, admin: Person) -> None:
    account = id_of(own, "crowd6@acme.example")
    main_of(admin, account)
    seen = re.findall(r'name="seen" value="([^"]+)"', main_of(admin, account))[0]
    assert send(admin, account, "saved", name="First", role="manager", seen=seen)[0] == 303
    status, page = send(admin, account, "saved", name="Second", role="employee", seen=seen, **{"module-hr": "1"})
    assert status == 409
    assert 'value="Second"' in page
    assert "Saved now: First" in page
    assert "Saved now: Manager" in page
    assert re.search(r'name="module-hr" value="1" checked', page)
    again = re.findall(r'name="seen" value="([^"]+)"', page)[0]
    fields = {"name": "Second", "role": "employee", "module-hr": "1", "seen": again}
    assert send(admin, account, "saved", **fields)[0] == 303
    assert own.write("SELECT name, role, modules FROM accounts WHERE id = :a", a=account) == [
        ("Second", "employee", "hr")
    ]


def test_no_link_fills_the_form_in(own: Gateway, admin: Person) -> None:
    """One would need only an administrator who presses “Save” to make the person who sent it an administrator."""
    account, typed = (
        id_of(own, "crowd9@acme.example"),
        "name=Zedekiah&role=admin&module-hr=1&email=zedekiah@acme.example",
    )
    page = admin.open(f"{AT}?account={account}&{typed}&done=proved").body.decode()
    assert "Zedekiah" not in page.partition("<main")[2]
    assert "zedekiah@" not in page.partition("<main")[2]
    assert re.search(r'value="employee" selected', page)
    assert "not saved yet" not in page
    other = Person(own, "crowd10@acme.example")
    other.give_password()
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = :e", e=other.email)
    own.write("UPDATE sessions SET proofs = :p WHERE account = :a", p='[["password",1]]', a=id_of(own, other.email))
    asked = other.send(AT, {"account": account, "do": "saved", "name": "Zedekiah", "role": "admin"}).get("location")
    sealed = re.findall(r"form%3D([\w-]+)", str(asked))[0]
    foreign = admin.open(f"{AT}?account={account}&form={sealed}&done=proved").body.decode()
    assert "not saved yet" not in foreign
    assert "Zedekiah" not in foreign.partition("<main")[2]
    assert "Zedekiah" not in str(asked)


def test_what_was_changed_is_told_in_one_message(own: Gateway, admin: Person) -> None:
    account = id_of(own, "crowd7@acme.example")
    answer = admin.send(AT, {"account": account, "do": "saved", "name": "New Name", "role": "manager"}, follow=True)
    note = html.unescape(answer.body.decode()).partition('role="status"')[2].partition("</div>")[0]
    assert "The name has been changed." in note
    assert "Role and access have been changed." in note
    assert "link to both addresses" not in note
    same = admin.send(AT, {"account": account, "do": "saved", "name": "New Name", "role": "manager"}, follow=True)
    assert "Nothing has changed" in same.body.decode()


def test_an_owners_page_shows_an_administrator_neither_devices_nor_events(own: Gateway, admin: Person) -> None:
    own.write("UPDATE accounts SET tenant = 'acme' WHERE identifier = 'otto@otium.example'")
    own.announce()
    page = main_of(admin, id_of(own, "otto@otium.example"))
    assert "platform owner" in page
    for part in ("Can this person get in?", "Signed-in devices", "Latest events", "<form"):
        assert part not in page
    own.write("UPDATE accounts SET tenant = 'otium' WHERE identifier = 'otto@otium.example'")
    own.announce()


def test_expired_invitations_are_sent_again_after_it_was_said_how_many(
    own: Gateway, admin: Person, mailbox: Mailbox
) -> None:
    emails = [f"guest{n}@acme.example" for n in range(3)]
    for email in emails:
        admin.send("/admin/accounts/invite", {"email": email, "name": "Guest", "role": "employee"})
    own.write("UPDATE mailed_links SET created_at = created_at - 700000 WHERE identifier = :e", e=emails[0])
    own.write("DELETE FROM mailed_links WHERE identifier = :e", e=emails[1])
    own.write(
        "INSERT INTO accounts (id, identifier, name, tenant, role, modules, status, created_at)"
        " VALUES ('acc_beta', 'guest@beta.example', 'G', 'beta', 'employee', '', 'active', 1)"
    )
    page = html.unescape(admin.open("/admin/accounts?state=invited").body.decode())
    assert "2 people have no invitation that works" in page
    asked = html.unescape(admin.send("/admin/accounts/resend", {"tenant": "beta"}).body.decode())
    assert "Resend 2 invitations?" in asked
    assert re.search(r"People</dt><dd>2</dd>", asked)
    done = admin.submit("/admin/accounts/resend", follow=False)
    assert done.get("location") == "/admin/accounts?state=invited&done=resent-all&count=2"
    assert "2 invitations sent." in admin.open(str(done.get("location"))).body.decode()
    for email, count in zip(emails, (2, 2, 1), strict=True):
        mailbox.wait_for(email, "invited you", count)
        assert len(mailbox.to(email, "invited you")) == count
    assert mailbox.to("guest@beta.example") == []
    assert "have no invitation" not in admin.open("/admin/accounts?state=invited").body.decode()
