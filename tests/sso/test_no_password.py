"""People without a password, whom only their company's provider signs in: what every page says and offers to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.sso.journey import GATEWAY, Employee, asked, connect, linked, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.mail import Mailbox, links_in
from tests.support.person import Person

PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    *(User(f"new{n}", f"new{n}@acme.example", f"New {n}") for n in range(12)),
]
numbers = itertools.count()


@pytest.fixture(scope="module")
def adam(own: Gateway, realm: Realm) -> Employee:
    return connect(own, realm, creates_accounts="yes")


@pytest.fixture(scope="module")
def realm(identity_provider: IdentityProvider) -> Realm:
    return identity_provider.realm(users=PEOPLE, clients=[GATEWAY])


@pytest.fixture
def person(own: Gateway, adam: Employee, identity_provider: IdentityProvider) -> Employee:
    """Somebody who got an account by signing in."""
    subject = f"new{next(numbers)}"
    person = Employee(own, identity_provider, f"{subject}@acme.example")
    assert person.come_back(person.leave(), subject).get("location") == "/probe"
    return person


@pytest.fixture
def erin(own: Gateway, adam: Employee, identity_provider: IdentityProvider, mailbox: Mailbox) -> Iterator[Employee]:
    """Somebody with a password, who is connected."""
    mailbox.mails.clear()
    erin = linked(Employee(own, identity_provider, "erin@acme.example"), mailbox)
    yield erin
    own.write("DELETE FROM sso_links WHERE account = (SELECT id FROM accounts WHERE identifier = 'erin@acme.example')")


def id_of(own: Gateway, person: Person) -> str:
    [(found,)] = own.write("SELECT id FROM accounts WHERE identifier = :email", email=person.email)
    return str(found)


def events_of(own: Gateway, person: Person) -> list[str]:
    found = own.write("SELECT event FROM audit WHERE identifier = :email ORDER BY id", email=person.email)
    return [str(event) for (event,) in found]


def test_administrators_see_what_somebody_signs_in_with(
    own: Gateway, adam: Employee, realm: Realm, person: Employee
) -> None:
    subject = person.email.partition("@")[0]
    assert subject in adam.open(f"/admin/accounts?state=active&q={subject}").body.decode()
    assert "No people match" in adam.open(f"/admin/accounts?state=invited&q={subject}").body.decode()
    page = adam.open(f"/admin/accounts/member?account={id_of(own, person)}").body.decode().replace("<wbr>", "")
    assert f"Single sign-on ({realm.issuer})" in page
    assert "Resend invitation" not in page
    assert "Remove account" not in page


def test_an_invitation_gives_a_password_to_somebody_who_has_none(
    own: Gateway, adam: Employee, person: Employee, mailbox: Mailbox
) -> None:
    account = id_of(own, person)
    assert "Send invitation" in adam.open(f"/admin/accounts/member?account={account}").body.decode()
    sent = adam.send("/admin/accounts/member", {"account": account, "do": "resent"})
    assert (sent.get("location") or "").endswith("done=resent")
    link = links_in(mailbox.wait_for(person.email, "invited you"))[0]
    path = link[link.index("/invite/") :]
    assert (person.send(path, {"password": "a long enough one, of words"}).get("location") or "").startswith("/login")
    page = adam.open(f"/admin/accounts/member?account={account}").body.decode()
    assert "Password, Single sign-on" in page
    assert "Send invitation" not in page


def test_a_fresh_proof_is_asked_of_the_provider_and_no_password(person: Employee, realm: Realm) -> None:
    page = person.open("/login?again=1&next=/me/email").body.decode()
    assert 'type="password"' not in page
    assert "/forgot-password" not in page
    way = way_on(person.submit("/login/sso", follow=False))
    assert asked(realm, way)["prompt"] == "login"
    subject = person.email.partition("@")[0]
    assert person.come_back(way, subject).get("location") == "/me/email"


def test_a_password_sent_all_the_same_is_wrong(person: Employee) -> None:
    answer = person.send("/login", {"email": person.email, "password": "a guess", "again": "1", "next": "/probe"})
    assert answer.status == 422
    assert 'type="password"' not in answer.body.decode()


def test_their_own_pages_say_that_they_have_no_password(person: Employee, realm: Realm) -> None:
    security = person.open("/me/security").body.decode().replace("<wbr>", "")
    assert "You have no password here" in security
    assert "Change password" not in security
    assert realm.issuer in security
    assert "this is your only way to sign in" in security
    assert "You have no password here" in person.open("/me/password").body.decode()


def test_a_reset_gives_no_password_and_the_mail_says_why(own: Gateway, person: Employee, mailbox: Mailbox) -> None:
    visitor = Person(own, person.email)
    sent = visitor.send("/forgot-password", {"email": person.email})
    assert str(sent.get("location")).startswith("/forgot-password?sent=1&for=")
    mail = mailbox.wait_for(person.email, "with your company")
    assert not [link for link in links_in(mail) if "/reset-password/" in link]
    assert own.write(
        "SELECT count(*) FROM mailed_links WHERE purpose = 'reset' AND account = :id", id=id_of(own, person)
    ) == [(0,)]


def test_the_only_way_in_is_not_disconnected(own: Gateway, person: Employee) -> None:
    assert person.open("/me/security/sso", follow=False).get("location") == "/me/security"
    assert person.send("/me/security/sso", {}).get("location") == "/me/security"
    subject = person.email.partition("@")[0]
    assert person.come_back(person.leave(), subject).get("location") == "/probe"
    assert "sso_unlinked" not in events_of(own, person)


def test_somebody_with_a_password_disconnects_and_is_asked_anew(
    own: Gateway, erin: Employee, realm: Realm, mailbox: Mailbox
) -> None:
    assert erin.come_back(erin.leave(), "erin").get("location") == "/probe"
    security = erin.open("/me/security").body.decode().replace("<wbr>", "")
    assert "Connected to" in security
    assert realm.issuer in security
    assert "Disconnect single sign-on?" in erin.open("/me/security/sso").body.decode()
    assert erin.submit("/me/security/sso", follow=False).get("location") == "/me/security?done=disconnected"
    mailbox.wait_for(erin.email, "no longer connected", said=realm.issuer)
    assert events_of(own, erin)[-1] == "sso_unlinked"
    assert realm.issuer not in erin.open("/me/security?done=disconnected").body.decode()
    assert "Check your email" in erin.come_back(erin.leave(), "erin").body.decode()
    mailbox.wait_for(erin.email, "Confirm your sign-in", count=2)


def test_disconnecting_needs_a_fresh_proof(own: Gateway, erin: Employee) -> None:
    erin.come_back(erin.leave(), "erin")
    own.write(
        "UPDATE sessions SET proofs = :aged WHERE account = :id",
        aged='[["sso",1,"sso","password"]]', id=id_of(own, erin),
    )  # fmt: skip
    own.announce()
    assert (erin.open("/me/security/sso", follow=False).get("location") or "").startswith("/login?")
    assert (erin.send("/me/security/sso", {}).get("location") or "").startswith("/login?")
    page = erin.open("/login?again=1&next=/me/security/sso").body.decode()
    assert 'type="password"' in page
    assert "Confirm with your company" in page
