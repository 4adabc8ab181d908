"""The log speaks to people: each event and outcome has words of its own, in the language of the pages."""

from __future__ import annotations

from gateway.audit.labels import label_events, label_outcomes
from gateway.model.event import Event, Outcome


def test_every_event_has_a_sentence_of_its_own() -> None:
    labels = label_events(str)
    assert labels.keys() == set(Event)
    assert len(set(labels.values())) == len(Event)
    assert all(label[0].isupper() and "_" not in label for label in labels.values())


def test_every_outcome_has_a_word() -> None:
    assert label_outcomes(str).keys() == set(Outcome)


def test_labels_are_translated_and_stand_in_the_order_of_the_translation() -> None:
    labels = label_events(lambda sentence: sentence[::-1])
    assert labels[Event.LOGIN] == "ni dengiS"
    assert list(labels.values()) == sorted(labels.values(), key=str.casefold)
