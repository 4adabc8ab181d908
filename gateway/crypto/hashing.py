"""Password hashing in a bounded thread pool: off the event loop, at low priority, with fair turns for clients.

The threads run under SCHED_IDLE, only when nothing else wants the core, so that proxied requests on the same core go
first; the hash functions release the interpreter lock while they work. Clients take turns (throttle.shares): a client
that floods the queue waits behind itself. Beyond a bounded queue the answer is "busy": a sign-in that waits for a
minute is useless, and a thousand waiting ones help an attacker.

On a core that requests keep full, an idle thread would get no time. While hashes are computed, the event loop therefore
looks at the threads' CPU clocks every millisecond, and leaves them the core for what they lack of their share
(throttle/core_share.py).

The same timer helps where the kernel preempts lazily (Linux 6.13 and later): there a thread that is woken from another
core interrupts even an idle one only at the next interrupt of its own core, which may be milliseconds away.

If other processes keep the core full, sleeping doesn't help. A hash that takes far too long is then computed anew by a
steady thread, which has a share of the core by its priority, and so are all others for a few seconds.

Every email costs the same, known or not, for any kind of stored hash (crypto/constant_work.py). Both spellings of a
password are compared even if there is no stored hash.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar, TypeVarTuple

from gateway.crypto import hashes
from gateway.crypto.constant_work import ConstantWork
from gateway.model.secret import Secret
from gateway.throttle.core_share import CoreShare
from gateway.throttle.shares import Shares
from gateway.throttle.turns import Tell, Turns, tell_nobody

MAX_PASSWORD_BYTES = 4_096  # longer than any typed password; refused without work
TIMER_SECONDS = 0.001
SHARE = 0.25  # of a core: what the threads get at least, all together
PATIENCE = 5  # an idle thread may take so many times a hash's own time; with its share it takes four times
LEAST_PATIENCE = 1.0  # seconds
STEADY_SECONDS = 5.0  # before the idle threads are tried again
LEAST_WAIT = 5  # seconds; the minimum of Retry-After
SMALL_SHARE = 5  # a nice value: about a quarter of a core that one other thread also wants

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"  # not checked, because too many are waiting


class Hasher:
    """Hashes and verifies passwords. `method` is Werkzeug's, like "pbkdf2:sha256:1000000"; `queue` bounds how many may
    wait.

    `least_patience` is the least time in seconds that a hash may take in an idle thread. `refused` is called for each
    refused client, with whether it has others. Clients are those of `client_of`; "" is this machine's shell.
    """

    def __init__(
        self,
        *,
        method: str,
        threads: int,
        queue: int,
        least_patience: float = LEAST_PATIENCE,
        refused: Tell = tell_nobody,
    ) -> None:
        self._method = method
        self._turns = Turns(Shares(threads, queue, reserve=0), refused)
        self._least_patience = least_patience
        self._hash_seconds = 0.0  # of CPU, for the dearest so far
        self._turn_seconds = 0.0  # for the last one
        self._thread_count = threads
        self._clocks: list[int] = []  # of the threads' CPU time
        self._timer: asyncio.TimerHandle | None = None
        self._steady_until = 0.0  # the loop's time; until then the steady thread does the work
        self._work = ConstantWork(hashes.pbkdf2_parameters(method)[1])
        self._threads = ThreadPoolExecutor(threads, "hash", self._begin_thread, (step_back,))
        self._steady_thread = ThreadPoolExecutor(1, "hash-steady", self._begin_thread, (take_small_share,))

    async def verify(self, password: Secret[str], stored: Secret[str] | None, client: str = "") -> Verdict:
        """Compare a password with a stored hash; takes the same time if there is none."""
        is_right = await self._run(client, self._verify, password, stored)
        if is_right is None:
            return Verdict.BUSY
        return Verdict.RIGHT if is_right else Verdict.WRONG

    async def hash(self, password: Secret[str], client: str = "") -> Secret[str] | None:
        """Return a new hash of the configured method, or None if too many are waiting."""
        hashed = await self._run(client, self.hash_now, password)
        return None if hashed is None else Secret(hashed)

    def is_full_for(self, client: str) -> bool:
        """Whether this client would be refused now, so that the caller can skip reading and writing for it."""
        return self._turns.would_refuse(client)

    @property
    def busy_seconds(self) -> int:
        """The expected wait of a new request in seconds, from the queue and the time of the last hash."""
        return max(LEAST_WAIT, math.ceil(self._turns.waiting * self._turn_seconds / self._thread_count))

    async def expect(self, methods: Collection[str]) -> None:
        """Set the cost of a comparison from the methods of all stored hashes. Does nothing if too many are waiting."""
        await self._run("", self._work.expect, methods)

    async def _run(self, client: str, work: Callable[[*Given], Result], *given: *Given) -> Result | None:
        """Work in one of the threads when it is this client's turn; None if the client is refused."""
        async with self._turns.turn(client) as is_ours:
            if not is_ours:
                return None
            began = time.monotonic()
            try:
                return await self._compute(work, *given)
            finally:
                self._turn_seconds = time.monotonic() - began

    async def _compute(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        """Return the result from an idle thread, or from the steady one while the idle ones make no progress."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._watch(CoreShare(SHARE, loop.time(), self._cpu_seconds()))
        if loop.time() >= self._steady_until:
            idle = loop.run_in_executor(self._threads, self._measured, work, *given)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(idle, max(self._least_patience, PATIENCE * self._hash_seconds))
            self._steady_until = loop.time() + STEADY_SECONDS
        return await loop.run_in_executor(self._steady_thread, work, *given)

    def _measured(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        began = time.thread_time()
        try:
            return work(*given)
        finally:
            self._hash_seconds = max(self._hash_seconds, time.thread_time() - began)

    def _watch(self, share: CoreShare) -> None:
        """Leave the core to the threads for what they lack, and look again in a millisecond, while they have work."""
        if self._turns.is_idle:
            self._timer = None
            return
        loop = asyncio.get_running_loop()
        if lacking := share.pause(loop.time(), self._cpu_seconds()):
            time.sleep(lacking)
        self._timer = loop.call_later(TIMER_SECONDS, self._watch, share)

    def _cpu_seconds(self) -> float:
        return sum(map(time.clock_gettime, self._clocks))

    def _begin_thread(self, take_priority: Callable[[], None]) -> None:
        take_priority()
        self._clocks.append(time.pthread_getcpuclockid(threading.get_ident()))

    def hash_now(self, password: Secret[str]) -> str:
        return hashes.make(self._method, unicodedata.normalize("NFC", password.reveal()))

    def needs_renewal(self, stored: Secret[str]) -> bool:
        """Whether a hash has another method or cost than new ones."""
        return not stored.reveal().startswith(f"{self._method}$")

    def close(self) -> None:
        for threads in (self._threads, self._steady_thread):
            threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: Secret[str], stored: Secret[str] | None) -> bool:
        if len(password.reveal().encode("utf-8", "replace")) > MAX_PASSWORD_BYTES:
            password, stored = Secret(""), None
        # OtiumWork hashed the text as typed; we hash its NFC form. Where they differ, both are always compared.
        spellings = {password.reveal(), unicodedata.normalize("NFC", password.reveal())}
        compared = [self._work.compare(stored.reveal() if stored else None, spelling) for spelling in spellings]
        return any(compared)


def step_back() -> None:
    """Give all other work on this core priority (SCHED_IDLE). On Linux this applies to the calling thread only.

    The lowest nice value has not been enough since Linux 6.6: a running thread may finish its slice of some
    milliseconds, and every request that arrives meanwhile waits for it (measured: p99 four times as long). An idle
    thread is preempted at once.
    """
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def take_small_share() -> None:
    """Give other work on this core priority, but keep a small share. On Linux this applies to the calling thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SMALL_SHARE)
