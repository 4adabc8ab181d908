"""Counts the outcomes of proofs by factor, for the metrics."""

from __future__ import annotations

from collections.abc import Callable

from gateway.login.outcome import Blocked, Busy, Gone, GoOn, LockedOut, OtherNetwork, Refused, SignedIn, WrongPassword
from gateway.model.factor import Factor
from gateway.observe.families import Result

Outcome = SignedIn | GoOn | Refused | WrongPassword | LockedOut | Blocked | Busy | Gone | OtherNetwork
Count = Callable[[Factor, Result], None]


class SignInCounts:
    def __init__(self, count: Count) -> None:
        self._count = count

    def note(self, factor: Factor, outcome: Outcome) -> None:
        self._count(factor, result_of(outcome))


def result_of(outcome: Outcome) -> Result:
    match outcome:
        case SignedIn():
            return Result.SIGNED_IN
        case GoOn():
            return Result.NEXT_FACTOR
        case Refused() | WrongPassword():
            return Result.WRONG
        case LockedOut():
            return Result.LOCKED
        case Blocked() | OtherNetwork():
            return Result.BLOCKED
        case Busy():
            return Result.BUSY
        case Gone():
            return Result.GONE
