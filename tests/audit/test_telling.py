"""Rows read as sentences: with the names of people, links to their pages, and nothing of erased ones."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

import pytest

from gateway.app.factors import MEANS
from gateway.audit.chain import GENESIS, Head, extend
from gateway.audit.people import People, Person
from gateway.audit.sentences import CASES
from gateway.audit.telling import Line, Teller
from gateway.languages.reader import Readers, written_for
from gateway.model.entry import Details, Entry, Outcome
from gateway.model.event import GROUPS, Event, Group
from tests.store.people import NOW

ERIN = Person("acc_erin", "erin@acme.example", "Erin <Zoë>")
ADAM = Person("acc_adam", "adam@acme.example", "Adam")
PEOPLE = People(
    {person.account: person for person in (ERIN, ADAM)}, {person.identifier: person for person in (ERIN, ADAM)}
)
LINKED = '<a href="/admin/accounts/member?account=acc_erin">Erin &lt;Zoë&gt;</a>'
ADAM_LINKED = '<a href="/admin/accounts/member?account=acc_adam">Adam</a>'


def tell(event: Event, details: Details | None = None, *, erased: bool = False, **changes: str | None) -> Line:
    values: dict[str, str | None] = {"identifier": ERIN.identifier, "account": ERIN.account, **changes}
    entry = Entry(event, Outcome.SUCCESS, NOW, str(values.pop("identifier")), details=details or {}, **values)  # type: ignore[arg-type]
    row = extend(Head(0, GENESIS), entry, b"s" * 16, b"a" * 16)
    if erased:
        row = row._replace(identifier="", address="", user_agent="", personal="", who_salt=None)
    return Teller(PEOPLE, "/admin/accounts/member", MEANS).tell(row)


def test_a_device_that_was_stored_by_its_name_is_told_in_the_language_of_the_reader() -> None:
    with written_for(Readers("de").default):
        told = tell(Event.SESSION_REVOKED, {"device": "Chrome on Linux"}).said
    assert told == f"{LINKED} hat ein Gerät abgemeldet: Chrome auf Linux"
    assert tell(Event.SESSION_REVOKED).said == f"{LINKED} signed out a device: –"


def test_a_sign_in_says_by_what_and_from_where() -> None:
    line = tell(Event.LOGIN, {"method": "2fa", "proved": "password totp"}, user_agent="Chrome on Windows")
    assert line.said == f"{LINKED} signed in with a password and an authenticator app, from Chrome on Windows"


@pytest.mark.parametrize(
    ("event", "details", "said"),
    [
        (Event.LOGIN, {"method": "2fa"}, "Erin signed in"),
        (Event.LOGIN, {"proved": "sso"}, "Erin signed in with single sign-on"),
        (
            Event.LOGIN,
            {"proved": "password totp magic_link"},
            "Erin signed in with a password, an authenticator app and an email link",
        ),
        (Event.LOGIN_FAILED, {"reason": "wrong"}, "Sign-in as Erin failed: wrong password"),
        (Event.LOGIN_FAILED, {"reason": "disabled"}, "Sign-in as Erin failed: the account is disabled"),
        (Event.LOGIN_FAILED, {"reason": "passwordless"}, "Sign-in as Erin failed: the account has no password"),
        (
            Event.LOGIN_FAILED,
            {"reason": "wrong", "where": "while changing the password"},
            "Erin couldn’t change the password: wrong current password",
        ),
        (Event.LOGIN_FAILED, {"factor": "sso", "reason": "account"}, "Sign-in as Erin with single sign-on failed"),
        (Event.LOGIN_FAILED, {"factor": "passkey", "reason": "wrong"}, "Sign-in as Erin with a passkey failed"),
        (Event.LOGIN_2FA_FAILED, {"factor": "totp", "reason": "wrong"}, "Second step for Erin failed: wrong code"),
        (
            Event.LOGIN_2FA_FAILED,
            {"factor": "totp", "reason": "used"},
            "Second step for Erin failed: the code was used before",
        ),
        (Event.LOGIN_2FA_FAILED, {"factor": "new", "reason": "new"}, "Second step for Erin failed"),
        (
            Event.NETWORK_REFUSED,
            {"where": "sign-in", "rule": "tenant"},
            "Sign-in as Erin failed: the network isn’t allowed",
        ),
        (Event.ACCOUNT_DISABLED, {}, "The account of Erin was disabled"),
        (Event.ACCOUNT_DISABLED, {"by": ADAM.identifier}, "Adam disabled the account of Erin"),
        (Event.ACCOUNT_DISABLED, {"by": "root"}, "root disabled the account of Erin"),
        (
            Event.ACCOUNT_ROLE_CHANGED,
            {"by": ADAM.identifier, "from": "employee", "to": "manager"},
            "Adam changed the role of Erin from employee to manager",
        ),
        (Event.PASSKEY_ADDED, {}, "Erin added the passkey “–”"),
        (Event.SSO_ENABLED, {}, "Erin turned on single sign-on"),
        (
            Event.REPEATED,
            {"of": "login_failed", "reason": "locked", "times": 12},
            "12 more within a minute, Erin: Sign-in failed",
        ),
    ],
)
def test_a_row_is_a_sentence(event: Event, details: Mapping[str, str | int | bool], said: str) -> None:
    assert tell(event, details).said.replace(LINKED, "Erin").replace(ADAM_LINKED, "Adam") == said


@pytest.mark.parametrize(
    ("event", "details", "said"),
    [
        (Event.LOGIN_FAILED, {"reason": "wrong"}, "Sign-in as x@acme.example failed: no account with this email"),
        (
            Event.LOGIN_FAILED,
            {"reason": "locked"},
            "Sign-in as x@acme.example failed: locked after too many failed attempts",
        ),
    ],
)
def test_an_email_without_an_account_is_told_as_such(event: Event, details: Details, said: str) -> None:
    assert tell(event, details, identifier="x@acme.example", account=None).said == said


@pytest.mark.parametrize(
    ("event", "details", "said"),
    [
        (Event.LOGIN_FAILED, {"factor": "sso", "reason": "forged"}, "Sign-in with single sign-on failed"),
        (Event.LOGIN_FAILED, {"factor": "passkey", "reason": "unknown"}, "Sign-in with a passkey failed"),
        (Event.SSO_ENABLED, {"by": "root", "tenant": "acme"}, "root turned on single sign-on"),
        (Event.NETWORKS_CHANGED, {"by": "root"}, "root changed the allowed networks"),
        (Event.SCIM_GROUP_ADDED, {"by": "provisioning", "group": "<b>"}, "Provisioning added the group “&lt;b&gt;”"),
        (Event.REPEATED, {"of": "login_failed", "times": 3}, "3 more within a minute: Sign-in failed"),
        (Event.REPEATED, {"of": "newer_event", "times": 3}, "3 more within a minute: newer_event"),
        (Event.LOGIN, {}, "an unknown person signed in"),
    ],
)
def test_a_row_without_a_subject_names_the_actor_or_nobody(event: Event, details: Details, said: str) -> None:
    assert tell(event, details, identifier="", account=None).said == said


def test_erased_people_stay_erased_though_their_account_is_known() -> None:
    line = tell(Event.LOGIN, {"proved": "password"}, erased=True)
    assert line.said == "an erased person signed in with a password"


def test_an_event_of_a_newer_version_is_told_by_its_name() -> None:
    row = tell(Event.LOGIN).row._replace(event="of_a_newer_version")
    assert Teller(PEOPLE, "/m", MEANS).tell(row).said == "of_a_newer_version"


def test_what_people_typed_is_no_markup() -> None:
    assert "<script>" not in tell(Event.PASSKEY_ADDED, {"passkey": "<script>{person.account}"}).said


def test_every_event_has_a_sentence_that_names_the_people_in_it() -> None:
    for event in Event:
        assert "{actor}" not in event.told, event
        assert event.told_by is event.told or "{actor}" in event.told_by, event
        assert not event.told.endswith("."), event


def test_every_sentence_can_be_told() -> None:
    sentences = [*CASES.values(), *(told for event in Event for told in (event.told, event.told_by))]
    fields = {name for sentence in sentences for _, name, _, _ in Formatter().parse(sentence) if name}
    assert all(name.isidentifier() for name in fields)
    assert len([tell(event) for event in Event]) == len(Event)


# Groups.

FAILED = (
    Event.LOGIN_FAILED,
    Event.LOGIN_2FA_FAILED,
    Event.LOGIN_LOCKOUT,
    Event.LOGIN_LINK_UNSENT,
    Event.NETWORK_REFUSED,
)


def test_every_event_is_in_a_group_or_left_out_on_purpose() -> None:
    assert GROUPS.keys() == set(Group)
    assert set(Event).difference(*GROUPS.values()) == {
        Event.LOGIN_STEP, Event.LOGIN_LINK_SENT, Event.STEP_UP, Event.FORM_KEPT, Event.FORM_SENT, Event.REPEATED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("group", "events"),
    [
        (Group.FAILED_SIGN_INS, FAILED),
        (Group.SIGN_INS, (Event.LOGIN,)),
        (Group.SIGN_OUTS, (Event.LOGOUT, Event.SESSION_REVOKED, Event.SESSION_REVOKED_ALL)),
        (Group.ACCOUNTS, [event for event in Event if event.startswith(("account_", "email_change"))]),
        (Group.CREDENTIALS, [event for event in Event if event.startswith(("2fa_", "password_"))]),
        (Group.ADMINISTRATION, [event for event in Event if event.startswith(("tenant_", "domain_", "address_"))]),
        (Group.ADMINISTRATION, (Event.ACCOUNT_ROLE_CHANGED, Event.TWO_FACTOR_RESET, Event.NETWORKS_CHANGED)),
        (Group.DOWNLOADS, [event for event in Event if event.endswith("_exported")]),
        (Group.WARNINGS, (Event.LOGIN_SPRAY_SEEN, Event.PASSKEY_WENT_BACK, Event.TOKEN_USED_ELSEWHERE)),
    ],
)
def test_a_group_has_what_its_name_says(group: Group, events: list[Event]) -> None:
    assert events
    assert set(events) <= GROUPS[group]


def test_failed_sign_ins_are_failures_and_signing_in_is_none() -> None:
    assert GROUPS[Group.FAILED_SIGN_INS] == set(FAILED)
    assert not GROUPS[Group.FAILED_SIGN_INS] & GROUPS[Group.SIGN_INS]
