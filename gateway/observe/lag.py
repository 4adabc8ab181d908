"""Event loop lag, sampled a hundred times a second while the loop is busy, because everything else waits for the loop.

A sample that is due while a callback blocks the loop is late by the rest of that callback's time, so a block of 50 ms
shows as at least 40. A loop is late for one of two reasons: a callback ran too long, or the machine gave the core to
another process. The CPU time of the loop's own thread since the sample before tells them apart: `held` is the part of
the lateness in which this thread was running.

An idle loop is sampled every 50 ms, since the samples are most of what an idle worker costs. The first callback that
works for 5 ms or is 100 ms late brings the full rate back, for half a second.
"""

from __future__ import annotations

import asyncio
import time

from gateway.observe.families import NANO
from gateway.observe.tally import Tally

SAMPLE_SECONDS = 0.01
IDLE_SAMPLE_SECONDS = 0.05
BUSY_SECONDS = 0.5  # so long after it had work, a loop counts as busy
WORK_SECONDS = 0.005  # CPU time between two samples: more than one, a heartbeat and idle jobs take on a slow machine
LATE_SECONDS = 0.1  # a machine that is full of other work makes an idle loop late by less, again and again
SPAN_SECONDS = 60.0  # the gauge shows the worst sample of the current period and of the one before


class Pace:
    """How long until the next sample. `now` is seconds of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self._worked_at = now

    def choose_pause(self, now: float, used: float, late: float) -> float:
        """Return seconds. `used` is the CPU time since the sample before, and `late` how late this one is."""
        if used > WORK_SECONDS or late > LATE_SECONDS:
            self._worked_at = now
        return SAMPLE_SECONDS if now < self._worked_at + BUSY_SECONDS else IDLE_SAMPLE_SECONDS


class LoopLag:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pace = Pace(time.monotonic())
        self._due = self._used = 0.0
        self._span_ends = 0.0
        self._largest = self._largest_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = time.monotonic()
        self._used = time.thread_time()
        self._sample()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self) -> None:
        now, used = time.monotonic(), time.thread_time()
        late = max(0.0, now - self._due)
        self._tally.observe(late, "loop_lag_seconds")
        self._tally.observe(min(late, used - self._used), "loop_held_seconds")
        self._show_largest(late, now)
        pause = self._pace.choose_pause(now, used - self._used, late)
        self._due, self._used = now + pause, used
        self._timer = asyncio.get_running_loop().call_later(pause, self._sample)

    def _show_largest(self, late: float, now: float) -> None:
        if now >= self._span_ends:
            self._largest_before, self._largest = self._largest, 0.0
            self._span_ends = now + SPAN_SECONDS
        elif late <= self._largest:
            return
        self._largest = max(self._largest, late)
        self._tally.set(int(max(self._largest, self._largest_before) * NANO), "loop_lag_max_seconds")
