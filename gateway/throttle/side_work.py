"""One thread beside the event loop, for work that would block the loop for too long.

Python runs one thread at a time and switches every few milliseconds (`sys.setswitchinterval`), so this is a single
thread: with more of them the loop would have to wait for each in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
Result = TypeVar("Result")

TURN_SECONDS = 0.001  # the longest that a busy thread keeps the interpreter; Python's default is five times as long


class SideWork:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="side")

    async def run(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
