"""The log speaks to people: each event has words of its own, in the language of the pages."""

from __future__ import annotations

import pytest

from gateway.audit.labels import label_events, label_failures, label_row
from gateway.model.event import Event


def test_every_event_has_a_sentence_of_its_own() -> None:
    labels = label_events(str)
    assert labels.keys() == set(Event)
    assert len(set(labels.values())) == len(Event)
    assert all(label[0].isupper() and "_" not in label for label in labels.values())


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
    assert label_row(event, details, label_events(str), label_failures(str)) == label


def test_labels_are_translated_and_stand_in_the_order_of_the_translation() -> None:
    labels = label_events(lambda sentence: sentence[::-1])
    assert labels[Event.LOGIN] == "ni dengiS"
    assert list(labels.values()) == sorted(labels.values(), key=str.casefold)
