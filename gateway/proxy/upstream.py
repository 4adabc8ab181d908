"""The connections to one upstream: opened when needed, kept while fresh, never used again once in doubt.

A connection is put back only after an answer whose end is certain, with nothing behind it and the whole request
taken. It is kept for less time than the upstream keeps it, and a request that must not be repeated always gets
a connection of its own, so that a POST never meets one that the upstream is just closing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from gateway.deadlines import NEVER, Deadlines
from gateway.failures import Failure
from gateway.http1 import IDEMPOTENT
from gateway.logs import get_logger
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.dial import Dial
from gateway.proxy.exchange import Exchange
from gateway.proxy.response import AnswerReader

log = get_logger("proxy")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for the head of an answer, without a byte of its body, and kept unused."""

    connect: float
    head: float
    idle: float
    keepalive: float


class Upstream:
    """All connections of this worker to one upstream, and the exchanges that wait for one. Logs call it `name`."""

    def __init__(
        self, name: str, dial: Dial, reader: AnswerReader, patience: Patience, limit: int, deadlines: Deadlines
    ) -> None:
        self._name = name
        self.reader = reader
        self.patience = patience
        self.deadlines = deadlines
        self._dial = dial
        self._limit = limit
        self._open = 0
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[Exchange] = deque()
        self._dialling: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> tuple[int, int, int]:
        """Return how many connections are open, how many of these unused, and how many exchanges wait for one."""
        return self._open, len(self._idle), len(self._waiting)

    def send(self, exchange: Exchange) -> None:
        """Carry the exchange on the connection used last, or on a new one."""
        if exchange.inbound.method in IDEMPOTENT:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable:
                    connection.carry(exchange)
                    return
        self.connect(exchange)

    def connect(self, exchange: Exchange) -> None:
        """Carry the exchange on a new connection, as soon as there may be one more."""
        if self._open < self._limit:
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connect(exchange))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        elif len(self._waiting) < self._limit:
            self._waiting.append(exchange)
            asyncio.get_running_loop().call_later(self.patience.connect, self._give_up, exchange)
            if self._idle:
                self._idle.pop().close()
        else:
            exchange.fail(Failure.UPSTREAM_BUSY)

    def keep(self, connection: UpstreamConnection) -> None:
        """Put a connection back. Whoever waits for one has it at once."""
        while self._waiting:
            if self._waiting[0].inbound.method not in IDEMPOTENT:
                connection.close()
                return
            exchange = self._waiting.popleft()
            if not exchange.is_over:
                connection.rest(NEVER)
                connection.carry(exchange)
                return
        connection.rest(self.deadlines.now + self.patience.keepalive)
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self.deadlines.forget(connection)
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_waiting()

    def withdraw(self, exchange: Exchange) -> None:
        """The exchange's client is gone; it need not wait any longer."""
        if self._waiting and exchange in self._waiting:
            self._waiting.remove(exchange)

    def close(self) -> None:
        """End the connections that carry nothing."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _connect(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(self.patience.connect):
                connection = await self._dial(lambda: UpstreamConnection(self))
        except (OSError, TimeoutError) as error:
            self._open -= 1
            log.warning(
                "upstream_unreachable",
                upstream=self._name,
                reason=str(error) or "timed out",
                request_id=exchange.inbound.request_id,
            )
            exchange.fail(Failure.UPSTREAM_AWAY)
            self._serve_waiting()
            return
        if exchange.is_over:
            self.keep(connection)
        elif connection.is_usable:
            connection.carry(exchange)
        else:
            exchange.fail(Failure.UPSTREAM_BROKEN)

    def _serve_waiting(self) -> None:
        while self._waiting and self._open < self._limit:
            exchange = self._waiting.popleft()
            if not exchange.is_over:
                self.connect(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        if exchange in self._waiting:
            self._waiting.remove(exchange)
            exchange.fail(Failure.UPSTREAM_BUSY)
