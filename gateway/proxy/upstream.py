"""The connections to one upstream: opened when needed, kept while fresh, never used again once in doubt.

A connection is put back only after an answer whose end is certain, with nothing behind it and the whole request
taken. It is kept for less time than the upstream keeps it, and a request that must not be repeated always gets
a connection of its own, so that a POST never meets one that the upstream is just closing.

An exchange holds one of the upstream's slots (throttle.shares) from here until its answer is whole or its connection is
lost, retries included. Clients share the slots, so one that holds them for long (a slow reader, an event stream, a body
that trickles) leaves some for the others.
"""

from __future__ import annotations

import asyncio

from gateway.observe.logs import get_logger
from gateway.proxy.connection import Learn, Patience, UpstreamConnection
from gateway.proxy.dial import Dial
from gateway.proxy.exchange import Exchange
from gateway.proxy.response import AnswerReader
from gateway.throttle.shares import Queued, Refused, Shares
from gateway.throttle.turns import Tell
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import IDEMPOTENT

log = get_logger("proxy")


class Upstream:
    """All connections of this worker to one upstream, and the exchanges that wait for one. Logs call it `name`.

    At most `limit` exchanges are under way, and as many wait; `refused` is told whose are refused, and `learn` of each
    answer that sets cookies: the request, and the lines of the answer.
    """

    def __init__(
        self,
        name: str,
        dial: Dial,
        reader: AnswerReader,
        patience: Patience,
        limit: int,
        deadlines: Deadlines,
        refused: Tell,
        learn: Learn | None = None,
    ) -> None:
        self._name = name
        self.reader = reader
        self.patience = patience
        self.deadlines = deadlines
        self.learn = learn
        self._dial = dial
        self._limit = limit
        self._refused = refused
        self._slots = Shares[Exchange](limit, limit)
        self._open = 0
        self._idle: list[UpstreamConnection] = []
        self._dialling: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> tuple[int, int, int]:
        """Return how many connections are open, how many of these unused, and how many exchanges wait for one."""
        return self._open, len(self._idle), self._slots.waiting

    def send(self, exchange: Exchange) -> None:
        """Carry the exchange as soon as its client may have a slot."""
        if self._slots.take(exchange.party):
            self._start(exchange)
            return
        match self._slots.queue(exchange.party, exchange):
            case Refused(is_own):
                self._refuse(exchange, is_own=is_own)
            case Queued(dislodged):
                asyncio.get_running_loop().call_later(self.patience.connect, self._give_up, exchange)
                if dislodged is not None:
                    self._refuse(dislodged[1], is_own=True)

    def connect(self, exchange: Exchange) -> None:
        """Carry an exchange, which has its slot, on a new connection."""
        if self._open >= self._limit and self._idle:
            self._idle.pop().close()
        self._open += 1
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def free(self, exchange: Exchange) -> None:
        """Take the exchange's slot back. Whoever's turn it is has it at once."""
        for following in self._slots.release(exchange.party):
            self._start(following)

    def keep(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        """Put a connection back, and take the slot of what it carried."""
        connection.rest(self.deadlines.now + self.patience.keepalive)
        self._idle.append(connection)
        self.free(exchange)

    def forget(self, connection: UpstreamConnection) -> None:
        self.deadlines.forget(connection)
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    def withdraw(self, exchange: Exchange) -> None:
        """The exchange's client is gone; it need not wait any longer."""
        self._slots.withdraw(exchange.party, exchange)

    def close(self) -> None:
        """End the connections that carry nothing."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _start(self, exchange: Exchange) -> None:
        """Carry the exchange on the connection used last, or on a new one."""
        if exchange.inbound.method in IDEMPOTENT:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable:
                    connection.carry(exchange)
                    return
        self.connect(exchange)

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
            self.free(exchange)
            exchange.fail(Failure.UPSTREAM_AWAY)
            return
        if connection.is_usable and exchange.is_over:
            self.keep(connection, exchange)
        elif connection.is_usable:
            connection.carry(exchange)
        else:
            self.free(exchange)
            log.warning(
                "upstream_closed",
                upstream=self._name,
                reason="it closed the connection before anything was sent",
                request_id=exchange.inbound.request_id,
            )
            exchange.fail(Failure.UPSTREAM_BROKEN)

    def _give_up(self, exchange: Exchange) -> None:
        """It has waited for as long as a connection may take."""
        if self._slots.withdraw(exchange.party, exchange):
            self._refuse(exchange, is_own=self._slots.has(exchange.party))

    def _refuse(self, exchange: Exchange, *, is_own: bool) -> None:
        self._refused(exchange.party, is_own)
        exchange.fail(Failure.UPSTREAM_BUSY)
