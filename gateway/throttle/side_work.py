"""One thread beside the event loop, for what takes longer in one piece than others should wait.

Python runs one thread at a time and passes the turn on every few milliseconds (`sys.setswitchinterval`), so it has to
be one thread: with more of them the loop would have to wait for each in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
Result = TypeVar("Result")

TURN_SECONDS = 0.001  # after which a thread that computes lets the loop go on; Python's own is five times as long


class SideWork:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="side")

    async def run(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
