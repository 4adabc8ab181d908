"""The condition on `accounts` for having set up a second step (model.factor.SECOND)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, literal, or_

from gateway.model.factor import SECOND
from gateway.store.schema import accounts

_enrolled = literal(" ").concat(accounts.c.enrolled).concat(" ")  # names with a space on both sides
HAS_SECOND: ColumnElement[bool] = or_(*(_enrolled.contains(f" {factor} ") for factor in sorted(SECOND)))
