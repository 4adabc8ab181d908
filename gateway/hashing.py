"""Passwords against hashes: slow on purpose, beside the event loop, and never more at once than planned.

Hashing runs in a few threads that the system runs when nothing else wants to (SCHED_IDLE), so that proxied
requests on the same core go first; the hash functions let go of the interpreter while they work. Clients take turns at
them (throttle.shares): whoever floods the queue waits behind themselves. Beyond a bounded queue the answer is "busy",
because a sign-in that waits for a minute helps nobody and a thousand waiting ones help an attacker.

Idle threads get nothing while the event loop keeps their core full. While somebody waits for a hash, it therefore
pauses for a moment every few milliseconds: that is theirs, and a request that comes meanwhile is not late by more than
the moment. Where others keep the core full, that does not help. Once nothing was finished for some seconds, one
more thread works for those who wait, with its small share whatever else goes on.

Every email costs the same, known or not, whatever kind of hash is stored (passwords/constant_work.py); and both
spellings of a password are compared with nothing, too, where there is nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar, TypeVarTuple

from gateway.passwords import hashes
from gateway.passwords.constant_work import ConstantWork
from gateway.secret import Secret
from gateway.throttle.shares import Shares
from gateway.throttle.turns import Tell, Turns, tell_nobody

MAX_PASSWORD_BYTES = 4_096  # beyond this nobody types; refused without work
PAUSE_SECONDS = 0.000_3
BETWEEN_PAUSES_SECONDS = 0.005
PATIENCE_SECONDS = 3.0
SMALL_SHARE = 5  # a nice value: about a quarter of a core that one other thread wants, too

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"  # not checked: too many are waiting


class Hasher:
    """`method` is Werkzeug's, like "pbkdf2:sha256:1000000"; `queue` bounds how many may wait.

    `patience` is in seconds: so long a hash may take before the steady thread is called upon. `refused` is told of each
    client that gets no turn, and whether it has others. Clients are those of `client_of`; "" is this machine's shell.
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
        self._is_stuck = False  # the idle threads got nowhere the last time
        self._pause: asyncio.TimerHandle | None = None
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
            if self._pause is None:
                self._pause = asyncio.get_running_loop().call_later(BETWEEN_PAUSES_SECONDS, self._leave_room)
            return await self._race(work, *given)

    def _leave_room(self) -> None:
        """Let idle threads run for a moment, and again soon, as long as anybody waits."""
        if self._turns.is_idle:
            self._pause = None
            return
        time.sleep(PAUSE_SECONDS)
        self._pause = asyncio.get_running_loop().call_later(BETWEEN_PAUSES_SECONDS, self._leave_room)

    async def _race(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        """Return what an idle thread makes of it; or the steady one, if the idle ones get nowhere."""
        loop = asyncio.get_running_loop()
        idle = loop.run_in_executor(self._threads, work, *given)
        racing, done = {idle}, set[asyncio.Future[Result]]()
        try:
            while not done:
                patience = 0 if self._is_stuck and len(racing) == 1 else self._patience
                done, _ = await asyncio.wait(racing, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done and len(racing) == 1:
                    self._is_stuck = True
                    racing.add(loop.run_in_executor(self._steady_thread, work, *given))
            if idle in done:
                self._is_stuck = False
            return done.pop().result()
        finally:
            for future in racing:
                future.cancel()

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
    thread is preempted at once.
    """
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def take_small_share() -> None:
    """Let others on this core go first, but not for ever. On Linux this belongs to the thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SMALL_SHARE)
