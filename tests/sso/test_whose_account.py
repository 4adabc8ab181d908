"""Whom a provider may speak for: hostile and odd claims, by a real provider that behaves as Entra ID (THREATS 61).

No claim links an existing account without that account's own proof, nor creates one outside the tenant.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, connect
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.mail import Mailbox, links_in
from tests.support.raw import Response

ERIN = User(str(uuid.uuid4()), "erin@acme.example", "Erin")
HOME = str(uuid.uuid4())
VOUCHED = {"xms_edov": True}
numbers = itertools.count()


@pytest.fixture(scope="module")
def realm(identity_provider: IdentityProvider) -> Realm:
    return identity_provider.entra(users=[ERIN], clients=[GATEWAY], optional_claims=["auth_time", "acct"])


@pytest.fixture(scope="module", autouse=True)
def adam(own: Gateway, realm: Realm) -> Employee:
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('xn--brse-5qa.example', 'acme', 1, 'owner')"
    )
    return connect(own, realm, subject=ERIN.id, kind="entra", creates_accounts="yes")


def somebody(email: str, *, verified: bool = True, **what: object) -> User:
    return User(str(uuid.uuid4()), email, "Mallory", claims=VOUCHED if verified else {}, **what)  # type: ignore[arg-type]


def arrive(own: Gateway, realm: Realm, user: User) -> tuple[Employee, Response]:
    """Let the provider know only this person, and sign in as them in a new browser."""
    realm.set(users=[user])
    person = Employee(own, realm.provider, "somebody@acme.example")
    return person, person.come_back(person.leave(), user.id)


def known(own: Gateway) -> list[tuple[object, ...]]:
    """Return all accounts and links."""
    accounts = own.write("SELECT id, identifier, tenant, role, name FROM accounts ORDER BY id")
    return [*accounts, *own.write("SELECT account, subject FROM sso_links ORDER BY account")]


def count_links(own: Gateway) -> int:
    """Return how many confirmations were mailed."""
    [(count,)] = own.write("SELECT count(*) FROM mailed_links WHERE purpose = 'sso_link'")
    return int(str(count))


def last_reason(own: Gateway) -> str:
    [(details,)] = own.write("SELECT details FROM audit WHERE event = 'login_failed' ORDER BY id DESC LIMIT 1")
    return str(details)


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize(
    "email",
    [
        "olga@beta.example",  # of tenant B
        "OLGA@BETA.EXAMPLE",
        "new@beta.example",
        "new@sub.beta.example",
        "otto@otium.example",  # the owner's
        "Otto@Otium.Example",
        "otto@otium.example.",
        "x@elsewhere.example",
        "x@acme.example.evil.example",
        "x@notacme.example",
        "x@example",
        "mara@\u0430cme.example",  # a Cyrillic letter
        "mara@acme.example@evil.example",
        "evil@evil.example@acme.example",
        "mara\uff20evil.example@acme.example",  # a full-width @
        "mara@evil.example\uff20acme.example",
        '"mara@acme.example"@evil.example',
        "mara@acme.example, x@evil.example",
        "mara@acme.example\r\nBcc: x@evil.example",
        "mara @acme.example",
        "@acme.example",
        "mara@",
        "mara",
        "",
        "x" * 300 + "@acme.example",
    ],
)
def test_an_email_that_is_not_the_tenants_gives_no_account_and_no_mail(
    own: Gateway, realm: Realm, email: str, verified: bool
) -> None:
    before, mails = known(own), count_links(own)
    person, answer = arrive(own, realm, somebody(email, verified=verified))
    assert answer.status == 422
    assert "an email address that you can use here" in answer.body.decode()
    assert known(own) == before
    assert count_links(own) == mails
    assert not person.is_signed_in
    assert '"reason":"email"' in last_reason(own).replace(" ", "")


@pytest.mark.parametrize(
    ("number", "email", "verified"),
    [
        (1, "crowd1@acme.example", True),
        (2, "crowd2@acme.example", False),
        (3, "CROWD3@ACME.EXAMPLE", True),
        (4, "Crowd4@Acme.Example.", True),
        (5, "\uff43rowd5@acme.example", True),  # NFKC: a full-width c
        (6, "crowd6@acme\u3002example", True),  # an ideographic full stop
    ],
)
def test_every_spelling_of_an_existing_email_needs_that_mailbox(
    own: Gateway, realm: Realm, mailbox: Mailbox, number: int, email: str, verified: bool
) -> None:
    before = known(own)
    person, answer = arrive(own, realm, somebody(email, verified=verified))
    assert "Check your email" in answer.body.decode()
    assert not person.is_signed_in
    assert known(own) == before
    mailbox.wait_for(f"crowd{number}@acme.example", "Confirm your sign-in")


@pytest.mark.parametrize("email", ["mara+x@acme.example", "m.ara@acme.example", "mar\u00e1@acme.example"])
def test_an_email_that_only_looks_alike_is_another_account(own: Gateway, realm: Realm, email: str) -> None:
    before = known(own)
    _, answer = arrive(own, realm, somebody(email))
    assert answer.get("location") == "/probe"
    added = [row for row in known(own) if row not in before]
    assert len(added) == 2
    assert [row[1:4] for row in added if len(row) == 5] == [(email, "acme", "employee")]
    [(mara,)] = own.write(
        "SELECT count(*) FROM sso_links JOIN accounts ON accounts.id = account WHERE identifier = 'mara@acme.example'"
    )
    assert mara == 0


def test_a_domain_with_umlauts_is_the_one_that_is_claimed(own: Gateway, realm: Realm) -> None:
    _, answer = arrive(own, realm, somebody("iris@Börse.example"))
    assert answer.get("location") == "/probe"
    found = own.write("SELECT tenant FROM accounts WHERE identifier = 'iris@xn--brse-5qa.example'")
    assert found == [("acme",)]


def test_an_account_of_another_tenant_at_the_domain_is_left_alone(own: Gateway, realm: Realm) -> None:
    own.write("UPDATE accounts SET identifier = 'olga@acme.example' WHERE identifier = 'olga@beta.example'")
    try:
        before = known(own)
        _, answer = arrive(own, realm, somebody("olga@acme.example"))
        assert answer.status == 422
        assert known(own) == before
    finally:
        own.write("UPDATE accounts SET identifier = 'olga@beta.example' WHERE identifier = 'olga@acme.example'")


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"xms_edov": False},
        {"xms_edov": "false"},
        {"xms_edov": "0"},
        {"xms_edov": 0},
        {"xms_edov": None},
        {"xms_edov": ["true"]},
        {"email_verified": True},
        {"email_verified": "true"},
    ],
)
def test_an_email_that_entra_does_not_vouch_for_is_confirmed_by_mail_before_there_is_an_account(
    own: Gateway, realm: Realm, mailbox: Mailbox, claims: dict[str, object]
) -> None:
    before = known(own)
    user = User(str(uuid.uuid4()), f"new{next(numbers)}@acme.example", "Nina", claims=claims)
    _, answer = arrive(own, realm, user)
    assert "Check your email" in answer.body.decode()
    assert known(own) == before
    mailbox.wait_for(user.email, "Confirm your sign-in")


@pytest.mark.parametrize("claims", [{"xms_edov": True}, {"xms_edov": "1"}, {"xms_edov": "true"}, {"xms_edov": 1}])
def test_an_email_that_entra_vouches_for_needs_no_mail(own: Gateway, realm: Realm, claims: dict[str, object]) -> None:
    user = User(str(uuid.uuid4()), f"new{next(numbers)}@acme.example", "Nina", claims=claims)
    assert arrive(own, realm, user)[1].get("location") == "/probe"


@pytest.mark.parametrize(
    "guest",
    [
        somebody("guest@acme.example", home_tenant=HOME),
        somebody("mara@acme.example", home_tenant=HOME),
        User(str(uuid.uuid4()), "g@acme.example", claims={**VOUCHED, "acct": 1}),
        User(str(uuid.uuid4()), "g@acme.example", claims={**VOUCHED, "acct": "1"}),
        User(str(uuid.uuid4()), "g@acme.example", claims={**VOUCHED, "idp": "live.com"}),
        User(str(uuid.uuid4()), "g@acme.example", claims={**VOUCHED, "idp": "mail"}),
    ],
    ids=["home", "existing", "acct", "acct text", "personal", "mail"],
)
def test_a_guest_is_refused_and_told_what_to_do(own: Gateway, realm: Realm, guest: User) -> None:
    before = known(own)
    _, answer = arrive(own, realm, guest)
    assert answer.status == 422
    assert "guests can’t sign in here" in answer.body.decode()
    assert known(own) == before
    assert "guest" in last_reason(own)


def test_somebody_who_became_a_guest_is_refused_too(own: Gateway, realm: Realm) -> None:
    user = somebody(f"new{next(numbers)}@acme.example")
    assert arrive(own, realm, user)[1].get("location") == "/probe"
    _, answer = arrive(own, realm, replace(user, home_tenant=HOME))
    assert "guests can’t sign in here" in answer.body.decode()


def test_an_email_that_is_changed_at_the_provider_changes_nothing_here(own: Gateway, realm: Realm) -> None:
    user = somebody(f"new{next(numbers)}@acme.example")
    assert arrive(own, realm, user)[1].get("location") == "/probe"
    before = known(own)
    for email in ("mara@acme.example", "otto@otium.example", "olga@beta.example", "", "x@elsewhere.example"):
        person, answer = arrive(own, realm, replace(user, email=email))
        assert answer.get("location") == "/probe"
        assert user.email in person.open("/me/security").body.decode()
    assert known(own) == before


def test_whoever_gets_the_email_of_somebody_else_there_gets_no_account_here(own: Gateway, realm: Realm) -> None:
    """An address is given to a new colleague: another object, so another person."""
    user = somebody(f"new{next(numbers)}@acme.example")
    assert arrive(own, realm, user)[1].get("location") == "/probe"
    before = known(own)
    _, answer = arrive(own, realm, replace(user, id=str(uuid.uuid4())))
    assert answer.status == 422
    assert "can’t be used" in answer.body.decode()
    assert known(own) == before


def test_an_owner_is_refused_although_the_domain_is_the_tenants(own: Gateway, realm: Realm) -> None:
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('otium.example', 'acme', 1, 'o')"
    )
    try:
        before = known(own)
        for email in ("otto@otium.example", "OTTO@otium.example"):
            assert arrive(own, realm, somebody(email))[1].status == 422
        assert known(own) == before
    finally:
        own.write("DELETE FROM domain_claims WHERE domain = 'otium.example'")


def test_a_mailed_confirmation_is_of_no_use_for_another_application_or_domain(
    own: Gateway, realm: Realm, mailbox: Mailbox
) -> None:
    """The subject of another application is another person; a domain that was given up is nobody's."""
    changes = (
        ("UPDATE identity_providers SET client_id = 'other'", "UPDATE identity_providers SET client_id = 'gateway'"),
        (
            "UPDATE domain_claims SET tenant = 'beta' WHERE domain = 'acme.example'",
            "UPDATE domain_claims SET tenant = 'acme' WHERE domain = 'acme.example'",
        ),
    )
    for change, undo in changes:
        user = somebody(f"new{next(numbers)}@acme.example", verified=False)
        person, _ = arrive(own, realm, user)
        person.email = user.email
        before = known(own)
        own.write(change)
        try:
            assert "no longer works" in person.confirm(mailbox).body.decode()
        finally:
            own.write(undo)
        assert known(own) == before


def test_the_mailbox_confirms_in_the_browser_that_came(own: Gateway, realm: Realm, mailbox: Mailbox) -> None:
    """With all that is asked for, it works."""
    realm.set(users=[ERIN])
    erin = Employee(own, realm.provider, ERIN.email)
    erin.come_back(erin.leave("/probe?week=47"), ERIN.id)
    link = links_in(mailbox.wait_for(erin.email, "Confirm your sign-in"))[0]
    elsewhere = Employee(own, realm.provider, ERIN.email).open(urlsplit(link).path).body.decode()
    assert "Open this link in the other browser" in elsewhere
    assert 'href="/login/sso?next=/probe%3Fweek%3D47"' in elsewhere  # a deep link is kept there, too
    done = erin.confirm(mailbox).body.decode()
    assert "Account connected" in done
    assert 'href="/login/sso/acme?next=/probe%3Fweek%3D47"' in done
    assert erin.come_back(erin.leave(), ERIN.id).get("location") == "/probe"
