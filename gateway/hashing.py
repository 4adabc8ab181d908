"""Passwords against hashes: slow on purpose, beside the event loop, and never more at once than planned.

Hashing runs in a few threads that the system runs when nothing else wants to (SCHED_IDLE), so that proxied
requests on the same core go first; the hash functions let go of the interpreter while they work. Beyond a bounded
queue the answer is "busy", because a sign-in that waits for a minute helps nobody and a thousand waiting ones help
an attacker.

On a machine that is kept busy, idle threads get next to nothing, and nobody could sign in any more. Who has waited for
some seconds is therefore worked for by one more thread, too, which has its small share whatever else goes on.

An unknown email costs what a known one does: there is always one hash of the configured method computed. Where a
stored hash is of another method, and so cheaper or dearer, the configured one is computed besides, on a
dummy: such an account is slower to answer than an unknown one until its first sign-in, when its hash is renewed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.security import check_password_hash, generate_password_hash

from gateway.logs import get_logger
from gateway.secret import Secret

log = get_logger("hashing")

MAX_PASSWORD_BYTES = 4_096  # beyond this nobody types; refused without work
ARGON2 = "$argon2id$"
KNOWN_PREFIXES = ("pbkdf2:", "scrypt:", ARGON2)
PATIENCE_SECONDS = 3.0
SMALL_SHARE = 10  # a nice value: about a tenth of a core that somebody else wants, too

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"  # not checked: too many are waiting


class Hasher:
    """`method` is Werkzeug's, like "pbkdf2:sha256:1000000"; `queue` bounds how many may wait.

    `patience` is in seconds: after it, who waits gets the steady thread as well.
    """

    def __init__(self, *, method: str, threads: int, queue: int, patience: float = PATIENCE_SECONDS) -> None:
        self._method = method
        self._room = threads + queue
        self._patience = patience
        self._dummy = generate_password_hash("", method)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="hash", initializer=step_back)
        self._steady_thread = ThreadPoolExecutor(1, thread_name_prefix="hash-steady", initializer=take_small_share)

    async def verify(self, password: Secret[str], stored: Secret[str] | None) -> Verdict:
        """Compare, in the same time whether or not there is anything to compare with."""
        is_right = await self._run(self._verify, password, stored)
        if is_right is None:
            return Verdict.BUSY
        return Verdict.RIGHT if is_right else Verdict.WRONG

    async def hash(self, password: Secret[str]) -> Secret[str] | None:
        """Return a new hash of the configured method, or None if too many are waiting."""
        hashed = await self._run(self.hash_now, password)
        return None if hashed is None else Secret(hashed)

    async def _run(self, work: Callable[[*Given], Result], *given: *Given) -> Result | None:
        """Work in one of the threads; None if there is no room in the queue."""
        if self._room <= 0:
            return None
        self._room -= 1
        loop = asyncio.get_running_loop()
        futures = [loop.run_in_executor(self._threads, work, *given)]
        try:
            done, _ = await asyncio.wait(futures, timeout=self._patience)
            if not done:
                futures.append(loop.run_in_executor(self._steady_thread, work, *given))
                done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for future in futures:
                future.cancel()
            self._room += 1

    def hash_now(self, password: Secret[str]) -> str:
        return generate_password_hash(unicodedata.normalize("NFC", password.reveal()), self._method)

    def needs_renewal(self, stored: Secret[str]) -> bool:
        """Whether a hash is of another method, or other cost, than new ones are."""
        return not stored.reveal().startswith(f"{self._method}$")

    def close(self) -> None:
        for threads in (self._threads, self._steady_thread):
            threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: Secret[str], stored: Secret[str] | None) -> bool:
        if len(password.reveal().encode("utf-8", "replace")) > MAX_PASSWORD_BYTES:
            password, stored = Secret(""), None
        if stored is None or self.needs_renewal(stored):
            check_password_hash(self._dummy, password.reveal())
        if stored is None:
            return False
        # OtiumWork hashed what was typed; we hash its NFC form. Both are tried where they differ.
        spellings = {password.reveal(), unicodedata.normalize("NFC", password.reveal())}
        return any(is_match(stored.reveal(), spelling) for spelling in sorted(spellings))


def is_match(stored: str, password: str) -> bool:
    """Compare with a hash of any kind that OtiumWork may hold. A malformed hash matches nothing."""
    try:
        if stored.startswith(ARGON2):
            return PasswordHasher().verify(stored, password)
        return check_password_hash(stored, password)
    except (VerificationError, InvalidHashError):
        return False
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        log.error("stored_hash_is_malformed", reason=type(error).__name__)
        return False


def is_known_hash(text: str) -> bool:
    """Whether `text` looks like a hash that `is_match` can compare with: for imports."""
    is_plain = text.isascii() and text.isprintable() and len(text) < 1_000
    return is_plain and text.startswith(KNOWN_PREFIXES) and text.count("$") >= 2


def step_back() -> None:
    """Let everything else on this core go first. On Linux this belongs to the thread.

    The lowest nice value is not enough since Linux 6.6: there a running thread may finish its slice of some
    milliseconds, and every request that comes meanwhile waits for it (measured: p99 four times as long). An idle
    thread is preempted at once.
    """
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def take_small_share() -> None:
    """Let others on this core go first, but not for ever. On Linux this belongs to the thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SMALL_SHARE)
