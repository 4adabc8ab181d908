"""Tests that measure time run while no other does, however many processes run tests.

Each test holds a lock (flock(2)) on `room` while it runs: a shared one, or, where it is marked `alone`, an exclusive
one. It takes that while it holds `gate` in the same way, so that nobody new starts while one waits to be alone.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@functools.cache
def folder() -> Path:
    """Return the folder of this run's locks, which ends with this process."""
    made = tempfile.TemporaryDirectory(prefix="gateway-turns-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name)


@contextlib.contextmanager
def turn(at: Path, *, alone: bool) -> Iterator[None]:
    with holding(at / "gate", alone) as gate, holding(at / "room", alone):
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextlib.contextmanager
def holding(path: Path, alone: bool) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield file
    finally:
        os.close(file)
