"""Bounds what a provider that is slow or down costs: requests at the same time, and time-outs one after the other.

Each issuer has a gate of its own, so that one provider's trouble is not another's. A few requests go through at once;
further ones wait for as long as a request may take. When a provider can't be reached, it is not asked again for ten
seconds: that costs one time-out, and not one for each person. A failure counts only if nothing was answered since its
request began, so that a single lost packet in a busy hour closes the gate for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.model.clock import Clock
from gateway.sso.oidc.fetching import SECONDS, Fetched
from gateway.sso.oidc.record import Refusal, Refused

MOST_AT_ONCE = 16
PAUSE_SECONDS = 10
DOWN = frozenset((Refusal.NAME_UNKNOWN, Refusal.UNREACHABLE, Refusal.CERTIFICATE, Refusal.TIMED_OUT))

Fetch = Callable[[], Awaitable[Fetched | Refused]]


class Gate:
    """`seconds` is how long a request waits for its turn."""

    def __init__(self, clock: Clock, seconds: float = SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._answers = 0
        self._failure = Refused(Refusal.UNREACHABLE)
        self._closed_until = 0

    async def fetch(self, fetch: Fetch) -> Fetched | Refused:
        """Let a request through, or return why the last one failed."""
        if self._is_closed:
            return self._failure
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            return Refused(Refusal.BUSY)
        try:
            if self._is_closed:
                return self._failure
            before = self._answers
            got = await fetch()
        finally:
            self._slots.release()
        self._note(got, before)
        return got

    @property
    def _is_closed(self) -> bool:
        return self._clock() < self._closed_until

    def _note(self, got: Fetched | Refused, before: int) -> None:
        if not isinstance(got, Refused) or got.reason not in DOWN:
            self._answers += 1
        elif self._answers == before:
            self._failure, self._closed_until = got, self._clock() + PAUSE_SECONDS
