"""Answers that are remembered for some seconds, so that many viewers of one page cost as much as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 50


class Remembered(Generic[T]):
    """One answer for each key, remembered for `seconds`. Callers that ask while one is being found wait for it."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._known: dict[Hashable, tuple[int, T]] = {}

    async def get(self, key: Hashable, now: int, find: Callable[[], Awaitable[T]]) -> T:
        """Return the answer; find it if it isn't known, or was found too long ago. Errors are not remembered."""
        async with self._lock:
            if key in self._known and 0 <= now - self._known[key][0] < self._seconds:
                return self._known[key][1]
            answer = await find()
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = now, answer
            return answer
