"""A company demands single sign-on of all its people; two administrators are exempt for the day the provider fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, connect, linked, way_on
from tests.support.gateway import PASSWORD, Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.person import Person, code_of

PAGE = "/admin/sso/required"
numbers = itertools.count()


@dataclass
class Company:
    """Acme, which has connected its provider. The keys are those of its administrators' authenticator apps."""

    realm: Realm
    adam: Person
    mara: Person
    keys: dict[str, str]
    early: Employee  # signed in with a password before it was demanded

    def ids(self) -> dict[str, str]:
        found = self.adam.gateway.write("SELECT identifier, id FROM accounts WHERE tenant = 'acme'")
        return {f"exempt_{account}": email for email, account in found}

    def ticked(self, *emails: str) -> dict[str, str]:
        return {"do": "saved", **{field: "yes" for field, email in self.ids().items() if email in emails}}


def administrator(own: Gateway, email: str) -> tuple[Person, str]:
    person = Person(own, email, source=f"127.0.4.{next(numbers) + 1}")
    person.give_password()
    key, _ = person.enrol()
    return person, key


@pytest.fixture(scope="module")
def company(own: Gateway, identity_provider: IdentityProvider, mailbox: Mailbox) -> Company:
    people = [User("erin", "erin@acme.example", "Erin")]
    people += [User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(20)]
    realm = identity_provider.realm(users=people, clients=[GATEWAY])
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'mara@acme.example'")
    connect(own, realm)
    (adam, adams), (mara, maras) = (administrator(own, f"{name}@acme.example") for name in ("adam", "mara"))
    keys = {adam.email: adams, mara.email: maras}
    early = Employee(own, identity_provider, "crowd19@acme.example")
    early.give_password()
    company = Company(realm, adam, mara, keys, early)
    assert "at least 2 administrators" in adam.send(PAGE, {"do": "required"}).body.decode()
    erin = {"exempt_nobody": "yes", **company.ticked("adam@acme.example", "erin@acme.example")}
    assert adam.send(PAGE, erin).get("location") == f"{PAGE}?done=saved"
    assert "at least 2 administrators" in adam.send(PAGE, {"do": "required"}).body.decode()  # Erin is none
    assert adam.send(PAGE, company.ticked(adam.email, mara.email)).get("location") == f"{PAGE}?done=saved"
    asked = adam.send(PAGE, {"do": "required"}).body.decode()
    assert "people at your company have to sign in with your provider" in asked
    assert adam.send(PAGE, {"do": "required", "confirmed": "yes"}).get("location") == f"{PAGE}?done=required"
    return company


@pytest.fixture
def crowd(own: Gateway, company: Company, identity_provider: IdentityProvider) -> Iterator[Employee]:
    return (Employee(own, identity_provider, f"crowd{next(numbers) % 19}@acme.example") for _ in itertools.count())


def test_a_password_leads_to_the_provider_and_not_in(crowd: Iterator[Employee], mailbox: Mailbox) -> None:
    person = linked(next(crowd), mailbox)
    person.cookies.clear()
    page = person.give_password("/probe?week=47")
    assert "requires you to use its own sign-in page" in page.body.decode()
    assert not person.is_signed_in
    way = way_on(person.send("/login/sso", {"next": "/probe?week=47"}))
    assert person.come_back(way, person.email.partition("@")[0]).get("location") == "/probe?week=47"
    assert person.is_signed_in


def test_a_wrong_password_is_refused_as_ever(crowd: Iterator[Employee]) -> None:
    person = next(crowd)
    assert "Incorrect email or password" in person.give_password(password="not the password at all").body.decode()


def test_a_forgotten_password_is_answered_with_the_way_to_the_company(
    crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = next(crowd)
    person.send("/forgot-password", {"email": person.email})
    mail = mailbox.wait_for(person.email, "with your company")
    assert "change your password there" in text_of(mail)
    assert not any("reset-password" in link for link in links_in(mail))


def test_a_reset_link_from_before_signs_nobody_in(
    own: Gateway, company: Company, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = next(crowd)
    own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")
    person.send("/forgot-password", {"email": person.email})
    path = urlsplit(links_in(mailbox.wait_for(person.email, "password"))[0]).path
    own.write("UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'")
    person.open(path)
    person.send(path, {"password": "quite another sentence 7"}, follow=True)
    assert not person.is_signed_in
    person.give_password(password="quite another sentence 7")
    assert not person.is_signed_in


def test_a_session_from_before_is_nobody_until_the_provider_has_spoken(company: Company, mailbox: Mailbox) -> None:
    person = company.early
    assert not person.is_signed_in
    assert "requires you to use its own sign-in page" in person.open("/probe").body.decode()
    way = way_on(person.submit("/login/sso"))
    assert "Check your email" in person.come_back(way, "crowd19").body.decode()
    assert not person.is_signed_in
    person.confirm(mailbox)
    assert not person.is_signed_in
    assert person.come_back(person.leave(), "crowd19").get("location") == "/probe"
    assert person.is_signed_in


def test_a_fresh_proof_comes_from_the_provider_and_not_from_a_password(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = linked(next(crowd), mailbox)
    subject = person.email.partition("@")[0]
    person.come_back(person.leave(), subject)
    own.write(
        """UPDATE sessions SET proofs = '[["sso",1000,"sso","password"]]'
        WHERE account = (SELECT id FROM accounts WHERE identifier = :email)""",
        email=person.email,
    )
    assert person.is_signed_in
    asked = person.open("/me/security/totp", follow=False).get("location") or ""
    assert asked.startswith("/login/sso?"), asked
    person.send("/login", {"email": person.email, "password": PASSWORD, "again": "1", "next": "/me/security/totp"})
    assert person.open("/me/security/totp", follow=False).status == 303
    way = way_on(person.send("/login/sso", {"again": "1", "next": "/me/security/totp"}))
    assert person.come_back(way, subject).get("location") == "/me/security/totp"
    assert person.open("/me/security/totp", follow=False).status == 200


def test_an_exempt_administrator_gets_in_and_all_administrators_hear_of_it(
    own: Gateway, company: Company, mailbox: Mailbox
) -> None:
    company.realm.fail("discovery", status=500)
    try:
        person = Person(own, company.adam.email, source="127.0.4.99")
        person.give_password()
        assert not person.is_signed_in
        person.submit("/login/totp", code=code_of(own, person.email, company.keys[person.email]))
        assert person.is_signed_in
    finally:
        company.realm.heal()
    for admin in (company.adam.email, company.mara.email):
        mail = mailbox.wait_for(admin, "signed in without single sign-on")
        assert "Adam (adam@acme.example)" in text_of(mail)
    rows = own.write("SELECT identifier FROM audit WHERE event = 'break_glass_used'")
    assert (company.adam.email,) in rows


def test_an_exempt_administrator_keeps_a_second_step(company: Company) -> None:
    company.mara.sign_in(company.keys[company.mara.email])
    company.mara.send("/me/security/totp/remove", {"confirmed": "yes"})
    page = company.adam.open(PAGE).body.decode()
    assert page.count(" checked") == 2


def test_the_last_two_exempt_administrators_stay(company: Company) -> None:
    company.adam.sign_in(company.keys[company.adam.email])
    refused = company.adam.send(PAGE, company.ticked(company.adam.email))
    assert (refused.status, "at least 2 administrators" in refused.body.decode()) == (422, True)
    assert company.adam.open(PAGE).body.decode().count(" checked") == 2


@pytest.mark.parametrize("what", ["off", "removed"])
def test_the_provider_that_all_need_is_not_taken_away(company: Company, what: str) -> None:
    company.adam.sign_in(company.keys[company.adam.email])
    refused = company.adam.send("/admin/sso", {"do": what, "confirmed": "yes"})
    assert (refused.status, "Stop requiring it first" in refused.body.decode()) == (422, True)


def test_another_client_at_the_provider_that_all_need_is_refused_and_a_new_secret_is_not(company: Company) -> None:
    company.adam.sign_in(company.keys[company.adam.email])
    fields = {"do": "saved", "kind": "generic", "issuer": company.realm.issuer, "client_secret": GATEWAY.secret}
    refused = company.adam.send("/admin/sso", {**fields, "client_id": "another"})
    assert (refused.status, "Stop requiring it first" in refused.body.decode()) == (422, True)
    saved = company.adam.send("/admin/sso", {**fields, "client_id": GATEWAY.client_id})
    assert saved.get("location") == "/admin/sso?done=saved"
    assert "<dd>On</dd>" in company.adam.open("/admin/sso").body.decode()


def test_the_rules_of_second_steps_leave_the_demand_as_it_is(company: Company) -> None:
    company.adam.sign_in(company.keys[company.adam.email])
    levels = {"employee": "optional", "manager": "optional", "admin": "required", "passwordless": "yes"}
    company.adam.send("/admin/security", {**levels, "confirmed": "yes"})
    assert "<dd>Required</dd>" in company.adam.open(PAGE).body.decode()


def test_owners_and_other_tenants_sign_in_as_ever(own: Gateway, company: Company) -> None:
    olga = Person(own, "olga@beta.example", source="127.0.4.77")
    olga.give_password()
    assert olga.is_signed_in


def test_it_ends_when_an_administrator_says_so(company: Company, crowd: Iterator[Employee], mailbox: Mailbox) -> None:
    """The last test of this module: the demand is gone after it."""
    company.adam.sign_in(company.keys[company.adam.email])
    assert "then also sign in with a password" in company.adam.send(PAGE, {"do": "optional"}).body.decode()
    done = company.adam.send(PAGE, {"do": "optional", "confirmed": "yes"})
    assert done.get("location") == f"{PAGE}?done=optional"
    person = next(crowd)
    person.give_password()
    assert person.is_signed_in
    assert "with a password again" in text_of(
        mailbox.wait_for(company.mara.email, "sign-in rules have changed", count=4)
    )
