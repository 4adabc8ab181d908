"""The wall clock, which pages, services and chores are given rather than read."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # UTC seconds


def utc() -> int:
    return int(time.time())
