"""Limits on the silence of a database or an identity provider, counted in turns of the event loop.

A process that had no processor for a while, or was suspended, finds its limits passed when it goes on, although the
answers have arrived and only have to be read. So a limit passes in steps, and the loop has to come to each of them.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

STEPS = 4


class Patience:
    """Works as asyncio.timeout does; `renew` starts the `seconds` again. None is unlimited. Raises TimeoutError."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Patience:
        await self._limit.__aenter__()
        self.renew()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        await self._limit.__aexit__(kind, error, traceback)

    def renew(self) -> None:
        if self._seconds is not None and not self._limit.expired():
            self._stop()
            self._limit.reschedule(None)  # if it was to pass in the next turn of the loop
            self._wait(self._seconds / STEPS, STEPS)

    def _wait(self, seconds: float, steps: int) -> None:
        loop = asyncio.get_running_loop()
        if steps:
            self._timer = loop.call_later(seconds, self._wait, seconds, steps - 1)
        else:
            self._limit.reschedule(loop.time())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
