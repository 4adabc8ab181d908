"""The counters of one worker: plain integers in a list, copied to the board twice a second."""

from __future__ import annotations

from bisect import bisect_left

from gateway.model.factor import Factor
from gateway.observe.board import Board
from gateway.observe.families import FACTORS, FAMILIES, NANO, OTHER_FACTOR, PLACES, Result
from gateway.observe.refusals import Reason, Scarce

BOUNDS = {family.name: family.bounds for family in FAMILIES}
LIMITS = (Result.LOCKED, Result.BLOCKED, Result.BUSY)


class Tally:
    """The counters of one worker. `numbers` are laid out as in families.PLACES.

    It can be passed on before the worker has its region; `resume` comes before anything is counted.
    """

    __slots__ = ("_board", "_region", "numbers")

    def __init__(self, board: Board) -> None:
        self._board = board

    def resume(self, region: int) -> Tally:
        """Count in `region` of the board, from the numbers that are there. Returns itself."""
        self._region = region
        self.numbers = self._board.resume(region)
        return self

    def count_sign_in(self, factor: Factor, result: Result) -> None:
        self.numbers[PLACES["sign_ins", factor if factor in FACTORS else OTHER_FACTOR, result.value]] += 1
        if result in LIMITS:
            self.numbers[PLACES["limits_hit", result.value]] += 1

    def count_refusal(self, scarce: Scarce, reason: Reason) -> None:
        self.numbers[PLACES["shares_refused", scarce.value, reason.value]] += 1

    def count_lost_views(self, count: int) -> None:
        self.numbers[PLACES[("page_views_lost",)]] += count

    def set(self, value: int, *series: str) -> None:
        self.numbers[PLACES[series]] = value

    def add(self, count: int, *series: str) -> None:
        self.numbers[PLACES[series]] += count

    def observe(self, seconds: float, *series: str) -> None:
        """Add a value to a histogram."""
        bounds, place = BOUNDS[series[0]], PLACES[series]
        self.numbers[place + bisect_left(bounds, seconds)] += 1
        self.numbers[place + len(bounds) + 1] += int(seconds * NANO)

    def leave(self) -> None:
        """Record that this worker accepts no more connections."""
        self._board.leave(self._region)

    def write(self, now: float) -> None:
        """Copy the counters to the board. `now` is seconds of the monotonic clock."""
        self._board.write(self._region, self.numbers, now)
