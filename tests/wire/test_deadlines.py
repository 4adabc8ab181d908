"""The one timer that watches every wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.wire.deadlines import NEVER, Deadlines


class Broken:
    deadline = 0.0

    def expire(self) -> None:
        raise ZeroDivisionError


class Counted:
    def __init__(self, also: Callable[[], None] = lambda: None) -> None:
        self.deadline = 0.0
        self.expired = 0
        self._also = also

    def expire(self) -> None:
        self.expired += 1
        self._also()


async def test_a_wait_that_fails_to_end_stops_neither_the_clock_nor_the_other_waits() -> None:
    """Else this worker's sessions would never expire again."""
    loop, failed, ticked = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.set_exception_handler(lambda loop, context: failed.set())
    times = iter(range(1_000))
    deadlines = Deadlines(loop, lambda: next(times))
    others, broken = (Counted(), Counted()), Broken()
    for waiting in (others[0], broken, others[1]):
        deadlines.watch(waiting)
    await asyncio.wait_for(failed.wait(), 30)
    before = deadlines.utc
    last = Counted(ticked.set)
    deadlines.watch(last)
    await asyncio.wait_for(ticked.wait(), 30)
    assert deadlines.utc > before
    assert ([other.expired for other in others], broken.deadline) == ([1, 1], NEVER)
    deadlines.stop()
