"""What people may ask for on /me/tokens."""

from __future__ import annotations

import pytest

from gateway.model.account import Role
from gateway.tokens.forms import Unfit, read_wanted
from gateway.web.visit import Form


@pytest.mark.parametrize("days", ["0", "367", "0366", "03660", "3660", "-1", "1e2", "٣", "9" * 30, "+1", "1 "])
def test_no_token_lives_longer_than_a_year(days: str) -> None:
    with pytest.raises(Unfit):
        read_wanted(Form({"name": "a", "days": days}), Role.ADMIN)


@pytest.mark.parametrize("days", ["1", "90", "366", "090"])
def test_the_days_are_as_written(days: str) -> None:
    assert read_wanted(Form({"name": "a", "days": days}), Role.ADMIN).days == int(days)
