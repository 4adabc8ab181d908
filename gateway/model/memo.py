"""A bounded memory of results that can be computed again. Beyond its size the oldest are forgotten, not all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

CACHED_SESSIONS = 20_000  # the default of `sessions.cached`, by which the memos of what belongs to a person are sized

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Keeps what was used last, up to `size` by `weigh` (by default their number), and at most twice as much.

    There are two generations. When `young` is full it becomes the old one, and the former old one is dropped. What is
    asked for again moves from old to young. Whoever is in a hurry asks for `young.get(key) or recall(key)`; values are
    never None.
    """

    __slots__ = ("_old", "_room", "_size", "_weigh", "young")

    def __init__(self, size: int, weigh: Callable[[K, V], int] = lambda key, value: 1) -> None:
        self._size = self._room = size
        self._weigh = weigh
        self._old: dict[K, V] = {}
        self.young: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return key in self.young or key in self._old

    def recall(self, key: K) -> V | None:
        """Return what is remembered outside of `young`, and keep it there; None for nothing."""
        value = self._old.pop(key, None)
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        if key not in self.young:
            weight = self._weigh(key, value)
            if weight > self._room:
                self._old, self.young = self.young, {}
                self._room = self._size
            self._room -= weight
        self.young[key] = value
