"""The metrics of all workers, in shared memory.

The supervisor creates the board before it forks and assigns each worker a region. A worker counts in a list of its own
and copies the list into its region twice a second; any worker can add up all regions. When a worker ends, its region is
assigned to the next one, which continues from the stored numbers: a counter never decreases, and loses at most half a
second of counting. Each number is written in one piece, so no lock is needed.

The time of the last write is the heartbeat: it proves that the event loop was running.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.observe.families import COUNT, FAMILIES, PLACES, Kind

REGIONS = 256  # workers, some of which may still be draining
NUMBER_BYTES = 8
HEAD = 8  # numbers of the supervisor
IS_TAKEN, BEAT, IS_USED, IS_LEAVING = range(4)
OWN = 4  # numbers of a region before its counters
REGION = OWN + COUNT
MILLI = 1_000


class Ended:
    """Why a worker was replaced; each reason is an index in the board's head."""

    DIED = 0
    HUNG = 1


@dataclass(frozen=True, slots=True)
class Totals:
    """The combined numbers of all workers; `workers` is the number alive."""

    numbers: list[int]
    workers: int
    died: int
    hung: int


class Board:
    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, (HEAD + REGIONS * REGION) * NUMBER_BYTES)).cast("Q")

    # Called by the supervisor.

    def has_room_for(self, workers: int) -> bool:
        """Whether there is room for so many more workers and for as many replacements."""
        taken = sum(bool(self._memory[start + IS_TAKEN]) for start in range(HEAD, HEAD + REGIONS * REGION, REGION))
        return taken + 2 * workers <= REGIONS

    def lease(self) -> int:
        """Return a free region, assigned to a new worker."""
        for region in range(REGIONS):
            start = HEAD + region * REGION
            if not self._memory[start + IS_TAKEN]:
                self._memory[start + IS_TAKEN] = self._memory[start + IS_USED] = 1
                self._memory[start + BEAT] = self._memory[start + IS_LEAVING] = 0
                return region
        raise RuntimeError("all regions of the board are taken")

    def release(self, region: int) -> None:
        """Free the region of a worker that ended. Its counts stay."""
        self._memory[HEAD + region * REGION + IS_TAKEN] = 0

    def beat_of(self, region: int) -> float:
        """Return the worker's last heartbeat, in seconds of the monotonic clock; 0 if there was none yet."""
        return self._memory[HEAD + region * REGION + BEAT] / MILLI

    def is_leaving(self, region: int) -> bool:
        """Whether the worker no longer accepts connections."""
        return bool(self._memory[HEAD + region * REGION + IS_LEAVING])

    def count_end(self, reason: int) -> None:
        self._memory[reason] += 1

    # Called by a worker.

    def resume(self, region: int) -> list[int]:
        """Return the numbers counted in `region` so far."""
        start = HEAD + region * REGION + OWN
        return self._memory[start : start + COUNT].tolist()

    def write(self, region: int, numbers: list[int], now: float) -> None:
        """Write the numbers and the heartbeat. `now` is seconds of the monotonic clock."""
        start = HEAD + region * REGION
        self._memory[start + OWN : start + REGION] = array("Q", numbers)
        self._memory[start + BEAT] = int(now * MILLI)

    def leave(self, region: int) -> None:
        """Record that the worker has closed its listening sockets."""
        self._memory[HEAD + region * REGION + IS_LEAVING] = 1

    # Called by any process.

    def totals(self) -> Totals:
        numbers = [0] * COUNT
        workers = 0
        for start in range(HEAD, HEAD + REGIONS * REGION, REGION):
            if not self._memory[start + IS_USED]:
                break  # regions are assigned from the first one on
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
