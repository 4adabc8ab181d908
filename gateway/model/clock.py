"""The wall clock. It is injected into pages, services and background jobs."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # UTC seconds


def utc() -> int:
    return int(time.time())
