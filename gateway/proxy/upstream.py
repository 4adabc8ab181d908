"""The pool of connections to one upstream.

A connection is reused only after a response whose end is certain, with nothing after it and the whole request written.
It is kept for less time than the upstream keeps it. Requests that must not be repeated always get a new connection, so
that no POST is sent on one that the upstream is closing.

An exchange holds one of the upstream's slots (throttle.shares) until its response is complete or its connection is
lost, including retries. Slots are shared fairly among clients, so that one with slow requests can't occupy all of them.
"""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.observe.logs import get_logger
from gateway.proxy.connection import Learn, Patience, UpstreamConnection
from gateway.proxy.dial import Dial, connect
from gateway.proxy.exchange import Exchange
from gateway.proxy.response import AnswerReader
from gateway.throttle.shares import Queued, Refused, Shares
from gateway.throttle.turns import Tell
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import IDEMPOTENT

log = get_logger("proxy")


class Upstream:
    """All connections of this worker to one upstream, and the queue of exchanges. `name` is used in logs.

    At most `limit` exchanges run, and as many wait. `refused` is called for each one that is refused, and `learn` for
    each response that sets cookies, with the request and the lines of the response.
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
        """Return the number of open connections, of idle ones among them, and of waiting exchanges."""
        return self._open, len(self._idle), self._slots.waiting

    def send(self, exchange: Exchange) -> None:
        """Carry the exchange as soon as its client gets a slot."""
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
        """Carry an exchange that holds a slot on a new connection."""
        if self._open >= self._limit and self._idle:
            self._idle.pop().close()
        self._open += 1
        dialling = connect(
            self._dial, lambda: UpstreamConnection(self), self.patience.connect, partial(self._connected, exchange)
        )
        task = asyncio.get_running_loop().create_task(dialling)
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def free(self, exchange: Exchange) -> None:
        """Release the exchange's slot, and start the exchanges that get it."""
        for following in self._slots.release(exchange.party):
            self._start(following)

    def keep(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        """Return a reusable connection to the pool, and release the slot of its exchange."""
        connection.rest(self.deadlines.now + self.patience.keepalive)
        self._idle.append(connection)
        self.free(exchange)

    def forget(self, connection: UpstreamConnection) -> None:
        self.deadlines.forget(connection)
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    def withdraw(self, exchange: Exchange) -> None:
        """Remove an exchange from the queue."""
        self._slots.withdraw(exchange.party, exchange)

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _start(self, exchange: Exchange) -> None:
        """Carry the exchange on the most recently used connection, or on a new one."""
        if exchange.inbound.method in IDEMPOTENT:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable:
                    connection.carry(exchange)
                    return
        self.connect(exchange)

    def _connected(self, exchange: Exchange, connection: UpstreamConnection | str) -> None:
        """Carry the exchange on a new connection, or fail it for the reason why there is none."""
        if isinstance(connection, str):
            self._open -= 1
            log.warning(
                "upstream_unreachable", upstream=self._name, reason=connection, request_id=exchange.inbound.request_id
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
        """Refuse an exchange that has waited as long as a connection may take."""
        if self._slots.withdraw(exchange.party, exchange):
            self._refuse(exchange, is_own=self._slots.has(exchange.party))

    def _refuse(self, exchange: Exchange, *, is_own: bool) -> None:
        self._refused(exchange.party, is_own)
        exchange.fail(Failure.UPSTREAM_BUSY)
