"""What rows, groups of events, periods and search fields are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.audit.period import Days
from gateway.languages.reader import translate
from gateway.model.entry import Details
from gateway.model.event import EVENTS, Event, Group
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence

# Of rows that tell of one factor, by event and the detail `factor`; "" is for all others.
FAILURE_NAMES: Mapping[tuple[str, object], Sentence] = {
    (Event.LOGIN_FAILED, ""): Sentence("Password sign-in failed"),
    (Event.LOGIN_FAILED, Factor.PASSKEY): Sentence("Passkey sign-in failed"),
    (Event.LOGIN_FAILED, "sso"): Sentence("Single sign-on failed"),
    (Event.LOGIN_2FA_FAILED, ""): Sentence("Code or link rejected"),
    (Event.LOGIN_2FA_FAILED, Factor.PASSKEY): Sentence("Passkey rejected"),
}

GROUP_NAMES: Mapping[Group, Sentence] = {
    Group.FAILED_SIGN_INS: Sentence("Failed sign-ins"),
    Group.SIGN_INS: Sentence("Sign-ins"),
    Group.SIGN_OUTS: Sentence("Sign-outs"),
    Group.ACCOUNTS: Sentence("Changes to accounts"),
    Group.CREDENTIALS: Sentence("Passwords and second steps"),
    Group.ADMINISTRATION: Sentence("Changes by administrators"),
    Group.DOWNLOADS: Sentence("Downloads and reviews"),
    Group.WARNINGS: Sentence("Warnings"),
}

DAY_NAMES: Mapping[Days, Sentence] = {
    Days.TODAY: Sentence("Today"),
    Days.YESTERDAY: Sentence("Yesterday"),
    Days.LAST_7: Sentence("Last 7 days"),
    Days.LAST_30: Sentence("Last 30 days"),
    Days.ANY: Sentence("Any time"),
}

FIELD_NAMES: Mapping[str, Sentence] = {
    "day": Sentence("Period"),
    "event": Sentence("Event"),
    "person": Sentence("Email"),
    "address": Sentence("IP address"),
    "tenant": Sentence("Tenant"),
    "since": Sentence("From"),
    "until": Sentence("To"),
    "words": Sentence("Search all fields"),
    "before": Sentence("Page"),
}


def label_row(event: str, details: Details) -> Sentence:
    """Return the name of a row's event, or "" if this version doesn't know the event."""
    name = FAILURE_NAMES.get((event, details.get("factor"))) or FAILURE_NAMES.get((event, ""))
    return name or title_of(event)


def title_of(event: str) -> Sentence:
    """Return the name of an event, or "" if this version doesn't know it."""
    return EVENTS[event].label if event in EVENTS else Sentence()


def sort_events() -> dict[Event, str]:
    """Return the names of all events in the reader's language, in its order."""
    names = {event: translate(event.label) for event in Event}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))
