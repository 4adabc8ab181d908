"""Twice a second: how late the event loop is, how much is open, and a sign of life on the board.

A worker whose loop is stuck shows none any more. The supervisor notices that, ends it and starts another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.admin.families import NANO
from gateway.admin.tally import Tally

BEAT_SECONDS = 0.5


class Pulse:
    """`measure` notes on the tally what is open just now."""

    def __init__(self, tally: Tally, measure: Callable[[Tally], None]) -> None:
        self._tally = tally
        self._measure = measure
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = time.monotonic()
        self._beat()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def show(self) -> None:
        """Bring the board up to date now."""
        self._measure(self._tally)
        self._tally.write(time.monotonic())

    def _beat(self) -> None:
        lag = max(0.0, time.monotonic() - self._due)
        self._tally.observe(lag, "loop_lag_seconds")
        self._tally.set(int(lag * NANO), "loop_lag_max_seconds")
        self.show()
        self._due = time.monotonic() + BEAT_SECONDS
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)
