"""Long work on the event loop, split into time slices, so that other tasks run in between.

Python runs one thread at a time, so a thread would not make this faster. Work that can't be split belongs in a thread
(side_work) or in the hashing threads.
"""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.002


class Slices:
    """A clock for one piece of long work, from its start. Call `pause` after each step; a step must be shorter than a
    slice.
    """

    def __init__(self) -> None:
        self._ends = time.perf_counter() + SLICE_SECONDS

    async def pause(self) -> None:
        """Let other tasks run if the time slice is over."""
        if time.perf_counter() >= self._ends:
            await asyncio.sleep(0)
            self._ends = time.perf_counter() + SLICE_SECONDS
