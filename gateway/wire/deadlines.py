"""Deadlines of connections.

A timer for each wait of each request would cost more than the request. Instead, each connection has one number, its
deadline, and one timer per worker checks them all every half second. Waits may therefore end half a second late.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from gateway.model.clock import Clock, utc

NEVER = math.inf
TICK = 0.5  # seconds


class Waiting(Protocol):
    """`deadline` is on the clock of `Deadlines.now`, in seconds; `expire` is called once it has passed."""

    deadline: float

    def expire(self) -> None: ...


class Deadlines:
    """`now` is the event loop's time and `utc` the wall clock in whole seconds, both up to one tick old."""

    __slots__ = ("_clock", "_loop", "_timer", "_watched", "now", "utc")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock = utc) -> None:
        self._loop = loop
        self._clock = clock
        self._watched: set[Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    def watch(self, waiting: Waiting) -> None:
        self._watched.add(waiting)

    def forget(self, waiting: Waiting) -> None:
        self._watched.discard(waiting)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.now = self._loop.time()
        self.utc = self._clock()
        self._timer = self._loop.call_later(TICK, self._tick)  # first: what fails below must not stop the clock
        late = [waiting for waiting in self._watched if waiting.deadline <= self.now]
        for waiting in late:
            waiting.deadline = NEVER
            waiting.expire()
