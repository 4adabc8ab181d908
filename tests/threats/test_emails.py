"""Whose email it is, through the running gateway: pages, mails, and what each of them tells to whom."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import PASSWORD, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.person import Person, code_of, key_on
from tests.support.upstream import RecordingUpstream

NEW_PASSWORD = "seven green kettles on a raft"
SIGNUP = {"SIGNUP__MODE": "open", "SIGNUP__TENANT": "acme"}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("emails")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port, changes=SIGNUP).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def admin(own: Gateway) -> Person:
    person = Person(own, "admin", source="127.0.0.3")
    person.sign_in()
    return person


@pytest.fixture(scope="module")
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    person = Person(own, "owner", source="127.0.0.4")
    person.give_password("/ops")
    page = person.send(path_in(mailbox, person.email, "sign-in link"), {}, follow=True)
    person.submit("/login/totp", code=code_of(own, person.email, key_on(page)))
    assert person.open("/ops").status == 200
    return person


@pytest.fixture
def member(own: Gateway) -> Person:
    """Somebody whom no other test has to do with, signed in."""
    person = Person(own, f"crowd{next(numbers)}@acme.example")
    person.sign_in()
    return person


def path_in(mailbox: Mailbox, who: str, words: str, count: int = 1, part: str = "") -> str:
    """Return the path of the first link (with `part` in it) of the latest mail with these words in its subject."""
    found = [link for link in links_in(mailbox.wait_for(who, words, count)) if part in link]
    return re.sub(r"^https?://[^/]+", "", found[0])


def database(gateway: Gateway) -> sqlite3.Connection:
    return sqlite3.connect(gateway.store_url.removeprefix("sqlite:///"))


def id_of(gateway: Gateway, email: str) -> str:
    with database(gateway) as connection:
        return str(connection.execute("SELECT id FROM accounts WHERE identifier = ?", (email,)).fetchone()[0])


def events_about(gateway: Gateway, account: str) -> list[str]:
    with database(gateway) as connection:
        query = "SELECT event FROM audit WHERE account = ? AND event LIKE '%email%' ORDER BY id"
        return [event for (event,) in connection.execute(query, (account,))]


def change(admin: Person, what: str, account: str, base: str = "/admin/accounts", **fields: str) -> int:
    return admin.send(f"{base}/member", {"account": account, "do": what, "confirmed": "yes", **fields}).status


def new_address() -> str:
    return f"new{next(numbers)}@acme.example"


# One's own (S6).


def test_somebody_changes_their_own_email_and_the_old_address_can_undo_it(
    own: Gateway, member: Person, mailbox: Mailbox, recorder: RecordingUpstream
) -> None:
    account, old, new = id_of(own, member.email), member.email, new_address()
    elsewhere = Person(own, old, source="127.0.0.5")
    elsewhere.sign_in()
    assert "Change email" in member.open("/me/security").body.decode()
    member.open("/me/email")
    assert "sent an email to the new address" in member.submit("/me/email", email=new).body.decode()
    link = path_in(mailbox, new, "Confirm")
    page = member.open(link).body.decode()
    assert old in page
    assert "acme" in page
    assert 'name="password"' not in page
    assert "has been changed" in member.send(link, {}, follow=True).body.decode()
    assert member.is_signed_in
    assert recorder.requests[-1].all("remote-email") == [new]
    assert not elsewhere.is_signed_in
    assert member.send(link, {}).status == 410
    mailbox.wait_for(new, "Your new email address")
    thief = Person(own, new, source="127.0.0.6")
    thief.sign_in()
    undo = path_in(mailbox, old, "was changed", part="email-undo")
    victim = Person(own, old, source="127.0.0.7")
    for _ in range(2):
        assert "Get your old email address back?" in victim.open(undo).body.decode()
    assert thief.is_signed_in
    done = victim.send(undo, {})
    assert str(done.get("location")).startswith("/reset-password/")
    assert not thief.is_signed_in
    assert not member.is_signed_in
    assert thief.give_password().status == 422
    assert victim.give_password().status == 422
    victim.open(str(done.get("location")))
    reset = str(done.get("location")).partition("?")[0]
    chosen = victim.send(reset, {"password": NEW_PASSWORD})
    assert str(chosen.get("location")).startswith("/login?password-set=1&for=")
    assert victim.give_password(password=NEW_PASSWORD).status == 200
    assert victim.is_signed_in
    assert recorder.requests[-1].all("remote-email") == [old]
    assert victim.send(undo, {}).status == 410
    assert events_about(own, account) == ["email_change_requested", "email_changed", "email_change_undone"]


def test_the_victim_who_presses_the_button_gives_the_address_to_nobody(
    own: Gateway, member: Person, mailbox: Mailbox
) -> None:
    """FAULTS S6: the attacker's account asks for the victim's mailbox."""
    theirs = new_address()
    assert member.send("/me/email", {"email": theirs}).get("location") == "/me/email?done=sent"
    link = path_in(mailbox, theirs, "Confirm")
    mailbox.wait_for(theirs, "Confirm", said=member.email)
    victim = Person(own, theirs, source="127.0.0.8")
    other = Person(own, "manager", source="127.0.0.9")
    other.sign_in()
    for person in (victim, other):
        page = person.open(link).body.decode()
        assert member.email in page
        assert "Password of this account" in page
        assert person.send(link, {}).status == 422
        assert person.send(link, {"password": "not the password"}).status == 422
    assert id_of(own, member.email)


def test_asking_for_an_email_that_somebody_has_looks_the_same_and_changes_nothing(
    own: Gateway, member: Person, mailbox: Mailbox
) -> None:
    answers = set()
    for email in (new_address(), "olga@beta.example", "otto@otium.example", "mara@acme.example"):
        member.open("/me/email")
        answer = member.submit("/me/email", follow=False, email=email)
        page = member.open("/me/email").body.decode()
        assert email in page
        answers.add((answer.status, answer.get("location"), page.replace(email, "")))
    assert len(answers) == 1
    told = mailbox.wait_for("otto@otium.example", "can’t be used")
    assert links_in(told) == ["https://app.example.com"]


def test_an_address_is_shown_as_it_will_be_used_before_it_is(own: Gateway, member: Person, admin: Person) -> None:
    """FAULTS S14, wherever somebody types an email that they will be reached by."""
    account = id_of(own, member.email)
    for person, path, fields in (
        (member, "/me/email", {}),
        (admin, "/admin/accounts/invite", {"name": "Karl", "role": "employee"}),
        (admin, "/admin/accounts/member", {"account": account, "do": "saved"}),
        (Person(own), "/signup", {"name": "Karl", "password": NEW_PASSWORD}),
    ):
        name = f"karl{next(numbers)}"
        answer = person.send(path, {**fields, "email": f"{name}@straße.example"})
        assert answer.status == 422, path
        kept = f"{name}@xn--strae-oqa.example"
        assert re.search(f'name="email"[^>]*value="{kept}"', answer.body.decode()), path
        assert person.send(path, {**fields, "email": kept}).status == 303, path


# An administrator's (S7).


def test_an_administrators_change_needs_the_old_address_or_time(
    own: Gateway, admin: Person, member: Person, mailbox: Mailbox
) -> None:
    account, old, new = id_of(own, member.email), member.email, new_address()
    assert change(admin, "saved", account, email=new) == 303
    assert "can stop it until" in admin.open(f"/admin/accounts/member?account={account}").body.decode()
    link = path_in(mailbox, new, "Confirm")
    waiting = Person(own, new, source="127.0.0.10")
    waiting.open(link)
    assert "will be changed on" in waiting.send(link, {"password": PASSWORD}).body.decode()
    assert id_of(own, old) == account
    agree = path_in(mailbox, old, "is to be changed")
    assert "Adam" in member.open(agree).body.decode()
    assert member.send(agree, {"do": "agree"}).status == 200
    assert id_of(own, new) == account
    assert not member.is_signed_in
    mailbox.wait_for(old, "was changed")
    assert events_about(own, account) == [
        "email_change_requested", "email_change_confirmed", "email_change_agreed", "email_changed",
    ]  # fmt: skip


def test_an_administrator_with_every_power_does_not_become_the_member(
    own: Gateway, admin: Person, member: Person, mailbox: Mailbox, owner: Person
) -> None:
    """FAULTS S7: a mailbox of their own, a password asked for, two-step reset, disabled and enabled, in one sequence."""
    account, mine = id_of(own, member.email), new_address()
    assert change(admin, "saved", account, email=mine) == 303
    link = path_in(mailbox, mine, "Confirm")
    assert admin.send("/admin/accounts/reset-2fa", {"account": account, "confirmed": "yes"}).status == 303
    assert (
        admin.send(link, {"password": PASSWORD}).status == 422
    )  # two-step is demanded now: the password is not enough
    assert change(admin, "disabled", account) == 303
    assert admin.send(link, {}).status == 404
    assert change(admin, "enabled", account) == 303
    assert admin.send(link, {}).status == 422
    assert change(admin, "resent", account) == 404
    assert change(admin, "removed", account) == 404
    forgot = Person(own, mine)
    forgot.send("/forgot-password", {"email": mine})
    stop = path_in(mailbox, member.email, "is to be changed")
    assert "Stopped" in Person(own, source="127.0.0.11").send(stop, {"do": "stop"}).body.decode()
    assert admin.send(link, {}).status == 404
    assert mailbox.to(mine, "password") == []
    assert id_of(own, member.email) == account
    assert change(owner, "saved", account, "/ops/accounts", email=mine) == 303
    mailbox.wait_for(member.email, "is to be changed", 2, said="stop")


def test_an_invited_account_that_nobody_used_is_removed_and_the_address_free(
    own: Gateway, admin: Person, mailbox: Mailbox
) -> None:
    fields = {"email": new_address(), "name": "Nina", "role": "employee"}
    assert admin.send("/admin/accounts/invite", fields).status == 303
    account = id_of(own, fields["email"])
    assert change(admin, "saved", account, email=new_address()) == 422
    page = admin.open(f"/admin/accounts/member?account={account}").body.decode()
    assert "Remove account" in page
    link = path_in(mailbox, fields["email"], "invited you")
    asked = admin.send("/admin/accounts/member", {"account": account, "do": "removed"}).body.decode()
    assert "Remove the account of Nina?" in asked
    assert "Disable" not in asked
    assert change(admin, "removed", account) == 303
    assert Person(own).open(link).status == 404
    assert admin.send("/admin/accounts/invite", fields).status == 303


def test_an_address_is_invited_a_few_times_a_day(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    """FAULTS S12: sixty times, by pressing the button again or by removing and inviting anew."""
    fields = {"email": new_address(), "name": "Nina", "role": "employee"}
    assert admin.send("/admin/accounts/invite", fields).status == 303
    account = id_of(own, fields["email"])
    statuses = [change(admin, "resent", account) for _ in range(8)]
    assert statuses == [303] * 4 + [429] * 4
    assert change(admin, "removed", account) == 303
    assert admin.send("/admin/accounts/invite", fields).status == 429
    with database(own) as connection:
        query = "SELECT count(*) FROM outbox WHERE recipient = ?"
        assert connection.execute(query, (fields["email"],)).fetchone() == (5,)
        assert connection.execute("SELECT 1 FROM accounts WHERE identifier = ?", (fields["email"],)).fetchone() is None


# Domains (S12).


def test_a_claimed_domain_has_one_answer_for_everybody_else(own: Gateway, owner: Person, admin: Person) -> None:
    claim = {"do": "claimed", "tenant": "beta", "domain": "@Beta.Example"}
    assert owner.send("/ops/tenants", claim).get("location") == "/ops/tenants?done=claimed"
    assert "beta.example – beta" in owner.open("/ops/tenants").body.decode()
    assert owner.send("/ops/tenants", {**claim, "tenant": "acme"}).status == 422
    refused = owner.send("/ops/tenants", {**claim, "domain": "example"})
    assert refused.status == 422
    assert 'value="example" aria-invalid="true"' in refused.body.decode()
    assert '<option value="beta" selected>' in refused.body.decode()
    for field, value in (("tenant", "acme"), ("tenant", "no slug"), ("name", "\u200b")):
        typed = {"tenant": "new", "name": "New", field: value}
        refused = owner.send("/ops/tenants", {"do": "added", **typed})
        assert refused.status == 422
        assert f'name="{field}" value="{value}" aria-invalid="true"' in refused.body.decode()
    pages = set()
    for email in ("olga@beta.example", "nobody@beta.example", "x@mail.beta.example", "otto@otium.example"):
        answer = admin.send("/admin/accounts/invite", {"email": email, "name": "N", "role": "employee"})
        assert answer.status == 422
        pages.add(answer.body.decode().replace(email, ""))
    assert len(pages) == 1
    account = id_of(own, "mara@acme.example")
    assert change(admin, "saved", account, email="nobody@beta.example") == 422
    person = Person(own)
    signup = {"name": "N", "password": NEW_PASSWORD}
    assert person.send("/signup", {**signup, "email": "nobody@beta.example"}).status == 422
    assert person.send("/signup", {**signup, "email": "nobody@acme.example"}).status == 303
    invite = {"email": "new@beta.example", "name": "N", "role": "employee", "tenant": "beta"}
    assert owner.send("/ops/accounts/invite", invite).status == 303
    release = {"do": "released", "tenant": "beta", "domain": "beta.example"}
    asked = owner.send("/ops/tenants", release).body.decode()
    assert "Release beta.example from beta?" in asked
    assert re.findall(r"<dd>(\d+)</dd>", asked) == ["2"]
    with database(own) as connection:
        assert connection.execute("SELECT tenant FROM domain_claims").fetchall() == [("beta",)]
    assert owner.submit("/ops/tenants", follow=False).get("location") == "/ops/tenants?done=released"
    assert owner.send("/ops/tenants", release).status == 422
    assert admin.send("/admin/accounts/invite", {**invite, "email": "free@beta.example"}).status == 303
    with database(own) as connection:
        query = "SELECT event, details, personal FROM audit WHERE event LIKE 'domain_%' ORDER BY id"
        rows = [
            (event, {**json.loads(facts), **json.loads(more or "{}")})
            for event, facts, more in connection.execute(query)
        ]
    told = {"tenant": "beta", "domain": "beta.example"}
    assert rows == [("domain_claimed", told), ("domain_released", told)]


# The shell.


def test_the_shell_claims_domains_and_changes_emails(own: Gateway, member: Person, mailbox: Mailbox) -> None:
    claimed = own.cli("tenant", "claim", "acme", "Straße.example")
    assert claimed.stdout == "xn--strae-oqa.example is acme's\n"
    assert "xn--strae-oqa.example" in own.cli("tenant", "list").stdout
    refused = own.cli("tenant", "claim", "beta", "xn--strae-oqa.example")
    assert "belongs to acme" in refused.stderr
    added = own.cli(
        "account", "add", "k@straße.example", "--name", "K", "--tenant", "beta", "--password-stdin",
        stdin=f"{NEW_PASSWORD}\n",
    )  # fmt: skip
    assert (added.returncode, "is kept as k@xn--strae-oqa.example" in added.stderr) == (1, True)
    assert "belongs to acme" in added.stderr
    asked = own.cli("tenant", "release", "acme", "straße.example")
    said = "would release xn--strae-oqa.example from acme; its people with an address there: "
    assert re.match(rf"{re.escape(said)}\d+\n", asked.stdout)
    assert asked.stdout.endswith("nothing changed; add --confirm to apply\n")
    assert own.cli("tenant", "release", "acme", "straße.example", "--confirm").returncode == 0
    old, new = member.email, new_address()
    shown = own.cli("account", "set-email", old, new)
    assert "nothing changed; add --confirm" in shown.stdout
    done = own.cli("account", "set-email", id_of(own, old), new, "--confirm")
    assert (done.returncode, done.stdout) == (0, f"{old} is {new} now\n"), done.stderr
    assert not member.is_signed_in
    mailbox.wait_for(new, "Your new email address")
    assert path_in(mailbox, old, "was changed", part="email-undo")
    taken = own.cli("account", "set-email", new, "olga@beta.example", "--confirm")
    assert "can't be used" in taken.stderr
    assert "was used" in own.cli("account", "remove", new, "--confirm").stderr
