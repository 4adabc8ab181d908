"""Outcomes of a step of the sign-in flow."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.browsers.rows import Arrival
from gateway.factors.contract import Wrong
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`holder` is the id of the session, `token` its cookie. `arrival` tells who used this browser before; None after a
    step-up.

    `codes` are new backup codes of `account` (an identifier), to be shown once.
    """

    token: Secret[str]
    is_owner: bool
    arrival: Arrival | None = None
    codes: tuple[Secret[str], ...] = ()
    account: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class GoOn:
    """`factor` is next. `holder` is the id of the attempt, `token` its cookie if it has just begun."""

    factor: Factor
    account: Account
    holder: str
    token: Secret[str] | None = None


@dataclass(frozen=True, slots=True)
class OtherNetwork:
    """The proof is right, but comes from outside the networks of the account or its tenant."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The code or link was wrong or is no longer valid."""

    why: Wrong


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """Wrong email or wrong password; the response doesn't disclose which."""


@dataclass(frozen=True, slots=True)
class LockedOut:
    """Too many failures; the code or password was not checked. `until` is UTC seconds."""

    until: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """Too many consecutive failures: the factor must be reset (see guard.MOST_FAILURES)."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The password hashing queue is full; nothing was checked or counted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The attempt has expired or is completed."""
