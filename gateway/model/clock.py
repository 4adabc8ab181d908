"""The wall clock, which is injected into pages, services and background jobs, and its times as programs read them."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # UTC seconds
MINUTE, HOUR, DAY = 60, 3_600, 86_400  # in seconds


def utc() -> int:
    return int(time.time())


def write_utc(at: int) -> str:
    """Return UTC seconds for programs, by ISO 8601: 2026-03-14T09:26:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
