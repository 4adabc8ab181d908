"""The email that goes along from page to page: sealed, and for an hour."""

from __future__ import annotations

import pytest

from gateway.model.secret import Secret
from gateway.web.carried_email import LIFE_SECONDS, CarriedEmail

NOW = 1_800_000_000
NEWEST, OLDER = Secret(b"n" * 32), Secret(b"o" * 32)


@pytest.mark.parametrize("email", ["erin@acme.example", "née@exämple.org", "not an email", ""])
def test_what_was_sealed_opens_for_an_hour(email: str) -> None:
    carried = CarriedEmail([NEWEST])
    sealed = carried.seal(email, NOW)
    assert email not in sealed or not email
    assert carried.open(sealed, NOW + LIFE_SECONDS - 1) == email
    assert carried.open(sealed, NOW + LIFE_SECONDS) == ""


def test_an_older_secret_still_opens_and_another_one_does_not() -> None:
    sealed = CarriedEmail([OLDER]).seal("erin@acme.example", NOW)
    assert CarriedEmail([NEWEST, OLDER]).open(sealed, NOW) == "erin@acme.example"
    assert CarriedEmail([NEWEST]).open(sealed, NOW) == ""


def test_a_long_text_is_cut_and_still_opens() -> None:
    carried = CarriedEmail([NEWEST])
    assert carried.open(carried.seal("\U0001f511" * 1_000, NOW), NOW) == "\U0001f511" * 320


@pytest.mark.parametrize("sealed", ["A", "ä", "=", "A" * 100, "A" * 5_000, " "])
def test_what_was_not_sealed_is_nothing(sealed: str) -> None:
    assert CarriedEmail([NEWEST]).open(sealed, NOW) == ""
