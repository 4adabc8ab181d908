"""Signing in with a company's provider: a real provider, a real gateway, and people who may lie at both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, asked, connect, linked, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, PlainBrowser, Realm, User
from tests.support.mail import Mailbox, links_in

PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    User("nina", "nina@acme.example", "Nina New"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(20)),
]


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    connect(own, realm, creates_accounts="yes")
    return realm


@pytest.fixture(autouse=True)
def everybody(realm: Realm) -> None:
    """Have the provider know the same people in every test."""
    realm.set(users=PEOPLE)


@pytest.fixture
def crowd(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> Iterator[Employee]:
    return (Employee(own, identity_provider, f"crowd{next(numbers)}@acme.example") for _ in itertools.count())


numbers = itertools.count()


def test_the_first_sign_in_is_confirmed_by_mail_and_the_next_leads_to_the_page_asked_for(
    crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    back = person.come_back(person.leave("/probe?week=47"), subject)
    assert (back.status, back.get("location")) == (303, "/probe?week=47")
    assert person.is_signed_in


def test_somebody_new_gets_an_account(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> None:
    nina = Employee(own, identity_provider, "nina@acme.example")
    assert nina.come_back(nina.leave(), "nina").get("location") == "/probe"
    assert nina.is_signed_in
    found = own.write("SELECT tenant, role, name FROM accounts WHERE identifier = 'nina@acme.example'")
    assert found == [("acme", "employee", "Nina New")]


@pytest.mark.parametrize("verified", ["true", "false", "1", 1, 0, None, False, ["true"]])
def test_an_email_that_the_provider_does_not_plainly_vouch_for_is_confirmed_by_mail(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider, verified: object
) -> None:
    email = f"unsure{next(numbers)}@acme.example"
    realm.set(users=[User("unsure", email, "U", claims={"email_verified": verified})])
    person = Employee(own, identity_provider, email)
    assert "Check your email" in person.come_back(person.leave(), "unsure").body.decode()
    assert own.write("SELECT count(*) FROM accounts WHERE identifier = :email", email=email) == [(0,)]


def test_ten_tabs_come_back_in_any_order(crowd: Iterator[Employee], mailbox: Mailbox) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    ways = [person.leave(f"/probe?tab={tab}") for tab in range(10)]
    for tab in (3, 9, 0, 1, 2, 8, 7, 4, 6, 5):
        assert person.come_back(ways[tab], subject).get("location") == f"/probe?tab={tab}"


def test_an_answer_is_good_once_and_in_its_own_browser(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox, identity_provider: IdentityProvider
) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    query = person.elsewhere.sign_in(person.leave(), subject).query
    thief = Employee(own, identity_provider, person.email)
    thief.leave()
    assert "another browser" in thief.bring(query).body.decode()
    assert not thief.is_signed_in
    assert person.bring(query).get("location") == "/probe"
    assert "another browser" in person.bring(query).body.decode()


def test_a_colleague_with_my_email_links_nothing_of_mine(
    own: Gateway, realm: Realm, mailbox: Mailbox, identity_provider: IdentityProvider
) -> None:
    """The provider vouches for the subject; the mailbox, in the same browser, for the account."""
    victim = Employee(own, identity_provider, "mara@acme.example")
    realm.set(users=[User("mallory", victim.email, "Mallory"), User("erin", "erin@acme.example", "Erin")])
    mallory = Employee(own, identity_provider, victim.email)
    assert "Check your email" in mallory.come_back(mallory.leave(), "mallory").body.decode()
    link = urlsplit(links_in(mailbox.wait_for(victim.email, "Confirm your sign-in"))[0]).path
    assert "the other browser" in victim.open(link).body.decode()
    assert "no longer works" in victim.send(link, {}).body.decode()
    assert "Check your email" in mallory.come_back(mallory.leave(), "mallory").body.decode()
    assert not mallory.is_signed_in


@pytest.mark.parametrize(
    "email", ["otto@otium.example", "olga@beta.example", "x@elsewhere.example", "", "a@b@acme.example"]
)
def test_an_email_outside_the_companys_domains_is_refused(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider, email: str
) -> None:
    realm.set(users=[User("stranger", email, "S")])
    stranger = Employee(own, identity_provider, "someone@acme.example")
    answer = stranger.come_back(stranger.leave(), "stranger")
    assert answer.status == 422
    assert not stranger.is_signed_in


def test_a_second_factor_is_asked_for_unless_the_company_says_that_its_provider_does(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm
) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    person.come_back(person.leave(), subject)
    person.enrol()
    person.cookies.pop("__Host-otium_session")
    assert (person.come_back(person.leave(), subject).get("location") or "").startswith("/login/totp")
    own.write("UPDATE identity_providers SET counts_for_two = :yes", yes=True)
    assert (person.come_back(person.leave(), subject).get("location") or "").startswith("/login/totp")
    person.elsewhere = PlainBrowser(realm.provider)  # where they are not signed in yet
    assert person.come_back(person.leave(), subject, mfa=True).get("location") == "/probe"
    own.write("UPDATE identity_providers SET counts_for_two = :no", no=False)


def test_a_fresh_proof_comes_from_the_provider(crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    person.come_back(person.leave(), subject)
    page = person.send("/login/sso", {"again": "1", "next": "/me/security/totp"})
    way = way_on(page)
    assert asked(realm, way)["prompt"] == "login"
    assert person.come_back(way, subject).get("location") == "/me/security/totp"


def test_somebody_else_at_the_provider_confirms_nothing(crowd: Iterator[Employee], mailbox: Mailbox) -> None:
    person, other = linked(next(crowd), mailbox), linked(next(crowd), mailbox)
    person.come_back(person.leave(), person.email.partition("@")[0])
    way = way_on(person.send("/login/sso", {"again": "1", "next": "/me/security/totp"}))
    person.elsewhere = other.elsewhere
    assert "as someone else" in person.come_back(way, other.email.partition("@")[0]).body.decode()


def test_cancelled_at_the_provider(crowd: Iterator[Employee]) -> None:
    person = next(crowd)
    answer = person.elsewhere.cancel(person.leave("/reports"))
    page = person.bring(answer.query).body.decode()
    assert "You cancelled" in page
    assert '<a class="button" href="/login/sso/acme?next=/reports">Try again</a>' in page
    late = person.bring(answer.query).body.decode()
    assert "Try again</a>" not in late


def test_a_provider_that_is_down_is_said_and_the_password_still_works(
    own: Gateway, realm: Realm, crowd: Iterator[Employee]
) -> None:
    person = next(crowd)
    way = person.leave()
    realm.fail("token", status=500)
    try:
        assert "didn’t work" in person.come_back(way, person.email.partition("@")[0]).body.decode()
    finally:
        realm.heal()
    person.give_password()
    assert person.is_signed_in


def test_a_domain_without_a_provider_says_so_and_nothing_about_accounts(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    answers = set()
    for email in ("olga@beta.example", "nobody@beta.example", "x@elsewhere.example"):
        page = Employee(own, identity_provider, email).send("/login/sso", {"email": email}).body.decode()
        answers.add(page.replace(email, "EMAIL"))
    assert len(answers) == 1
    known, unknown = (
        Employee(own, identity_provider, email).send("/login/sso", {"email": email}).status
        for email in ("erin@acme.example", "nobody@acme.example")
    )
    assert known == unknown == 200


def test_a_sign_in_from_outside_the_networks_is_refused(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = linked(next(crowd), mailbox)
    own.write("UPDATE accounts SET networks = '198.51.100.0/24' WHERE identifier = :email", email=person.email)
    back = person.come_back(person.leave(), person.email.partition("@")[0])
    assert back.status == 403
    assert person.source in back.body.decode()
    assert not [line for line in back.all("set-cookie") if "session" in line]
    assert not person.is_signed_in
    own.write("UPDATE accounts SET networks = '' WHERE identifier = :email", email=person.email)
