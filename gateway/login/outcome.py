"""What can come of a step of signing in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.browsers.rows import Arrival
from gateway.factors.contract import Wrong
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` is the cookie's value. `arrival` says who was in this browser before; a session that goes on has none.

    `codes` were made on the way, and are shown once.
    """

    token: Secret[str]
    is_owner: bool
    arrival: Arrival | None = None
    codes: tuple[Secret[str], ...] = ()


@dataclass(frozen=True, slots=True)
class GoOn:
    """`factor` is to be proved next, for the attempt called `holder`; `token` is its cookie if it has just begun."""

    factor: Factor
    account: Account
    holder: str
    token: Secret[str] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not right, or not any more."""

    why: Wrong


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """Email or password, nobody learns which."""


@dataclass(frozen=True, slots=True)
class LockedOut:
    """Too many failures; nothing was checked. `until` is UTC seconds."""

    until: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """So many failures in a row that the factor has to be reset before it is asked for again."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many are signing in; nothing was checked or counted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no attempt any more: it took too long, or it has been completed."""
