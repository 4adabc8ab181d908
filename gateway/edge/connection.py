"""The connection from a client: one request after another, each with its deadlines, none read twice.

    waiting for a head -> (edge.request) Inbound -> handed to `Edge.handle`, which calls `answer`, or `relay` with
    an exchange -> body relayed as it comes -> `finish` -> waiting for the next head

Requests that arrive before their turn stay in the buffer, and a full buffer stops the reading, so that
pipelining costs neither order nor memory. After an answer that ends the connection the client's last bytes are
read and thrown away for a moment (RFC 9112 §9.6): closing at once would reset the connection, and the answer
could be lost on its way.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter_ns
from typing import Protocol, cast

from gateway.deadlines import NEVER, Deadlines
from gateway.edge.inbound import CHUNKED, Inbound
from gateway.edge.request import Reader
from gateway.failures import Failure
from gateway.http1 import HEAD_END, BadBody, Body, ChunkedBody, LengthBody
from gateway.sessions.record import Session

PIPELINE_BYTES = 65_536  # kept of requests whose turn has not come
WRITE_HIGH = 262_144  # bytes waiting to be written before the upstream is slowed down
LINGER_SECONDS = 2.0
DRAIN_IDLE_SECONDS = 1.0  # a connection that is just about to be used again gets its answer
PROGRESS_BYTES = 1_024  # a body that brings less than this within its deadline is not coming at all
LONE_CR_OR_LF = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GOING_AWAY = 1001  # WebSocket close codes, RFC 6455 §7.4.1
POLICY_VIOLATION = 1008


class Exchange(Protocol):
    """What carries the request to whoever answers it (see proxy.exchange)."""

    is_tunnel: bool
    began_at: int  # when the request went out, in nanoseconds of the performance counter; 0 before
    answered_at: int  # when the head of its answer came

    @property
    def upstream(self) -> object: ...
    def send_body(self, payload: bytes, is_last: bool) -> None: ...
    def send_raw(self, content: bytes) -> None: ...
    def slow_down(self) -> None: ...
    def speed_up(self) -> None: ...
    def fail(self, failure: Failure) -> None: ...
    def abandon(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a whole head, for progress in a body or in taking an answer, and between requests."""

    head: float
    body: float
    idle: float


class Edge:
    """What all connections of a worker share. `handle` decides about a request: it answers or relays it.

    `tell` gives field lines and body for a failure; `record` logs and counts each request as it ends, with
    the status of the answer and the bytes of its body that were sent.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        deadlines: Deadlines,
        patience: Patience,
        max_head_bytes: int,
        max_connections: int,
        handle: Callable[[ClientConnection, Inbound], None],
        tell: Callable[[Failure, Inbound | None, str, Session | None], tuple[list[bytes], bytes]],
        record: Callable[[ClientConnection, int, int], None],
    ) -> None:
        self.reader = reader
        self.deadlines = deadlines
        self.patience = patience
        self.max_head_bytes = max_head_bytes
        self.max_connections = max_connections
        self.handle = handle
        self.tell = tell
        self.record = record
        self.connections: set[ClientConnection] = set()
        self.is_draining = False

    def drain(self) -> None:
        """Let every connection end with its answer; WebSockets are told that we go away."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.drain()


class ClientConnection(asyncio.Protocol):
    """One connection from a client, or from the proxy in front.

    Of the current request: `inbound` is what was asked, None between requests and where it could not be read; `account`
    the id of who asks, "" for nobody; `exchange` what carries it, None where it is answered at once; `started` when its
    head was complete, in nanoseconds of the performance counter, 0 before. `refused` is the id of the last request
    that was refused, and the code of the failure. `peer` is the address at the other end.
    """

    __slots__ = (
        "_advancing",
        "_body",
        "_buffer",
        "_closes_after",
        "_edge",
        "_first",
        "_has_eof",
        "_is_behind",
        "_is_closing",
        "_is_judging",
        "_is_paused",
        "_progress",
        "_transport",
        "_unsent",
        "account",
        "deadline",
        "exchange",
        "inbound",
        "peer",
        "refused",
        "started",
        "write",
    )

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._buffer = b""
        self._body: Body | None = None  # of the current request, while it is not complete
        self._first: tuple[bytes, bool] | None = None  # the part of a chunked body that was judged before the head left
        self._progress = 0  # bytes of the body since its deadline was set
        self._unsent = 0  # bytes of the last answer that were not taken when we last looked
        self._closes_after = False
        self._has_eof = False
        self._is_closing = False
        self._is_behind = False  # the client takes an answer more slowly than it comes
        self._is_judging = False  # a chunked body's framing has yet to show that it makes sense
        self._is_paused = False
        self._advancing = False
        self.inbound: Inbound | None = None
        self.exchange: Exchange | None = None
        self.peer = ""
        self.account = ""
        self.refused = ("", "")
        self.started = 0
        self.deadline = NEVER
        self.write: Callable[[bytes], None]

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self.write = self._transport.write
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        edge = self._edge
        if len(edge.connections) >= edge.max_connections:
            self.abort()
            return
        set_no_delay(self._transport)
        self._closes_after = edge.is_draining
        edge.connections.add(self)
        edge.deadlines.watch(self)
        self.deadline = edge.deadlines.now + edge.patience.head

    def data_received(self, received: bytes) -> None:
        if self._is_closing:
            return
        exchange = self.exchange
        if exchange is None:
            self._buffer = self._buffer + received if self._buffer else received
            if self.inbound is None:
                self._advance()
            elif self._is_judging:
                self._judge_first_chunk(self.inbound)
            if self._buffer:
                self._limit_buffer()
        elif self._body is not None:
            self._take_body(exchange, self._body, received)
        elif exchange.is_tunnel:
            exchange.send_raw(received)
        else:
            self._buffer += received
            self._limit_buffer()

    def eof_received(self) -> bool:
        """A client may end its side and still wait for the answer; a tunnel ends with either side."""
        is_answer_due = self.inbound is not None and self._body is None and not self._is_closing
        is_tunnel = self.exchange is not None and self.exchange.is_tunnel
        self._has_eof = self._closes_after = True
        return is_answer_due and not is_tunnel

    def pause_writing(self) -> None:
        self._is_behind = True
        self.deadline = self._edge.deadlines.now + self._edge.patience.body
        if self.exchange is not None:
            self.exchange.slow_down()

    def resume_writing(self) -> None:
        self._is_behind = False
        if self._is_closing:
            return
        self._set_deadline()
        if self.exchange is not None:
            self.exchange.speed_up()
        elif self.inbound is None:
            self._advance()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._edge.connections.discard(self)
        self._edge.deadlines.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()

    def expire(self) -> None:
        """The deadline passed. Say so where a request had begun; where nothing had, just end."""
        if self._is_closing:
            self._end_or_wait()
        elif self.exchange is not None:
            self.exchange.fail(Failure.REQUEST_TIMEOUT)
        elif self._is_behind:
            self.abort()
        elif self.inbound is not None or self._buffer:
            self.refuse(Failure.REQUEST_TIMEOUT)
        else:
            self._shut_down()

    # Requests, in their order.

    def _advance(self) -> None:
        """Take the next heads from the buffer, until one waits for its answer or the bytes run out."""
        if self._advancing:
            return
        self._advancing = True
        while self.inbound is None and self._buffer and not self._is_closing and not self._is_behind:
            buffer = self._buffer
            if buffer[:2] == b"\r\n":
                buffer = self._buffer = buffer[2:]  # one empty line is forgiven, RFC 9112 §2.2
            head, is_whole, rest = buffer.partition(HEAD_END)
            if not is_whole:
                self._check_open_head()
                break
            self._buffer = rest
            self._begin(head)
        self._advancing = False
        if self._is_paused and self.inbound is None and not self._is_behind:
            self._read_on()

    def _check_open_head(self) -> None:
        """Refuse at once what can't become a head, instead of waiting for it to end."""
        if self.started:
            # The first bytes of a further request: from here on it is the head that is waited for.
            self.started = 0
            self.deadline = self._edge.deadlines.now + self._edge.patience.head
        if len(self._buffer) > self._edge.max_head_bytes:
            self.refuse(Failure.HEAD_TOO_LARGE)
        elif self._buffer and (not self._buffer[:1].isalpha() or LONE_CR_OR_LF.search(self._buffer)):
            self.refuse(Failure.BAD_REQUEST)

    def _begin(self, head: bytes) -> None:
        edge = self._edge
        self.started = perf_counter_ns()
        self.account = ""
        self._first = None  # of a request that was answered here: it goes nowhere, least of all with this one
        if len(head) > edge.max_head_bytes:
            self.refuse(Failure.HEAD_TOO_LARGE)
            return
        inbound = edge.reader.read(head, self.peer)
        if not isinstance(inbound, Inbound):
            self.refuse(inbound)
            return
        self.inbound = inbound
        self.deadline = NEVER
        if not inbound.is_keep_alive:
            self._closes_after = True
        if inbound.length:
            self._begin_body(inbound)
        else:
            edge.handle(self, inbound)

    def _begin_body(self, inbound: Inbound) -> None:
        self._progress = 0
        if inbound.length != CHUNKED:
            self._body = LengthBody(inbound.length)
        else:
            self._body = ChunkedBody()
            if not inbound.expects_continue:
                self._is_judging = True
                self._set_deadline()
                self._judge_first_chunk(inbound)
                return
        self._edge.handle(self, inbound)

    def _judge_first_chunk(self, inbound: Inbound) -> None:
        """Nothing of a chunked request leaves before its framing has shown that it makes sense."""
        if self._body is None or not self._buffer:
            return
        try:
            payload, rest = self._body.feed(self._buffer)
        except BadBody:
            self.refuse(Failure.BAD_REQUEST)
            return
        self._buffer = rest or b""
        if payload or rest is not None:
            self._is_judging = False
            self._first = payload, rest is not None
            if rest is not None:
                self._body = None
            self.deadline = NEVER
            self._edge.handle(self, inbound)

    # What is done with a request: `answer`, `refuse`, or `relay`.

    def relay(self, exchange: Exchange) -> None:
        """Let `exchange` carry the request; what came of its body goes along."""
        inbound = self.inbound
        self.exchange = exchange
        if self._first is not None:
            (payload, is_last), self._first = self._first, None
            exchange.send_body(payload, is_last)
        if self._body is not None:
            if inbound is not None and inbound.expects_continue and not self._buffer:
                self._transport.write(CONTINUE)
            self._set_deadline()
            received, self._buffer = self._buffer, b""
            if received:
                self._take_body(exchange, self._body, received)

    def answer(self, status: int, lines: Iterable[bytes], body: bytes, *, closes: bool = False) -> None:
        """Answer in full, here and now. `lines` are field lines without framing."""
        self._closes_after |= closes
        head = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode("ascii")), *lines]
        if status != 204:
            head.append(b"Content-Length: %d" % len(body))
        if self.will_close():
            head.append(b"Connection: close")
        elif self.inbound is not None and not self.inbound.is_http_1_1:
            head.append(b"Connection: keep-alive")
        is_bodiless = self.inbound is not None and self.inbound.method == "HEAD"
        self.write(b"%b\r\n\r\n%b" % (b"\r\n".join(head), b"" if is_bodiless else body))
        self.finish(status, len(body))

    def refuse(self, failure: Failure, session: Session | None = None) -> None:
        """Answer with what went wrong, as a page or as JSON, to whom `session` is of."""
        told = failure.value
        request_id = self.inbound.request_id if self.inbound else self._edge.reader.new_request_id()
        lines, body = self._edge.tell(failure, self.inbound, request_id, session)
        lines.append(b"X-Request-Id: " + request_id.encode("ascii"))
        self.refused = request_id, told.code
        self.answer(told.status, lines, body, closes=told.closes or self.inbound is None)

    # What an exchange asks for.

    def pause(self) -> None:
        self.deadline = NEVER
        self._stop_reading()

    def resume(self) -> None:
        self._set_deadline()
        self._read_on()

    def close_after(self) -> None:
        self._closes_after = True

    def will_close(self) -> bool:
        if self._body is not None:
            self._closes_after = True  # what is left of it would be taken for the next request
        return self._closes_after

    def begin_tunnel(self) -> None:
        self.deadline = NEVER
        self._closes_after = True
        first, self._buffer = self._buffer, b""
        if first and self.exchange is not None:
            self.exchange.send_raw(first)
        self.resume()

    def finish(self, status: int, sent: int) -> None:
        edge = self._edge
        edge.record(self, status, sent)
        self.inbound = self.exchange = None
        if self.will_close():
            self._shut_down()
            return
        self.deadline = edge.deadlines.now + edge.patience.idle
        if self._buffer or self._is_paused:
            self._advance()

    def cut(self, status: int, sent: int) -> None:
        self._edge.record(self, status, sent)
        self.inbound = self.exchange = None
        self.abort()

    # Ends.

    def end_for(self, code: int) -> None:
        """The session behind this connection is gone, or we are: end what it carries, and tell a WebSocket why."""
        exchange = self.exchange
        if exchange is None:
            return
        self._edge.record(self, 101 if exchange.is_tunnel else 499, 0)
        self.inbound = self.exchange = None
        exchange.abandon()
        if exchange.is_tunnel:
            self.write(b"\x88\x02" + code.to_bytes(2, "big"))  # a close frame, RFC 6455 §5.5.1
            self._shut_down()
        else:
            self.abort()

    def drain(self) -> None:
        self._closes_after = True
        if self.inbound is None:
            self.deadline = min(self.deadline, self._edge.deadlines.now + DRAIN_IDLE_SECONDS)
        elif self.exchange is not None and self.exchange.is_tunnel:
            self.end_for(GOING_AWAY)

    def abort(self) -> None:
        self._is_closing = True
        self._transport.abort()

    @property
    def is_closing(self) -> bool:
        return self._is_closing

    def _shut_down(self) -> None:
        """Send what is left, then read on for a moment, so that the answer is not lost in a reset."""
        self._is_closing = True
        self._buffer = b""
        if self._transport.is_closing():
            return
        self._read_on()
        self._unsent = self._transport.get_write_buffer_size()
        self._wait_to_end()
        if self._transport.can_write_eof() and not self._has_eof:
            self._transport.write_eof()
        else:
            self._transport.close()

    def _end_or_wait(self) -> None:
        """Wait on while the client still takes the last answer, however slowly; then end."""
        unsent = self._transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._wait_to_end()
        else:
            self.abort()

    def _wait_to_end(self) -> None:
        patience = self._edge.patience.body if self._unsent else LINGER_SECONDS
        self.deadline = self._edge.deadlines.now + patience

    # The request's body.

    def _take_body(self, exchange: Exchange, body: Body, received: bytes) -> None:
        try:
            payload, rest = body.feed(received)
        except BadBody:
            exchange.fail(Failure.BAD_REQUEST)
            return
        self._progress += len(received)
        if rest is not None:
            self._body = None
            self._buffer = rest
            self.deadline = NEVER
        elif self._progress >= PROGRESS_BYTES:
            self._progress = 0
            self._set_deadline()
        exchange.send_body(payload, rest is not None)

    def _limit_buffer(self) -> None:
        if len(self._buffer) > PIPELINE_BYTES:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def _set_deadline(self) -> None:
        """Whose turn is it? With a body to come or no request begun, it is the client's; else nobody waits here."""
        patience = self._edge.patience
        if self._body is not None:
            self.deadline = self._edge.deadlines.now + patience.body
        elif self.inbound is None:
            self.deadline = self._edge.deadlines.now + patience.idle
        else:
            self.deadline = NEVER


def set_no_delay(transport: asyncio.Transport) -> None:
    """Small writes leave at once; without this an answer can wait 40 ms for an acknowledgement."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
