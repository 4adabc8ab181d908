"""One connection to an upstream, which carries one exchange at a time and validates the response.

    carry -> request written -> heads read up to the final one -> body relayed -> settled

The connection is settled, and may be reused, only if the end of the response is certain, nothing follows it, and the
whole request was written. Otherwise it is closed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.model.inbound import Inbound
from gateway.observe.logs import get_logger
from gateway.proxy import response
from gateway.proxy.exchange import Exchange
from gateway.proxy.response import UNTIL_CLOSE, Answer, AnswerReader
from gateway.wire.channel import READ_BYTES, Channel
from gateway.wire.deadlines import NEVER, Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import HEAD_END, BadBody, Body, ChunkedBody, LengthBody, UntilClose

log = get_logger("proxy")

MAX_HEAD = 65_536  # bytes of a response head
STATUS_START = b"HTTP/1."
LONE_LF = re.compile(rb"(?<!\r)\n")

Learn = Callable[[Inbound, list[bytes]], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts in seconds: for connecting, for a response head, between bytes of a body, and of an idle connection."""

    connect: float
    head: float
    idle: float
    keepalive: float


class Owner(Protocol):
    """The interface of the pool, as used by its connections."""

    @property
    def reader(self) -> AnswerReader: ...

    @property
    def patience(self) -> Patience: ...

    @property
    def deadlines(self) -> Deadlines: ...

    @property
    def learn(self) -> Learn | None:
        """Called with the request and the lines of each response that sets cookies."""

    def keep(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        """Return a reusable connection to the pool, and release the slot of its exchange."""

    def free(self, exchange: Exchange) -> None:
        """Release the slot of an exchange whose connection is not reusable."""

    def forget(self, connection: UpstreamConnection) -> None:
        """Remove a lost connection."""


class UpstreamConnection(Channel):
    """A connection to the upstream, which carries one exchange at a time."""

    __slots__ = (
        "_body",
        "_buffer",
        "_exchange",
        "_is_reusable",
        "_patience",
        "_upstream",
        "_was_used",
    )

    def __init__(self, upstream: Owner) -> None:
        super().__init__()
        self._upstream = upstream
        self._exchange: Exchange | None = None
        self._buffer = b""
        self._body: Body | None = None
        self._patience = upstream.patience.idle
        self._is_reusable = False
        self._was_used = False

    # Called by the exchange and the pool.

    def carry(self, exchange: Exchange) -> None:
        self._exchange = exchange
        upstream = self._upstream
        is_our_turn = not exchange.is_request_complete
        self.deadline = NEVER if is_our_turn else upstream.deadlines.now + upstream.patience.head
        exchange.begin(self)

    def expect_answer(self) -> None:
        """Start the timeout for the response head; the whole request has been written."""
        if self._body is None:
            self.deadline = self._upstream.deadlines.now + self._upstream.patience.head

    def pause(self) -> None:
        """Stop reading, because the client reads the response more slowly than it arrives."""
        self.deadline = NEVER
        self.stop_reading()

    def resume(self) -> None:
        self._wait_for_more()
        self.read_on()

    def rest(self, until: float) -> None:
        """Stay idle until the next exchange, or `until` that time on the deadlines' clock."""
        self._was_used = True
        self.deadline = until
        self.read_on()

    def close(self) -> None:
        self._transport.abort()
        self._detach()

    @property
    def is_usable(self) -> bool:
        return not self._transport.is_closing()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.set_no_delay()
        self._upstream.deadlines.watch(self)

    def data_received(self, received: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # No request is outstanding, so these bytes would be taken for the next response.
            self.close()
        elif exchange.is_tunnel:
            exchange.pass_back(received)
        elif self._body is not None:
            self._wait_for_more()
            self._take_body(exchange, self._body, received)
        else:
            self._buffer = self._buffer + received if self._buffer else received
            self._take_head(exchange)
        if len(received) >= READ_BYTES:
            self.take_turns()

    def pause_writing(self) -> None:
        """Pause the client, because the upstream reads the body more slowly. The idle timeout limits how long."""
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
        exchange = self._exchange
        if exchange is None:
            return
        exchange.connection = None
        if self._was_used and not self._buffer and exchange.may_retry():
            self._exchange = None  # the retry keeps the slot
            exchange.retry()
            return
        self._detach()
        if exchange.is_over:
            return
        if exchange.is_tunnel:
            exchange.end_tunnel()
        elif isinstance(self._body, UntilClose) and error is None:
            exchange.answer_body(b"", True)
        else:
            log.warning("upstream_closed", reason=self._describe_end(error), request_id=exchange.inbound.request_id)
            exchange.fail(Failure.UPSTREAM_BROKEN)

    def _describe_end(self, error: Exception | None) -> str:
        how = "it closed the connection" if error is None else f"the connection broke ({error})"
        if self._body is not None:
            return f"{how} in the middle of its answer"
        return f"{how} {'in the middle of the head of' if self._buffer else 'without'} an answer"

    def expire(self) -> None:
        exchange = self._exchange
        self.close()
        if exchange is not None:
            reason = "no answer came in time" if self._body is None else "its answer stopped in the middle"
            log.warning("upstream_timeout", reason=reason, request_id=exchange.inbound.request_id)
            exchange.fail(Failure.UPSTREAM_SLOW)

    # Reading the response.

    def _take_head(self, exchange: Exchange) -> None:
        """Read heads until the final one. Interim responses (1xx) are dropped: some clients take them for final."""
        while True:
            head, is_whole, rest = self._buffer.partition(HEAD_END)
            if not is_whole:
                self._check_open_head(exchange, head)
                return
            known = self._upstream.reader.read(head, exchange.inbound.method)
            if known is None:
                self._break_off(exchange, "the head is malformed")
                return
            answer, lines = known
            self._buffer = b""
            if answer.own_cookies:
                log.warning("upstream_set_our_cookie", request_id=exchange.inbound.request_id)
            if answer.sets_cookies and self._upstream.learn is not None:
                self._upstream.learn(exchange.inbound, lines)
            if answer.status >= 200:
                self._begin_body(exchange, answer, lines, rest)
                return
            if answer.status == 101:
                self._switch(exchange, answer, lines, rest)
                return
            self._buffer = rest
            self._was_used = False  # the upstream has begun to respond, so a retry would not be safe

    def _check_open_head(self, exchange: Exchange, head: bytes) -> None:
        """Refuse at once what can't become a valid head, rather than at the deadline."""
        if len(head) > MAX_HEAD:
            self._break_off(exchange, "the head is too long")
        elif not head.startswith(STATUS_START[: len(head)]):
            self._break_off(exchange, "it is no HTTP/1")
        elif LONE_LF.search(head):
            self._break_off(exchange, "its lines end in LF without CR")

    def _switch(self, exchange: Exchange, answer: Answer, lines: list[bytes], rest: bytes) -> None:
        if not (answer.is_websocket and exchange.inbound.is_websocket):
            self._break_off(exchange, "it switched to a protocol that nobody asked for")
            return
        self._patience = self.deadline = NEVER
        exchange.open_tunnel(answer, lines, rest)

    def _begin_body(self, exchange: Exchange, answer: Answer, lines: list[bytes], received: bytes) -> None:
        self._is_reusable = answer.is_reusable and answer.length != UNTIL_CLOSE
        if answer.length == len(received):  # a typical response arrives in one piece
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

    def _wait_for_more(self) -> None:
        self.deadline = self._upstream.deadlines.now + self._patience

    def _settle(self, exchange: Exchange, rest: bytes) -> None:
        """End the response. The exchange is detached before it is notified, because that may start the next one."""
        self._body = None
        exchange.connection = None
        if self._is_reusable and not rest and exchange.is_request_complete:
            self._exchange = None
            self._upstream.keep(self, exchange)
        else:
            self.close()

    def _detach(self) -> None:
        """Detach the exchange, and release its slot."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._upstream.free(exchange)

    def _break_off(self, exchange: Exchange, reason: str) -> None:
        log.warning("upstream_answer_refused", reason=reason, request_id=exchange.inbound.request_id)
        self.close()
        exchange.connection = None
        exchange.fail(Failure.UPSTREAM_BROKEN)


def body_of(answer: Answer) -> Body:
    match answer.length:
        case response.CHUNKED:
            return ChunkedBody()
        case response.UNTIL_CLOSE:
            return UntilClose()
        case length:
            return LengthBody(length)
