"""The clock on the wall, for tests that depend on the day or the hour: neither may end while they run."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from babel.dates import format_date


def stay_within(period: int, seconds: int = 60) -> None:
    """Return when the present hour, day (of UTC) or other `period` has so many `seconds` left, which may be the next one.

    Midnight is at a whole hour in UTC and in most other zones.
    """
    while (left := period - time.time() % period) < seconds:
        time.sleep(left + 2)  # a worker's clock may be a tick behind


def today() -> str:
    """Return the date as English pages write it, in UTC."""
    return format_date(datetime.now(UTC), "medium", locale="en_GB")
