"""Shares for coroutines: wait for a turn, work, and release the share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gateway.throttle.shares import Queued, Refused, Shares

Tell = Callable[[str, bool], None]  # a client, and whether it holds or waits for others already
Turn = asyncio.Future[bool]  # resolves to True when its turn comes, to False if it lost its place


def tell_nobody(client: str, is_own: bool) -> None:
    """Ignore a refusal, where refusals are not counted, as in a shell."""


class Turns:
    """Turns of one resource. `refused` is called for each refused client, with whether it holds or waits for others."""

    def __init__(self, shares: Shares[Turn], refused: Tell) -> None:
        self._shares = shares
        self._refused = refused

    def would_refuse(self, client: str) -> bool:
        """Whether `turn` would be refused now; if so, the refusal is counted."""
        if not self._shares.would_refuse(client):
            return False
        self._refused(client, self._shares.has(client))
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no client works or waits."""
        return not self._shares.in_use and not self._shares.waiting

    @property
    def waiting(self) -> int:
        return self._shares.waiting

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[bool]:
        """Wait for this client's turn; yields False if it is refused."""
        if not await self._wait(client):
            yield False
            return
        try:
            yield True
        finally:
            self._release(client)

    async def _wait(self, client: str) -> bool:
        mine: Turn = asyncio.get_running_loop().create_future()
        match self._shares.ask(client, mine):
            case Refused(is_own):
                self._refused(client, is_own)
                return False
            case Queued(dislodged):
                if dislodged is not None:
                    self._dislodge(*dislodged)
                return await self._wait_for(mine, client)
            case _:
                return True

    async def _wait_for(self, mine: Turn, client: str) -> bool:
        try:
            return await asyncio.shield(mine)
        except asyncio.CancelledError:
            if mine.done() and mine.result():  # the turn came at the moment of the cancellation
                self._release(client)
            else:
                self._shares.withdraw(client, mine)
            raise

    def _release(self, client: str) -> None:
        for turn in self._shares.release(client):
            turn.set_result(True)

    def _dislodge(self, client: str, turn: Turn) -> None:
        self._refused(client, True)
        turn.set_result(False)
