"""The numbers of all workers, in memory that they share.

The supervisor makes the board before it forks and gives each worker a region of it. A worker counts in a list of its
own and writes the list into its region twice a second; any worker can add all regions up. When a worker is gone, its
region is given to the next one, which counts on from what stands there: a counter never goes backwards, and loses
half a second of counting at most. Single numbers are written whole, so nobody needs a lock.

The time of the last writing is a sign of life: the event loop that wrote it was turning.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.observe.families import COUNT, FAMILIES, PLACES, Kind

REGIONS = 256  # workers of which some may still be draining
NUMBER_BYTES = 8
HEAD = 8  # numbers of the supervisor
IS_TAKEN, BEAT, IS_USED, IS_LEAVING = range(4)
OWN = 4  # numbers of a region before those that are counted
REGION = OWN + COUNT
MILLI = 1_000


class Ended:
    """Why a worker had to be replaced: places in the board's head."""

    DIED = 0
    HUNG = 1


@dataclass(frozen=True, slots=True)
class Totals:
    """`numbers` of all workers, counted as their families say; `workers` are those that live."""

    numbers: list[int]
    workers: int
    died: int
    hung: int


class Board:
    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, (HEAD + REGIONS * REGION) * NUMBER_BYTES)).cast("Q")

    # The supervisor's part.

    def has_room_for(self, workers: int) -> bool:
        """Whether so many more may be started, with as many again to replace them."""
        taken = sum(bool(self._memory[start + IS_TAKEN]) for start in range(HEAD, HEAD + REGIONS * REGION, REGION))
        return taken + 2 * workers <= REGIONS

    def lease(self) -> int:
        """Return a region that no worker has."""
        for region in range(REGIONS):
            start = HEAD + region * REGION
            if not self._memory[start + IS_TAKEN]:
                self._memory[start + IS_TAKEN] = self._memory[start + IS_USED] = 1
                self._memory[start + BEAT] = self._memory[start + IS_LEAVING] = 0
                return region
        raise RuntimeError("all regions of the board are taken")

    def release(self, region: int) -> None:
        """The worker is gone. What it counted stays."""
        self._memory[HEAD + region * REGION + IS_TAKEN] = 0

    def beat_of(self, region: int) -> float:
        """Return when the worker last wrote, in seconds of the monotonic clock; 0 if it has not yet."""
        return self._memory[HEAD + region * REGION + BEAT] / MILLI

    def is_leaving(self, region: int) -> bool:
        """Whether the worker takes no connection any more."""
        return bool(self._memory[HEAD + region * REGION + IS_LEAVING])

    def count_end(self, reason: int) -> None:
        self._memory[reason] += 1

    # A worker's part.

    def resume(self, region: int) -> list[int]:
        """Return what was counted in `region` so far."""
        start = HEAD + region * REGION + OWN
        return self._memory[start : start + COUNT].tolist()

    def write(self, region: int, numbers: list[int], now: float) -> None:
        """`now` is the monotonic clock's, in seconds."""
        start = HEAD + region * REGION
        self._memory[start + OWN : start + REGION] = array("Q", numbers)
        self._memory[start + BEAT] = int(now * MILLI)

    def leave(self, region: int) -> None:
        """The worker has closed its listening sockets."""
        self._memory[HEAD + region * REGION + IS_LEAVING] = 1

    # Everybody's.

    def totals(self) -> Totals:
        numbers = [0] * COUNT
        workers = 0
        for start in range(HEAD, HEAD + REGIONS * REGION, REGION):
            if not self._memory[start + IS_USED]:
                break  # regions are given from the first one on
            lives = bool(self._memory[start + IS_TAKEN])
            workers += lives
            add(numbers, self._memory[start + OWN : start + REGION].tolist(), lives=lives)
        return Totals(numbers, workers, self._memory[Ended.DIED], self._memory[Ended.HUNG])


def add(numbers: list[int], more: list[int], *, lives: bool) -> None:
    for kind, place in KINDS:
        if kind is Kind.LARGEST:
            numbers[place] = max(numbers[place], more[place] if lives else 0)
        elif lives or kind is not Kind.SUM:
            numbers[place] += more[place]


def kinds() -> Iterator[tuple[Kind, int]]:
    for family in FAMILIES:
        for labels in family.series:
            start = PLACES[(family.name, *labels)]
            yield from ((family.kind, place) for place in range(start, start + family.width))


KINDS = tuple(kinds())
