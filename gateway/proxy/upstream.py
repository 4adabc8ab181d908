"""The connections to one upstream: opened when needed, kept while fresh, never used again once in doubt.

A connection is put back only after an answer whose end is certain, with nothing behind it and the whole request
taken. It is kept for less time than the upstream keeps it, and a request that must not be repeated always gets
a connection of its own, so that a POST never meets one that the upstream is just closing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from gateway.deadlines import NEVER, Deadlines
from gateway.failures import Failure
from gateway.http1 import HEAD_END, BadBody, Body, ChunkedBody, LengthBody, UntilClose
from gateway.logs import get_logger
from gateway.proxy import response
from gateway.proxy.exchange import IDEMPOTENT, Exchange
from gateway.proxy.response import UNTIL_CLOSE, Answer, AnswerReader

log = get_logger("proxy")

MAX_HEAD = 65_536  # bytes of an answer's head
WRITE_HIGH = 262_144  # bytes waiting to be written before the other side is slowed down

Dial = Callable[[Callable[[], "UpstreamConnection"]], Awaitable["UpstreamConnection"]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for the head of an answer, without a byte of its body, and kept unused."""

    connect: float
    head: float
    idle: float
    keepalive: float


class UpstreamConnection(asyncio.Protocol):
    """One connection; it carries one exchange at a time."""

    __slots__ = (
        "_body",
        "_buffer",
        "_exchange",
        "_is_paused",
        "_is_reusable",
        "_patience",
        "_transport",
        "_upstream",
        "_was_used",
        "deadline",
        "write",
    )

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._buffer = b""
        self._body: Body | None = None
        self._patience = upstream.patience.idle
        self._is_paused = False
        self._is_reusable = False
        self._was_used = False
        self.deadline = NEVER
        self.write: Callable[[bytes], None]

    # What the exchange and the pool ask for.

    def carry(self, exchange: Exchange) -> None:
        self._exchange = exchange
        upstream = self._upstream
        is_our_turn = not exchange.is_request_complete
        self.deadline = NEVER if is_our_turn else upstream.deadlines.now + upstream.patience.head
        exchange.begin(self)

    def expect_answer(self) -> None:
        """The whole request was written: from now on the upstream is the one who keeps us waiting."""
        if self._body is None:
            self.deadline = self._upstream.deadlines.now + self._upstream.patience.head

    def pause(self) -> None:
        """Stop reading: the client takes the answer more slowly than it comes."""
        self.deadline = NEVER
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        self._wait_for_more()
        self._read_on()

    def rest(self, until: float) -> None:
        """Wait unused for the next exchange, at most `until` a time of the deadlines' clock."""
        self._was_used = True
        self.deadline = until
        if self._is_paused:
            self._read_on()

    def close(self) -> None:
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self.write = self._transport.write
        set_no_delay(self._transport)
        self._upstream.deadlines.watch(self)

    def data_received(self, received: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nobody asked: bytes behind an answer, or a server that speaks first. Both are poison.
            self.close()
        elif exchange.is_tunnel:
            exchange.pass_back(received)
        elif self._body is not None:
            self._wait_for_more()
            self._take_body(exchange, self._body, received)
        else:
            self._buffer = self._buffer + received if self._buffer else received
            self._take_head(exchange)

    def pause_writing(self) -> None:
        """The upstream takes the request's body more slowly than it comes; it may not stop taking it."""
        self.deadline = self._upstream.deadlines.now + self._upstream.patience.idle
        if self._exchange is not None:
            self._exchange.client.pause()

    def resume_writing(self) -> None:
        self.deadline = NEVER
        exchange = self._exchange
        if exchange is None:
            return
        if self._body is not None:
            if not self._is_paused:
                self._wait_for_more()
        elif exchange.is_request_complete and not exchange.is_tunnel:
            self.expect_answer()
        exchange.client.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self._upstream.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.is_over:
            return
        exchange.connection = None
        if exchange.is_tunnel:
            exchange.end_tunnel()
        elif isinstance(self._body, UntilClose) and error is None:
            exchange.answer_body(b"", True)
        elif self._was_used and not self._buffer and exchange.may_retry():
            exchange.retry()
        else:
            exchange.fail(Failure.UPSTREAM_BROKEN)

    def expire(self) -> None:
        exchange = self._exchange
        self.close()
        if exchange is not None:
            exchange.fail(Failure.UPSTREAM_SLOW)

    # Reading an answer.

    def _take_head(self, exchange: Exchange) -> None:
        """Read heads until the final one. Interim answers end here: not every client can tell them apart."""
        while True:
            head, is_whole, rest = self._buffer.partition(HEAD_END)
            if not is_whole:
                if len(head) > MAX_HEAD:
                    self._break_off(exchange, "the head is too long")
                return
            known = self._upstream.reader.read(head, exchange.inbound.method)
            if known is None:
                self._break_off(exchange, "the head is malformed")
                return
            answer, lines = known
            self._buffer = b""
            if answer.own_cookies:
                log.warning("upstream_set_our_cookie", request_id=exchange.inbound.request_id)
            if answer.status >= 200:
                self._begin_body(exchange, answer, lines, rest)
                return
            if answer.status == 101:
                self._switch(exchange, answer, lines, rest)
                return
            self._buffer = rest
            self._was_used = False  # it has begun to answer: not a connection that was closing

    def _switch(self, exchange: Exchange, answer: Answer, lines: list[bytes], rest: bytes) -> None:
        if not (answer.is_websocket and exchange.inbound.is_websocket):
            self._break_off(exchange, "it switched to a protocol that nobody asked for")
            return
        self._patience = self.deadline = NEVER
        exchange.open_tunnel(answer, lines, rest)

    def _begin_body(self, exchange: Exchange, answer: Answer, lines: list[bytes], received: bytes) -> None:
        self._is_reusable = answer.is_reusable and answer.length != UNTIL_CLOSE
        if answer.length == len(received):  # the usual answer comes in one piece
            self._settle(exchange, b"")
            exchange.answer(answer, lines, received, True)
            return
        body = body_of(answer)
        self._patience = NEVER if answer.is_stream else self._upstream.patience.idle
        try:
            payload, rest = body.feed(received)
        except BadBody as error:
            self._break_off(exchange, str(error))
            return
        if rest is None:
            self._body = body
            self._wait_for_more()
            exchange.answer(answer, lines, payload, False)
        else:
            self._settle(exchange, rest)
            exchange.answer(answer, lines, payload, True)

    def _take_body(self, exchange: Exchange, body: Body, received: bytes) -> None:
        try:
            payload, rest = body.feed(received)
        except BadBody as error:
            self._break_off(exchange, str(error))
            return
        if rest is not None:
            self._settle(exchange, rest)
        exchange.answer_body(payload, rest is not None)

    def _read_on(self) -> None:
        if self._is_paused and self.is_usable and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def _wait_for_more(self) -> None:
        self.deadline = self._upstream.deadlines.now + self._patience

    def _settle(self, exchange: Exchange, rest: bytes) -> None:
        """The answer is whole. Let go of the exchange before it is told, since it may bring the next one at once."""
        self._exchange = self._body = None
        exchange.connection = None
        if self._is_reusable and not rest and exchange.is_request_complete:
            self._upstream.keep(self)
        else:
            self.close()

    def _break_off(self, exchange: Exchange, reason: str) -> None:
        log.warning("upstream_answer_refused", reason=reason, request_id=exchange.inbound.request_id)
        self.close()
        exchange.connection = None
        exchange.fail(Failure.UPSTREAM_BROKEN)


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


def body_of(answer: Answer) -> Body:
    match answer.length:
        case response.CHUNKED:
            return ChunkedBody()
        case response.UNTIL_CLOSE:
            return UntilClose()
        case length:
            return LengthBody(length)


def set_no_delay(transport: asyncio.Transport) -> None:
    """Small writes leave at once; without this an answer can wait 40 ms for an acknowledgement."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def dial_tcp(host: str, port: int) -> Dial:
    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        _, connection = await asyncio.get_running_loop().create_connection(factory, host, port)
        return connection

    return dial


def dial_unix(path: str) -> Dial:
    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        _, connection = await asyncio.get_running_loop().create_unix_connection(factory, path)
        return connection

    return dial


def dial_inside(serve: Callable[[], asyncio.BaseProtocol]) -> Dial:
    """Connections to a server in this very process, over socket pairs; `serve` makes its protocol for each."""

    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(serve, theirs)
        _, connection = await loop.create_connection(factory, sock=ours)
        return connection

    return dial
