"""The log speaks to people: each event has words of its own, in the language of the pages."""

from __future__ import annotations

import pytest

from gateway.audit.labels import label_row, sort_events
from gateway.languages.reader import Readers, written_for
from gateway.model.event import Event


def test_every_event_has_a_sentence_of_its_own() -> None:
    labels = [event.label for event in Event]
    assert len(set(labels)) == len(Event)
    assert all(label[0].isupper() and "_" not in label for label in labels)


@pytest.mark.parametrize(
    ("event", "factor", "label"),
    [
        (Event.LOGIN_FAILED, None, "Password sign-in failed"),
        (Event.LOGIN_FAILED, "passkey", "Passkey sign-in failed"),
        (Event.LOGIN_FAILED, "sso", "Single sign-on failed"),
        (Event.LOGIN_2FA_FAILED, "totp", "Code or link rejected"),
        (Event.LOGIN_2FA_FAILED, "passkey", "Passkey rejected"),
        (Event.LOGIN, None, "Signed in"),
        (Event.LOGIN_LOCKOUT, "passkey", "Locked after too many failed attempts"),
        ("of_a_newer_version", "passkey", ""),
    ],
)
def test_a_row_says_which_factor_failed(event: str, factor: str | None, label: str) -> None:
    details = {"reason": "wrong", **({"factor": factor} if factor else {})}
    assert label_row(event, details) == label


def test_events_are_listed_in_the_readers_language_and_in_its_order() -> None:
    english = sort_events()
    with written_for(Readers("en-XA").default):
        accented = sort_events()
    assert accented[Event.LOGIN].startswith("[Šîğñ")
    assert list(accented) != list(english)
    for names in (english, accented):
        assert list(names.values()) == sorted(names.values(), key=str.casefold)
