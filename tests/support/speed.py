"""How fast this machine is at present: limits on processor time are meant for a machine on which others are measured.

A shared core of a busy host takes two or three times as long for the same work, and no code is at fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

STEPS = 200_000
STEPS_SECONDS = 0.01  # what they take where the limits of the tests are as they are written


def slowness() -> float:
    """Return how many times as long work takes here and now; at least 1."""
    return max(1.0, median(work() for _ in range(5)) / STEPS_SECONDS)


def work() -> float:
    """Return the processor time of a fixed piece of work, in seconds."""
    began, total = time.thread_time(), 0
    for step in range(STEPS):
        total += step
    return time.thread_time() - began


def quickest(act: Callable[[], object]) -> float:
    """Return the processor time of the quickest of five runs, in seconds. Any other may meet the garbage collector."""

    def seconds() -> float:
        began = time.thread_time()
        act()
        return time.thread_time() - began

    return min(seconds() for _ in range(5))
