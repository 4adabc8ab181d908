"""What every factor offers to the sign-in: one method that compares and consumes in one statement.

A factor neither counts failures nor writes the audit log: all of them are refused in one place (login.guard), so
that none can forget to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.store import Transaction


class Reason(StrEnum):
    """Why a response was refused."""

    WRONG = "wrong"
    USED = "used"  # it was right once; nobody gains by sending it again, so it costs no try
    LATE = "late"  # right some minutes ago: the clock that made it is slow
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # a newer one was sent


@dataclass(frozen=True, slots=True)
class Right:
    """It was right, and is used up now."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """`minutes` says how late, where that is the reason."""

    reason: Reason = Reason.WRONG
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to prove something: the account, and the attempt or session (its id) that the proof is for."""

    account: str
    holder: str


class Verifier(Protocol):
    """One factor."""

    @property
    def factor(self) -> Factor: ...

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        """Compare what was `given` and consume it. Exactly one of any number of equal requests gets Right."""
