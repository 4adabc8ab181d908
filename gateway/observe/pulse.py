"""The worker's heartbeat: writes metrics to the board twice a second, and samples event loop lag.

A worker with a blocked event loop has no heartbeat, so the supervisor kills and replaces it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.observe.lag import LoopLag
from gateway.observe.tally import Tally

BEAT_SECONDS = 0.5


class Pulse:
    """Writes the heartbeat. `measure` writes the current gauges to the tally."""

    def __init__(self, tally: Tally, measure: Callable[[Tally], None]) -> None:
        self._tally = tally
        self._measure = measure
        self._lag = LoopLag(tally)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._lag.start()
        self._beat()

    def stop(self) -> None:
        self._lag.stop()
        if self._timer is not None:
            self._timer.cancel()

    def show(self) -> None:
        """Update the board now."""
        self._measure(self._tally)
        self._tally.write(time.monotonic())

    def _beat(self) -> None:
        self.show()
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)
