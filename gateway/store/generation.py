"""Cache invalidation between the processes of one machine.

All of them map a file of eight random bytes. A process that has committed a change writes eight new bytes before it
confirms the change. Reading them takes a tenth of a microsecond, so every request does. Two writers at once need no
lock: any mixture of their bytes differs from the former ones.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from gateway.store.location import identity_of, open_private

SIZE = 8


class Generation:
    """The mapped file. Readers compare what `current` returns; writers `announce`. Raises OSError."""

    __slots__ = ("_identity", "_map", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity, self._map = attach(path)

    def current(self) -> bytes:
        return self._map[:SIZE]

    def announce(self) -> None:
        """Invalidate the caches of all processes. Call it after the commit of a change, and before confirming it."""
        self.follow()
        self._map[:SIZE] = os.urandom(SIZE)

    def follow(self) -> bool:
        """Map the current file if ours was removed or replaced. Returns whether it was."""
        try:
            if identity_of(self._path) == self._identity:
                return False
        except FileNotFoundError:
            pass
        former = self._map
        self._identity, self._map = attach(self._path)
        former.close()
        return True

    def close(self) -> None:
        self._map.close()


def attach(path: Path) -> tuple[tuple[int, int], mmap.mmap]:
    descriptor = open_private(path)
    try:
        status = os.fstat(descriptor)
        if status.st_size < SIZE:
            # Written, not truncated to length: a hole in the file would kill its writers when the disk is full.
            os.pwrite(descriptor, os.urandom(SIZE), 0)
        return (status.st_dev, status.st_ino), mmap.mmap(descriptor, SIZE)
    finally:
        os.close(descriptor)
