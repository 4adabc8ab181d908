"""Someone else uses an account: what happened is shown, and everything that can act for it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.gateway import PASSWORD, PEOPLE, Gateway, form
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream
from tests.threats.test_devices import FIREFOX
from tests.threats.test_people import audited, database, id_of, path_in
from tests.threats.test_tokens import ask, bearer, new_token

NEW = "seven green kettles on a raft"
PAGE = "/me/security/compromised"
ERIN, MARA, OLGA = "erin@acme.example", "mara@acme.example", "olga@beta.example"
FAR = {"source": "127.0.0.7", "browser": FIREFOX}


@pytest.fixture
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    recorder.reset()
    mailbox.mails.clear()
    folder = tmp_path_factory.mktemp("compromised")
    address, changes = f"127.0.0.1:{recorder.port}", {"TOKENS__ON": "true", "SSO__ON": "true"}
    running = Gateway(folder, address, mail_port=mailbox.port, changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture
def admin(own: Gateway) -> Person:
    person = Person(own, "admin", source="127.0.0.3")
    person.sign_in()
    return person


def count(own: Gateway, query: str, *values: str) -> int:
    with database(own) as connection:
        return int(connection.execute(query, values).fetchone()[0])


def open_sessions(own: Gateway, email: str) -> int:
    query = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND account = ?"
    return count(own, query, id_of(own, email))


def told(page: str) -> list[str]:
    """Return the rows of what happened, as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def make_stale(own: Gateway, person: Person) -> None:
    """Make all proofs of a person an hour old."""
    own.write(
        "UPDATE sessions SET proofs = :old WHERE account = (SELECT id FROM accounts WHERE identifier = :email)",
        old='[["password",1000]]', email=person.email,
    )  # fmt: skip
    own.announce()


def test_one_confirmation_ends_everything_but_this_device(own: Gateway, mailbox: Mailbox) -> None:
    mine, theirs = Person(own), Person(own, **FAR)
    token, of_mara = new_token(own), new_token(own, MARA)
    mine.sign_in()
    theirs.sign_in()
    theirs.send("/me/email", {"email": "thief@acme.example"})
    confirm = path_in(mailbox, "thief@acme.example", "Confirm")
    Person(own, source="127.0.0.9").send("/forgot-password", {"email": ERIN})
    reset = path_in(mailbox, ERIN, "Reset")
    before = dict(mine.cookies)
    done = mine.send(PAGE, {})
    assert (done.status, done.get("location")) == (303, "/me/password?secured=1")
    assert mine.is_signed_in
    assert mine.cookies != before
    old = Person(own)
    old.cookies.update(before)
    assert not old.is_signed_in
    assert not theirs.is_signed_in
    assert open_sessions(own, ERIN) == 1
    assert [ask(own, bearer(each)).status for each in (token, of_mara)] == [401, 200]
    assert mine.open(reset).status == 410
    assert theirs.open(confirm).status == 410
    (details,) = audited(own, "account_secured")
    assert (details["tokens_ended"], details["email_changes_ended"], details["by"]) == (1, 1, "")
    mail = text_of(mailbox.wait_for(ERIN, "Everything in your account"))
    assert f"https://app.example.com{PAGE}" in mail
    page = mine.open("/me/password?secured=1").body.decode()
    assert "Now choose a new password" in page
    changed = mine.send("/me/password", {"current": PASSWORD, "password": NEW})
    assert changed.get("location") == "/me/security?done=password"


def test_a_device_that_was_forgotten_is_told_about_again(own: Gateway, mailbox: Mailbox) -> None:
    mine, theirs = Person(own), Person(own, **FAR)
    mine.sign_in()
    theirs.sign_in()
    mailbox.wait_for(ERIN, "New sign-in", 2)
    mine.send(PAGE, {})
    Person(own, **FAR).sign_in()
    mailbox.wait_for(ERIN, "New sign-in", 3)


def test_a_stolen_session_alone_ends_nothing(own: Gateway) -> None:
    owner, thief = Person(own), Person(own, **FAR)
    owner.sign_in()
    thief.sign_in()
    make_stale(own, thief)
    asked = thief.send(PAGE, {})
    assert asked.status == 303
    assert "again=1" in str(asked.get("location"))
    assert owner.is_signed_in
    assert open_sessions(own, ERIN) == 2
    assert audited(own, "account_secured") == []
    assert thief.open(PAGE).status == 200  # it shows no more than the list of devices


def test_a_form_of_another_site_ends_nothing(own: Gateway) -> None:
    person, other = Person(own), Person(own, **FAR)
    person.sign_in()
    other.sign_in()
    foreign = own.exchange(form(PAGE, {}, person.cookie_line, origin="https://evil.example"))
    assert foreign.status == 403
    assert other.is_signed_in


def test_the_page_tells_what_happened_to_this_person_alone(own: Gateway, admin: Person) -> None:
    mine, theirs, olga = Person(own), Person(own, **FAR), Person(own, OLGA, source="127.0.0.44")
    mine.sign_in()
    theirs.give_password(password="wrong")
    theirs.sign_in()
    olga.sign_in()
    new_token(own)
    admin.send("/admin/accounts/sign-out", {"account": id_of(own, MARA), "confirmed": "yes"})
    rows = told(mine.open(PAGE).body.decode())
    assert "API token created" in rows[0] or "Signed in" in rows[0]
    far = [row for row in rows if "Firefox on Windows 127.0.0.7" in row]
    assert len(far) == 2
    assert "Signed in New device" in far[0]
    assert "Password sign-in failed Failed" in far[1]
    assert sum("This device" in row for row in rows) == 1
    assert not [row for row in rows if "127.0.0.44" in row or "All devices signed out" in row]
    of_olga = told(olga.open(PAGE).body.decode())
    assert len(of_olga) == 1
    assert "127.0.0.44" in of_olga[0]


def test_what_an_administrator_did_names_them_and_not_where_they_sit(own: Gateway, admin: Person) -> None:
    person = Person(own)
    person.sign_in()
    admin.send("/admin/accounts/member", {"account": id_of(own, ERIN), "do": "saved", "name": "Erin Other"})
    (row,) = [row for row in told(person.open(PAGE).body.decode()) if "Name changed" in row]
    assert row.endswith("by adam@acme.example – –")


def test_old_events_are_not_shown(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    assert len(told(person.open(PAGE).body.decode())) == 1
    own.write("UPDATE audit SET at = at - 2600000")
    assert told(person.open(PAGE).body.decode()) == []


def test_the_mail_of_a_new_device_leads_there_and_keeps_its_link(own: Gateway, mailbox: Mailbox) -> None:
    Person(own).sign_in()
    links = links_in(mailbox.wait_for(ERIN, "New sign-in"))
    assert f"https://app.example.com{PAGE}" in links
    assert any("/devices/revoke/" in link for link in links)
    stranger = Person(own, source="127.0.0.9").open(PAGE, follow=False)
    assert (stranger.status, str(stranger.get("location")).partition("?")[0]) == (303, "/login")


# Administrators.


def test_an_administrator_ends_everything_and_the_old_password(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    person, account = Person(own), id_of(own, ERIN)
    token = new_token(own)
    person.sign_in()
    asked = admin.open(f"/admin/accounts/secure?account={account}").body.decode()
    assert "Their password stops working at once" in asked
    assert ERIN in asked
    assert admin.send("/admin/accounts/secure", {"account": account}).status == 200
    assert person.is_signed_in
    done = admin.submit("/admin/accounts/secure", account=account, confirmed="yes", follow=False)
    assert done.get("location") == f"/admin/accounts/member?account={account}&done=secured"
    assert not person.is_signed_in
    assert ask(own, bearer(token)).status == 401
    Person(own, source="127.0.0.8").give_password()
    assert open_sessions(own, ERIN) == 0
    (details,) = audited(own, "account_secured")
    assert (details["by"], details["tokens_ended"], details["link_sent"]) == ("adam@acme.example", 1, True)
    mail = mailbox.wait_for(ERIN, "Everything in your account")
    assert "Done by: Adam" in text_of(mail)
    link = next(link for link in links_in(mail) if "/reset-password/" in link).removeprefix("https://app.example.com")
    assert person.send(link, {"password": NEW}).status == 303
    again = Person(own)
    again.give_password(password=NEW)
    assert again.is_signed_in


def test_nobody_of_another_tenant_no_owner_and_not_oneself(own: Gateway, admin: Person) -> None:
    olga = Person(own, OLGA)
    olga.sign_in()
    for email in (OLGA, PEOPLE["owner"][0], "adam@acme.example"):
        account = id_of(own, email)
        assert admin.open(f"/admin/accounts/secure?account={account}").status == 404
        assert admin.send("/admin/accounts/secure", {"account": account, "confirmed": "yes"}).status == 404
    assert olga.is_signed_in
    assert audited(own, "account_secured") == []
    person = Person(own)
    person.sign_in()
    fields = {"account": id_of(own, MARA), "confirmed": "yes"}
    assert person.send("/admin/accounts/secure", fields).status == 403
    assert person.send("/ops/tenants/secure", {"tenant": "acme", "confirmed": "yes"}).status == 403
    assert admin.send("/ops/tenants/secure", {"tenant": "acme", "confirmed": "yes"}).status == 403


def test_somebody_without_a_password_gets_no_link(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    person, account = Person(own), id_of(own, ERIN)
    person.sign_in()
    own.write("UPDATE accounts SET password_hash = NULL WHERE id = :id", id=account)
    own.write(
        "INSERT INTO identity_providers (id, tenant, kind, issuer, client_id, client_secret, scopes, is_enabled,"
        " creates_accounts, counts_for_two, created_at) VALUES ('idp', 'acme', 'entra', 'https://idp.example', 'c',"
        " :secret, 'openid', :yes, :no, :no, 1)",
        secret=b"sealed", yes=True, no=False,
    )  # fmt: skip
    own.write(
        "INSERT INTO sso_links (id, provider, subject, account, created_at) VALUES ('ssl', 'idp', 's', :id, 1)",
        id=account,
    )
    own.announce()
    assert "have no password here" in person.open(PAGE).body.decode()
    done = person.send(PAGE, {})
    assert done.get("location") == f"{PAGE}?done=secured"
    assert "Tell your administrator now" in person.open(f"{PAGE}?done=secured").body.decode()
    assert "no password here" in admin.open(f"/admin/accounts/secure?account={account}").body.decode()
    admin.send("/admin/accounts/secure", {"account": account, "confirmed": "yes"})
    assert not person.is_signed_in
    mail = mailbox.wait_for(ERIN, "Everything in your account", 2)
    assert not [link for link in links_in(mail) if "/reset-password/" in link]
    assert count(own, "SELECT count(*) FROM accounts WHERE password_hash IS NULL") == 1


# The owner, and the shell.


def test_the_owner_ends_a_tenant_and_no_other(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = enrol_owner(own, mailbox)
    erin, mara, olga = Person(own), Person(own, MARA), Person(own, OLGA)
    token = new_token(own)
    for person in (erin, mara, olga):
        person.sign_in()
    asked = owner.open("/ops/tenants/secure?tenant=acme").body.decode()
    assert re.search(r"API tokens</dt><dd>1<", asked)
    assert owner.open("/ops/tenants/secure?tenant=none").status == 404
    done = owner.submit("/ops/tenants/secure", tenant="acme", confirmed="yes", follow=False)
    assert done.get("location") == "/ops/tenants?done=secured"
    assert [person.is_signed_in for person in (erin, mara, olga, owner)] == [False, False, True, True]
    assert ask(own, bearer(token)).status == 401
    mailbox.wait_for(MARA, "Everything in your account")
    assert mailbox.to(OLGA, "Everything") == []
    erin.sign_in()
    assert erin.is_signed_in


def test_the_shell_asks_first_and_mails_a_link(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    assert "nothing changed" in own.cli("account", "secure", ERIN).stdout
    assert person.is_signed_in
    done = own.cli("account", "secure", ERIN, "--confirm")
    assert done.stdout.splitlines() == [
        "ended 1 session and 0 API tokens",
        "password replaced; a link to choose a new one was emailed",
    ]
    assert not person.is_signed_in
    mail = mailbox.wait_for(ERIN, "Everything in your account")
    assert any("/reset-password/" in link for link in links_in(mail))


def test_the_owner_who_ends_their_own_tenant_stays(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = enrol_owner(own, mailbox)
    elsewhere = open_sessions(own, owner.email)
    done = owner.submit("/ops/tenants/secure", tenant="otium", confirmed="yes", follow=False)
    assert (done.status, elsewhere) == (303, 1)
    assert owner.is_signed_in
