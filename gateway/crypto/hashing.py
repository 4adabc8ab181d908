"""Passwords against hashes: slow on purpose, beside the event loop, and never more at once than planned.

Hashing runs in a few threads that the system runs when nothing else wants to (SCHED_IDLE), so that proxied
requests on the same core go first; the hash functions let go of the interpreter while they work. Clients take turns at
them (throttle.shares): a client that floods the queue waits behind itself. Beyond a bounded queue the answer is "busy",
because a sign-in that waits for a minute is no use, and a thousand waiting ones help an attacker.

Where the kernel preempts lazily (Linux 6.13 and later), a thread that is woken from another core interrupts even an
idle one only at the next interrupt of its own core, which may be milliseconds away. While a hash is computed, the event
loop therefore sets a timer for every millisecond.

Idle threads get nothing while others keep their core full. If one has not finished a hash in time, a steady thread,
which has its small share whatever else goes on, computes this one and all others for a few seconds. Each is computed
by one thread only: a core that is full has nothing to give away.

Every email costs the same, known or not, whatever kind of hash is stored (crypto/constant_work.py); and both
spellings of a password are compared with nothing, too, where there is nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import unicodedata
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar, TypeVarTuple

from gateway.crypto import hashes
from gateway.crypto.constant_work import ConstantWork
from gateway.model.secret import Secret
from gateway.throttle.shares import Shares
from gateway.throttle.turns import Tell, Turns, tell_nobody

MAX_PASSWORD_BYTES = 4_096  # beyond this nobody types; refused without work
PATIENCE_SECONDS = 3.0
TIMER_SECONDS = 0.001
STEADY_SECONDS = 5.0  # before the idle threads are tried again
SMALL_SHARE = 5  # a nice value: about a quarter of a core that one other thread wants, too

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"  # not checked: too many are waiting


class Hasher:
    """`method` is Werkzeug's, like "pbkdf2:sha256:1000000"; `queue` bounds how many may wait.

    `patience` is in seconds: so long a hash may take in an idle thread. `refused` is told of each client
    that gets no turn, and whether it has others. Clients are those of `client_of`; "" is this machine's shell.
    """

    def __init__(
        self,
        *,
        method: str,
        threads: int,
        queue: int,
        patience: float = PATIENCE_SECONDS,
        refused: Tell = tell_nobody,
    ) -> None:
        self._method = method
        self._turns = Turns(Shares(threads, queue, reserve=0), refused)
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self._steady_until = 0.0  # the loop's time; until then the idle threads get nowhere
        self._work = ConstantWork(hashes.pbkdf2_parameters(method)[1])
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="hash", initializer=step_back)
        self._steady_thread = ThreadPoolExecutor(1, thread_name_prefix="hash-steady", initializer=take_small_share)

    async def verify(self, password: Secret[str], stored: Secret[str] | None, client: str = "") -> Verdict:
        """Compare, in the same time whether or not there is anything to compare with."""
        is_right = await self._run(client, self._verify, password, stored)
        if is_right is None:
            return Verdict.BUSY
        return Verdict.RIGHT if is_right else Verdict.WRONG

    async def hash(self, password: Secret[str], client: str = "") -> Secret[str] | None:
        """Return a new hash of the configured method, or None if too many are waiting."""
        hashed = await self._run(client, self.hash_now, password)
        return None if hashed is None else Secret(hashed)

    def is_full_for(self, client: str) -> bool:
        """Whether there is no turn for this client now: then nothing need be read or written for it before."""
        return self._turns.would_refuse(client)

    async def expect(self, methods: Collection[str]) -> None:
        """Take what a comparison costs from the methods of all stored hashes. If too many wait, it has time."""
        await self._run("", self._work.expect, methods)

    async def _run(self, client: str, work: Callable[[*Given], Result], *given: *Given) -> Result | None:
        """Work in one of the threads when it is this client's turn; None if there is none to be had."""
        async with self._turns.turn(client) as is_ours:
            if not is_ours:
                return None
            return await self._compute(work, *given)

    async def _compute(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        """Return what an idle thread makes of it; or the steady one, while the idle ones get nowhere."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._steady_until:
            if self._timer is None:
                self._set_timer()
            idle = loop.run_in_executor(self._threads, work, *given)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(idle, self._patience)
            self._steady_until = loop.time() + STEADY_SECONDS
        return await loop.run_in_executor(self._steady_thread, work, *given)

    def _set_timer(self) -> None:
        """Interrupt this core soon, and again as long as hashes are computed."""
        is_needed = not self._turns.is_idle
        self._timer = asyncio.get_running_loop().call_later(TIMER_SECONDS, self._set_timer) if is_needed else None

    def hash_now(self, password: Secret[str]) -> str:
        return hashes.make(self._method, unicodedata.normalize("NFC", password.reveal()))

    def needs_renewal(self, stored: Secret[str]) -> bool:
        """Whether a hash is of another method, or other cost, than new ones are."""
        return not stored.reveal().startswith(f"{self._method}$")

    def close(self) -> None:
        for threads in (self._threads, self._steady_thread):
            threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: Secret[str], stored: Secret[str] | None) -> bool:
        if len(password.reveal().encode("utf-8", "replace")) > MAX_PASSWORD_BYTES:
            password, stored = Secret(""), None
        # OtiumWork hashed what was typed; we hash its NFC form. Where they differ, both are compared, in any case.
        spellings = {password.reveal(), unicodedata.normalize("NFC", password.reveal())}
        compared = [self._work.compare(stored.reveal() if stored else None, spelling) for spelling in spellings]
        return any(compared)


def step_back() -> None:
    """Let everything else on this core go first. On Linux this belongs to the thread.

    The lowest nice value is not enough since Linux 6.6: there a running thread may finish its slice of some
    milliseconds, and every request that comes meanwhile waits for it (measured: p99 four times as long). An idle
    thread is preempted first.
    """
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def take_small_share() -> None:
    """Let others on this core go first, but not for ever. On Linux this belongs to the thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SMALL_SHARE)
