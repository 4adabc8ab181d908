"""A fresh proof from the provider, and a sign-in there that counts for two factors."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.sso.oidc.id_token import FRESH_LEEWAY_SECONDS
from tests.sso.journey import GATEWAY, Employee, asked, connect, linked, save, try_out, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import TRUTHFUL, IdentityProvider, PlainBrowser, Realm, User, forgery
from tests.support.mail import Mailbox
from tests.support.raw import Response

GUID = "21ec2020-3aea-4069-a2dd-08002b30309d"
PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(20)),
]
numbers = itertools.count()


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY], acr_values=["two", "three"], par="off")
    connect(own, realm)
    return realm


@pytest.fixture(autouse=True)
def truthful(realm: Realm) -> None:
    realm.set(acr=TRUTHFUL, amr=TRUTHFUL, id_token=None, clock=0)


@pytest.fixture
def crowd(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> Iterator[Employee]:
    return (Employee(own, identity_provider, f"crowd{next(numbers)}@acme.example") for _ in itertools.count())


def subject_of(person: Employee) -> str:
    return person.email.partition("@")[0]


def signed_in(person: Employee, mailbox: Mailbox) -> Employee:
    linked(person, mailbox).come_back(person.leave(), subject_of(person))
    assert person.is_signed_in
    return person


def confirm(person: Employee) -> str:
    """Ask for a page that wants a fresh proof, and return the URL of the provider."""
    return way_on(person.send("/login/sso", {"again": "1", "next": "/me/security/totp"}))


def last_reason(own: Gateway) -> str:
    (found,) = own.write("SELECT details FROM audit WHERE event = 'login_failed' ORDER BY id DESC LIMIT 1")[0]
    return str(found)


def is_stale(answer: Response) -> bool:
    """Whether the page says so, and leads to the other ways of confirming."""
    page = answer.body.decode()
    way = re.search(r'class="button" href="(/login\?[^"]+)"', page)
    assert way is not None
    return "just signed in there" in page and "again=1" in way[1]


def test_a_fresh_proof_is_asked_for_and_shown(crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm) -> None:
    person = signed_in(next(crowd), mailbox)
    question = asked(realm, confirm(person))
    assert (question["prompt"], question["max_age"]) == ("login", "0")
    assert person.come_back(confirm(person), subject_of(person)).get("location") == "/me/security/totp"


@pytest.mark.parametrize(
    ("seconds", "reason"), [(None, "no_auth_time"), (FRESH_LEEWAY_SECONDS + 10, "authenticated_long_ago")]
)
def test_a_sign_in_that_is_not_shown_to_be_fresh_is_refused(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm, seconds: int | None, reason: str
) -> None:
    person = signed_in(next(crowd), mailbox)
    way = confirm(person)
    began = own.write("SELECT MAX(began_at) FROM sso_waits")[0][0]
    realm.set(id_token=forgery({"auth_time": None if seconds is None else began - seconds}))
    assert is_stale(person.come_back(way, subject_of(person)))
    assert reason in last_reason(own)
    assert person.is_signed_in


def test_who_takes_the_question_away_on_the_way_gains_nothing(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm
) -> None:
    """Somebody at another person's unlocked machine, where the provider knows that person still."""
    person = linked(next(crowd), mailbox)
    person.elsewhere = PlainBrowser(realm.provider)
    realm.set(clock=-100)
    person.come_back(person.leave(), subject_of(person))
    realm.set(clock=0, clients=[replace(GATEWAY, requires_auth_time=True)])
    parts = urlsplit(confirm(person))
    kept = {name: value for name, value in parse_qsl(parts.query) if name not in ("prompt", "max_age")}
    answer = person.elsewhere.open(parts._replace(query=urlencode(kept)).geturl())
    realm.set(clients=[GATEWAY])
    assert answer.status == 303  # no page: they are known there
    assert is_stale(person.bring(answer.query))
    assert "authenticated_long_ago" in last_reason(own)


def test_a_provider_that_can_not_ask_anew_is_not_asked(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = signed_in(next(crowd), mailbox)
    own.write("UPDATE identity_providers SET kind = 'google'")
    answer = person.send("/login/sso", {"again": "1", "next": "/me/security/totp"})
    own.write("UPDATE identity_providers SET kind = 'generic'")
    assert is_stale(answer)


def test_a_class_of_sign_in_counts_for_two_factors_only_when_it_is_reached(
    own: Gateway, crowd: Iterator[Employee], mailbox: Mailbox, realm: Realm
) -> None:
    person = signed_in(next(crowd), mailbox)
    person.enrol()
    adam = Employee(own, realm.provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    save(adam, realm, counts_for_two="yes", acr_values="two three")
    assert "no second step here" in try_out(adam, "erin")

    def come_in() -> str:
        person.cookies.pop("__Host-otium_session", None)
        person.elsewhere = PlainBrowser(realm.provider)
        way = person.leave()
        assert asked(realm, way)["acr_values"] == "two three"
        return person.come_back(way, subject_of(person)).get("location") or ""

    assert come_in() == "/probe"
    realm.set(acr="one", amr=["pwd", "mfa"])
    assert come_in().startswith("/login/totp")
    realm.set(acr=None)
    assert come_in().startswith("/login/totp")
    save(adam, realm, acr_values="two three")
    assert "acr_values" not in asked(realm, person.leave())


@pytest.mark.parametrize(
    ("kind", "values"),
    [("entra", "c0"), ("entra", "mfa"), ("generic", 'a"b'), ("generic", "é"), ("generic", 201 * "a")],
)
def test_classes_that_make_no_sense_are_refused(own: Gateway, realm: Realm, kind: str, values: str) -> None:
    adam = Employee(own, realm.provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    fields = {"do": "saved", "kind": kind, "issuer": realm.issuer, "client_id": "x", "client_secret": "y"}
    answer = adam.send("/admin/sso", {**fields, "acr_values": values})
    assert answer.status == 422
    assert "without quotation marks" in answer.body.decode()


def test_entra_id_is_asked_for_an_authentication_context(own: Gateway, identity_provider: IdentityProvider) -> None:
    lena = User(GUID, "crowd1@acme.example", "Lena", claims={"xms_edov": True})
    entra = identity_provider.entra(users=[lena], clients=[GATEWAY])
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    save(adam, entra, kind="entra", counts_for_two="yes", acr_values="c1")
    tried = try_out(adam, GUID)
    assert "c1" in tried
    assert "no second step here" in tried
    assert "optional claim auth_time" in tried
    entra.set(optional_claims=["auth_time"], acr=None)
    tried = try_out(adam, GUID)
    assert "the provider asked again" in tried
    assert "their second step here" in tried
