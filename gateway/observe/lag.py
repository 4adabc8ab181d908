"""How late the event loop is: a look a hundred times a second, because everything else waits for the loop.

A look that is due while something holds the loop comes late, by what is left of that hold. So a hold of 50 ms shows as
at least 40. A loop is late for one of two reasons: a callback worked too long, or the machine gave the core to somebody
else. The processor time that the loop's own thread used since the look before tells them apart: `held` is the part of
the lateness for which this thread was at work.
"""

from __future__ import annotations

import asyncio
import time

from gateway.observe.families import NANO
from gateway.observe.tally import Tally

LOOK_SECONDS = 0.01
SPAN_SECONDS = 60.0  # the latest look of this time and of the one before is what the gauge shows


class LoopLag:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._due = self._used = 0.0
        self._span_ends = 0.0
        self._largest = self._largest_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = time.monotonic()
        self._used = time.thread_time()
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now, used = time.monotonic(), time.thread_time()
        late = max(0.0, now - self._due)
        self._tally.observe(late, "loop_lag_seconds")
        self._tally.observe(min(late, used - self._used), "loop_held_seconds")
        self._show_largest(late, now)
        self._due, self._used = now + LOOK_SECONDS, used
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _show_largest(self, late: float, now: float) -> None:
        if now >= self._span_ends:
            self._largest_before, self._largest = self._largest, 0.0
            self._span_ends = now + SPAN_SECONDS
        elif late <= self._largest:
            return
        self._largest = max(self._largest, late)
        self._tally.set(int(max(self._largest, self._largest_before) * NANO), "loop_lag_max_seconds")
