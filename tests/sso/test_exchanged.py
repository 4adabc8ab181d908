"""A company turns its provider off, exchanges or removes it, or somebody leaves it: what it did before counts no more."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, connect, linked, save, try_out, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, PlainBrowser, Realm, User
from tests.support.mail import Mailbox, links_in
from tests.support.person import Person
from tests.support.raw import Response

PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(40)),
]
numbers = itertools.count()


@pytest.fixture
def realm(own: Gateway, identity_provider: IdentityProvider) -> Iterator[Realm]:
    """The provider of a company that nobody is connected to yet."""
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    connect(own, realm)
    yield realm
    adam = Person(own, "adam@acme.example")
    adam.give_password("/admin/sso")
    adam.send("/admin/sso", {"do": "removed", "confirmed": "yes"})


@pytest.fixture
def adam(own: Gateway, realm: Realm) -> Employee:
    adam = Employee(own, realm.provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    return adam


@pytest.fixture
def crowd(own: Gateway, realm: Realm) -> Iterator[Employee]:
    return (Employee(own, realm.provider, f"crowd{next(numbers)}@acme.example") for _ in itertools.count())


def subject_of(person: Person) -> str:
    return person.email.partition("@")[0]


def exchange(adam: Employee, realm: Realm) -> Realm:
    """Connect another provider, which knows the same names, and turn it on."""
    other = realm.provider.realm(users=PEOPLE, clients=[GATEWAY])
    save(adam, other)
    adam.elsewhere = PlainBrowser(other.provider)
    assert "your provider answered" in try_out(adam, "erin")
    assert adam.send("/admin/sso", {"do": "on"}).get("location") == "/admin/sso?done=on"
    return other


def prepare_to_exchange(adam: Employee, realm: Realm) -> Callable[[], object]:
    """The same, without the trial and with the provider made before: an answer is waited for five seconds."""
    other = realm.provider.realm(users=PEOPLE, clients=[GATEWAY])

    def exchange_quickly() -> None:
        save(adam, other)
        adam.gateway.write("UPDATE identity_providers SET is_enabled = :yes, tried_at = 1", yes=True)

    return exchange_quickly


def turn_off(adam: Employee, realm: Realm) -> None:
    assert adam.send("/admin/sso", {"do": "off", "confirmed": "yes"}).get("location") == "/admin/sso?done=off"


def remove(adam: Employee, realm: Realm) -> None:
    assert adam.send("/admin/sso", {"do": "removed", "confirmed": "yes"}).get("location") == "/admin/sso?done=removed"


def be_another_product(adam: Employee, realm: Realm) -> None:
    save(adam, realm, kind="entra")


Change = Callable[[Employee, Realm], object]


def meanwhile(realm: Realm, bring: Callable[[], Response], change: Callable[[], object]) -> Response:
    """Bring an answer, and make a change while the gateway waits for the provider."""
    before = len(realm.requests("token"))
    realm.fail("token", held=True)
    with ThreadPoolExecutor(1) as pool:
        brought = pool.submit(bring)
        while len(realm.requests("token")) == before:
            pass
        change()
        assert not brought.done(), "the change came too late to prove anything"
        realm.heal()
        return brought.result()


def last_reason(own: Gateway) -> str:
    [(found,)] = own.write("SELECT details FROM audit WHERE event = 'login_failed' ORDER BY id DESC LIMIT 1")
    return str(found)


@pytest.mark.parametrize("change", [turn_off, exchange, remove, be_another_product])
def test_an_answer_that_was_awaited_before_gets_no_session(
    own: Gateway, adam: Employee, realm: Realm, crowd: Iterator[Employee], mailbox: Mailbox, change: Change
) -> None:
    person = linked(next(crowd), mailbox)
    query = person.elsewhere.sign_in(person.leave(), subject_of(person)).query
    change(adam, realm)
    answer = person.bring(query)
    assert answer.status == 422
    assert "Please try again" in answer.body.decode()
    assert not person.is_signed_in
    assert '"state"' in last_reason(own)


@pytest.mark.parametrize(
    "prepare",
    [partial(partial, turn_off), prepare_to_exchange, partial(partial, be_another_product)],
    ids=["turned off", "exchanged", "another product"],
)
def test_an_answer_that_is_checked_meanwhile_gets_no_session(
    own: Gateway,
    adam: Employee,
    realm: Realm,
    crowd: Iterator[Employee],
    mailbox: Mailbox,
    prepare: Callable[[Employee, Realm], Callable[[], object]],
) -> None:
    """In particular, nobody is connected to the new provider by the name that they had at the old one."""
    person, stranger = linked(next(crowd), mailbox), next(crowd)
    for each in (person, stranger):
        query = each.elsewhere.sign_in(each.leave(), subject_of(each)).query
        answer = meanwhile(realm, partial(each.bring, query), prepare(adam, realm))
        assert answer.status == 422
        assert "Please try again" in answer.body.decode()
        assert not each.is_signed_in
        assert '"changed"' in last_reason(own)
        if each is person:
            save(adam, realm)
            own.write("UPDATE identity_providers SET is_enabled = :yes, tried_at = 1", yes=True)
    mailed = [mail for mail in mailbox.mails if stranger.email in str(mail["to"])]
    assert mailed == []


def test_a_trial_of_the_former_provider_is_none_of_the_new_one(
    own: Gateway, adam: Employee, realm: Realm, identity_provider: IdentityProvider
) -> None:
    other = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    query = adam.elsewhere.sign_in(way_on(adam.send("/admin/sso", {"do": "trial"})), "erin").query
    meanwhile(realm, lambda: adam.bring(query), lambda: save(adam, other))
    assert own.write("SELECT tried_at FROM identity_providers") == [(None,)]
    assert "Try it out first" in adam.send("/admin/sso", {"do": "on"}).body.decode()


def test_a_link_that_the_former_provider_had_mailed_connects_nobody(
    own: Gateway, adam: Employee, realm: Realm, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = next(crowd)
    person.come_back(person.leave(), subject_of(person))
    path = urlsplit(links_in(mailbox.wait_for(person.email, "Confirm your sign-in"))[0]).path
    exchange(adam, realm)
    assert "no longer works" in person.send(path, {}).body.decode()
    assert own.write("SELECT count(*) FROM sso_links") == [(0,)]


@pytest.mark.parametrize("change", [exchange, remove])
def test_a_provider_that_can_not_sign_people_out_any_more_leaves_nobody_signed_in(
    own: Gateway, adam: Employee, realm: Realm, crowd: Iterator[Employee], mailbox: Mailbox, change: Change
) -> None:
    person, colleague = linked(next(crowd), mailbox), next(crowd)
    person.come_back(person.leave(), subject_of(person))
    colleague.give_password()
    assert person.is_signed_in
    change(adam, realm)
    assert not person.is_signed_in
    assert colleague.is_signed_in
    assert adam.is_signed_in
    event = "sso_removed" if change is remove else "sso_changed"
    details = own.write("SELECT details FROM audit WHERE event = :event ORDER BY id DESC LIMIT 1", event=event)
    assert '"sessions_ended": 1' in details[0][0]


def test_an_administrator_who_came_by_it_stays_signed_in(
    own: Gateway, adam: Employee, realm: Realm, mailbox: Mailbox
) -> None:
    realm.set(users=[*PEOPLE, User("adam", "adam@acme.example", "Adam")])
    other = linked(Employee(own, realm.provider, "adam@acme.example"), mailbox)
    other.come_back(other.leave(), "adam")
    remove(other, realm)
    assert other.is_signed_in


def test_a_provider_that_is_turned_off_completes_no_sign_in_that_lacks_our_second_step(
    own: Gateway, adam: Employee, realm: Realm, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    person = linked(next(crowd), mailbox)
    person.come_back(person.leave(), subject_of(person))
    key, codes = person.enrol()
    person.cookies.pop("__Host-otium_session")
    assert (person.come_back(person.leave(), subject_of(person)).get("location") or "").startswith("/login/totp")
    person.open("/login/totp?next=/probe")
    turn_off(adam, realm)
    person.submit("/login/totp", code=codes[0])
    person.send("/login/backup", {"code": codes[1]})
    assert not person.is_signed_in
    assert key


def test_who_disconnects_an_account_signs_out_whom_the_connection_let_in(
    own: Gateway, realm: Realm, crowd: Iterator[Employee], mailbox: Mailbox
) -> None:
    """A thief's connection: the thief is out with it, and not when their session has run out."""
    victim = linked(next(crowd), mailbox)
    thief = Employee(own, realm.provider, victim.email)
    thief.come_back(thief.leave(), subject_of(victim))
    assert thief.is_signed_in
    victim.give_password("/me/security/sso")
    assert victim.submit("/me/security/sso", follow=False).get("location") == "/me/security?done=disconnected"
    assert not thief.is_signed_in
    assert victim.is_signed_in
