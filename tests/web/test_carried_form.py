"""The fields of a form that wait for a fresh proof: sealed for the account that submitted them, and for an hour."""

from __future__ import annotations

import pytest

from gateway.model.secret import Secret
from gateway.web.carried_form import LIFE_SECONDS, MAX_BYTES, CarriedForm

NOW = 1_800_000_000
NEWEST, OLDER = Secret(b"n" * 32), Secret(b"o" * 32)
FIELDS = {"name": "Zoë {x} %s <b>", "role": "admin", "module-hr": "1", "email": ""}


def test_fields_come_back_to_their_account_for_an_hour() -> None:
    carried = CarriedForm([NEWEST])
    sealed = carried.seal(FIELDS, "acc_1", NOW)
    assert carried.open(sealed, "acc_1", NOW + LIFE_SECONDS - 1) == FIELDS
    assert carried.open(sealed, "acc_1", NOW + LIFE_SECONDS) == {}
    assert carried.open(sealed, "acc_2", NOW) == {}


def test_an_older_secret_still_opens_and_another_one_does_not() -> None:
    sealed = CarriedForm([OLDER]).seal(FIELDS, "acc_1", NOW)
    assert CarriedForm([NEWEST, OLDER]).open(sealed, "acc_1", NOW) == FIELDS
    assert CarriedForm([NEWEST]).open(sealed, "acc_1", NOW) == {}


def test_no_fields_and_too_long_ones_are_not_carried() -> None:
    carried = CarriedForm([NEWEST])
    assert carried.seal({}, "acc_1", NOW) == carried.seal({"name": "x" * MAX_BYTES}, "acc_1", NOW) == ""
    longest = {"name": "x" * (MAX_BYTES - 30)}
    assert carried.open(carried.seal(longest, "acc_1", NOW), "acc_1", NOW) == longest


@pytest.mark.parametrize("sealed", ["", "A", "ä", "=", "A" * 100, "A" * 9_000, " "])
def test_what_was_not_sealed_is_nothing(sealed: str) -> None:
    assert CarriedForm([NEWEST]).open(sealed, "acc_1", NOW) == {}
