"""Long work on the event loop, done in slices, so that others get their turn in between.

Python runs one thread at a time, so a thread makes nothing of this better. What takes long in one piece has no place
here, and goes to a thread (side_work) or to the hashing threads.
"""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.002


class Slices:
    """Made when the work begins. `pause` is to be called after each piece, which takes no more than a slice itself."""

    def __init__(self) -> None:
        self._ends = time.perf_counter() + SLICE_SECONDS

    async def pause(self) -> None:
        """Let others have their turn if the slice is over."""
        if time.perf_counter() >= self._ends:
            await asyncio.sleep(0)
            self._ends = time.perf_counter() + SLICE_SECONDS
