"""The connection from a client: one request after another, each with its deadlines, none read twice.

    waiting for a head -> (edge.request) Inbound -> handed to `Edge.handle`, which calls `answer`, or `relay` with
    an exchange -> body relayed as it comes -> `finish` -> waiting for the next head

What is to be relayed is gathered first (`has_enough`, edge.incoming), and `Edge.handle` decides again by what is true
once it is here.

Requests that arrive before their turn stay in the buffer, and a full buffer stops the reading, so that
pipelining costs neither order nor memory. After an answer that ends the connection the client's last bytes are
read and thrown away for a moment (RFC 9112 §9.6): closing at once would reset the connection, and the answer
could be lost on its way.
"""

from __future__ import annotations

import asyncio
import fcntl
import re
import socket
import struct
import termios
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter_ns
from typing import Protocol, cast

from gateway.edge.incoming import IncomingBody
from gateway.edge.request import Reader
from gateway.model.inbound import CHUNKED, Inbound
from gateway.model.session import Session
from gateway.observe.refusals import Scarce
from gateway.throttle.client import client_of
from gateway.throttle.shares import Shares
from gateway.wire.deadlines import NEVER, Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import HEAD_END, BadBody

PIPELINE_BYTES = 65_536  # kept of requests whose turn has not come
WRITE_HIGH = 262_144  # bytes waiting to be written before the upstream is slowed down
LINGER_SECONDS = 2.0
DRAIN_IDLE_SECONDS = 1.0  # a connection that is just about to be used again gets its answer
HEAD_METHOD = re.compile(rb"HEAD(?![!#$%&'*+\-.^_`|~0-9A-Za-z])")  # as a whole word, whatever follows it
LONE_CR_OR_LF = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HEARTBEATS = (0x89, 0x8A)  # the first byte of a ping and of a pong, RFC 6455 §5.5
SHORT_FRAME = 6  # bytes before the payload of a masked control frame, RFC 6455 §5.2
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GOING_AWAY = 1001  # WebSocket close codes, RFC 6455 §7.4.1
POLICY_VIOLATION = 1008


class Exchange(Protocol):
    """What carries the request to whoever answers it (see proxy.exchange)."""

    is_tunnel: bool
    began_at: int  # when the request went out, in nanoseconds of the performance counter; 0 before
    sent: int  # bytes of the answer's body so far
    answered_at: int  # when the head of its answer came

    @property
    def upstream(self) -> object: ...
    @property
    def is_stream(self) -> bool: ...
    @property
    def ending(self) -> bytes: ...
    def send_body(self, payload: bytes, is_last: bool) -> None: ...
    def send_raw(self, content: bytes) -> None: ...
    def slow_down(self) -> None: ...
    def speed_up(self) -> None: ...
    def fail(self, failure: Failure) -> None: ...
    def abandon(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a whole head, for progress in a body or in taking an answer, and between requests.

    `rate` is in bytes a second: a body or answer that moves more slowly is given up after `body` seconds.
    """

    head: float
    body: float
    idle: float
    rate: float


class Edge:
    """What all connections of a worker share. `handle` decides about a request: it answers or relays it.

    `tell` gives field lines and body for a failure; `record` logs and counts each request as it ends, with
    the status of the answer and the bytes of its body that were sent. Clients share the connections, but for those
    that `is_proxy` says are a proxy's, and the `max_bodies` that may be gathered at once; `refused` is told whose are
    not taken.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        deadlines: Deadlines,
        patience: Patience,
        max_head_bytes: int,
        max_connections: int,
        max_bodies: int,
        is_proxy: Callable[[str], bool],
        refused: Callable[[Scarce, str, bool], None],
        handle: Callable[[ClientConnection, Inbound], None],
        tell: Callable[[Failure, Inbound | None, str, Session | None], tuple[list[bytes], bytes]],
        record: Callable[[ClientConnection, int, int], None],
    ) -> None:
        self.reader = reader
        self.deadlines = deadlines
        self.patience = patience
        self.max_head_bytes = max_head_bytes
        self.max_connections = max_connections
        self.is_proxy = is_proxy
        self.refused = refused
        self.open = Shares[None](max_connections)
        self.bodies = Shares[None](max_bodies)
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
        "_has_eof",
        "_has_sent",
        "_holds",
        "_is_behind",
        "_is_closing",
        "_is_for_head",
        "_is_gathering",
        "_is_judging",
        "_is_paused",
        "_taken",
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
        self._body: IncomingBody | None = None  # of the current request, if it has one
        self._is_gathering = False
        self._unsent = 0  # bytes of the last answer that were not taken when we last looked
        self._taken = 0  # bytes of the answer that were taken when we last looked
        self._has_sent = False  # something of a body or a tunnel, since we last looked
        self._holds: str | None = None  # whose share of the connections this is
        self._closes_after = False
        self._has_eof = False
        self._is_closing = False
        self._is_for_head = False  # what was refused before it could be read asked for no content
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
            edge.refused(Scarce.CONNECTIONS, self.peer, False)
            self.abort()
            return
        if not edge.is_proxy(self.peer) and not self._take_share(client_of(self.peer)):
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
            elif self._is_judging and self._body is not None:
                self._judge_first_chunk(self.inbound, self._body)
            elif self._is_gathering and self._body is not None:
                self._gather_more(self.inbound, self._body)
            if self._buffer:
                self._limit_buffer()
        elif self._body is not None and not self._body.is_whole:
            self._take_body(exchange, self._body, received)
        elif exchange.is_tunnel:
            self._has_sent = self._has_sent or not is_heartbeat(received)
            exchange.send_raw(received)
        else:
            self._buffer += received
            self._limit_buffer()

    def eof_received(self) -> bool:
        """A client may end its side and still wait for the answer; a tunnel ends with either side."""
        is_whole = self._body is None or self._body.is_whole
        is_answer_due = self.inbound is not None and is_whole and not self._is_closing
        is_tunnel = self.exchange is not None and self.exchange.is_tunnel
        self._has_eof = self._closes_after = True
        return is_answer_due and not is_tunnel

    def pause_writing(self) -> None:
        self._is_behind = True
        self._unsent = self._count_unsent()
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
        self._stop_gathering()
        if self._holds is not None:
            self._edge.open.release(self._holds)
            self._holds = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()

    def expire(self) -> None:
        """The deadline passed. Say so where a request had begun; where nothing had, just end."""
        if (self._is_closing or self._is_behind) and self._takes_enough():
            return
        if self._is_closing:
            self.abort()
        elif self.exchange is not None:
            self.exchange.fail(Failure.REQUEST_TIMEOUT)
        elif self._is_behind:
            self.abort()
        elif self.inbound is not None:
            self.refuse(Failure.REQUEST_TIMEOUT)
        elif self._buffer:
            self._refuse_unread(Failure.REQUEST_TIMEOUT, self._buffer)
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
            self._refuse_unread(Failure.HEAD_TOO_LARGE, self._buffer)
        elif self._buffer and (not self._buffer[:1].isalpha() or LONE_CR_OR_LF.search(self._buffer)):
            self._refuse_unread(Failure.BAD_REQUEST, self._buffer)

    def _begin(self, head: bytes) -> None:
        edge = self._edge
        self.started = perf_counter_ns()
        self.account = ""
        if len(head) > edge.max_head_bytes:
            self._refuse_unread(Failure.HEAD_TOO_LARGE, head)
            return
        inbound = edge.reader.read(head, self.peer)
        if not isinstance(inbound, Inbound):
            self._refuse_unread(inbound, head)
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
        body = self._body = IncomingBody(inbound.length, self._edge.deadlines.now)
        if inbound.length == CHUNKED and not inbound.expects_continue:
            self._is_judging = True
            self._set_deadline()
            self._judge_first_chunk(inbound, body)
        else:
            self._edge.handle(self, inbound)

    def _judge_first_chunk(self, inbound: Inbound, body: IncomingBody) -> None:
        """Nothing of a chunked request leaves before its framing has shown that it makes sense."""
        if not self._buffer:
            return
        try:
            self._buffer = body.gather(self._buffer)
        except BadBody:
            self.refuse(Failure.BAD_REQUEST)
            return
        if body.gathered or body.is_whole:
            self._is_judging = False
            self.deadline = NEVER
            self._edge.handle(self, inbound)

    # What is gathered of a body, before an upstream is asked.

    def has_enough(self) -> bool:
        """Whether the body is here, or as much of it as is gathered.

        If not, it is waited for and `Edge.handle` is called again, or the request is refused: there is no more to do.
        """
        inbound, body = self.inbound, self._body
        if inbound is None or body is None or body.is_whole or self._gather(body):
            return True
        if self.inbound is inbound:
            self._begin_gathering(inbound, body)
        return False

    def _begin_gathering(self, inbound: Inbound, body: IncomingBody) -> None:
        bodies, client = self._edge.bodies, client_of(inbound.address)
        if not bodies.take(client):
            self._edge.refused(Scarce.BODIES, client, bodies.has(client))
            self.refuse(Failure.TOO_MANY)
            return
        self._is_gathering = True
        if inbound.expects_continue and not body.received:
            self._transport.write(CONTINUE)
        self._set_deadline()
        self._read_on()  # it may have stopped while this request was behind another one, or the store was asked

    def _gather(self, body: IncomingBody) -> bool:
        """Take what has come of the body. Returns whether that is enough; where it is malformed, it is refused."""
        received, self._buffer = self._buffer, b""
        if received:
            self._note_progress(body, len(received))
            try:
                self._buffer = body.gather(received)
            except BadBody:
                self.refuse(Failure.BAD_REQUEST)
                return False
        if not body.has_enough:
            return False
        self.deadline = NEVER
        return True

    def _gather_more(self, inbound: Inbound, body: IncomingBody) -> None:
        if self._gather(body):
            self._stop_gathering()
            self.started = perf_counter_ns()  # until now it was the client who took the time
            self._edge.handle(self, inbound)

    def _stop_gathering(self) -> None:
        if self._is_gathering and self.inbound is not None:
            self._is_gathering = False
            self._edge.bodies.release(client_of(self.inbound.address))

    # What is done with a request: `answer`, `refuse`, or `relay`.

    def relay(self, exchange: Exchange) -> None:
        """Let `exchange` carry the request; what came of its body goes along."""
        self.exchange = exchange
        body = self._body
        if body is None:
            return
        self._set_deadline()  # before the exchange is told: while it has no connection, nothing has to come
        if body.gathered or body.is_whole:
            exchange.send_body(body.release(), body.is_whole)
        if self._buffer and not body.is_whole:
            received, self._buffer = self._buffer, b""
            self._take_body(exchange, body, received)

    def answer(self, status: int, lines: Iterable[bytes], body: bytes, *, closes: bool = False) -> None:
        """Answer in full, here and now. `lines` are field lines without framing."""
        self._closes_after |= closes
        self._stop_gathering()
        head = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode("ascii")), *lines]
        if status != 204:
            head.append(b"Content-Length: %d" % len(body))
        if self.will_close():
            head.append(b"Connection: close")
        elif self.inbound is not None and not self.inbound.is_http_1_1:
            head.append(b"Connection: keep-alive")
        is_for_head = self._is_for_head if self.inbound is None else self.inbound.method == "HEAD"
        if is_for_head:
            body = b""  # its length was said, as a GET would have had it (RFC 9110 §9.3.2)
        self.write(b"%b\r\n\r\n%b" % (b"\r\n".join(head), body))
        self.finish(status, len(body))

    def refuse(self, failure: Failure, session: Session | None = None) -> None:
        """Answer with what went wrong, as a page or as JSON, to whom `session` is of."""
        told = failure.value
        request_id = self.inbound.request_id if self.inbound else self._edge.reader.new_request_id()
        lines, body = self._edge.tell(failure, self.inbound, request_id, session)
        lines.append(b"X-Request-Id: " + request_id.encode("ascii"))
        if told.retry_after:
            lines.append(b"Retry-After: %d" % told.retry_after)
        self.refused = request_id, told.code
        self.answer(told.status, lines, body, closes=told.closes or self.inbound is None)

    def _refuse_unread(self, failure: Failure, head: bytes) -> None:
        """Refuse what became no Inbound. `head` are its first bytes: HEAD gets no content, whatever fails."""
        self._is_for_head = HEAD_METHOD.match(head) is not None
        self.refuse(failure)

    # What an exchange asks for.

    def pause(self) -> None:
        self.deadline = NEVER
        self._stop_reading()

    def resume(self) -> None:
        if self._body is not None:
            self._body.measure_anew(self._edge.deadlines.now)
        self._set_deadline()
        self._read_on()

    def close_after(self) -> None:
        self._closes_after = True

    def will_close(self) -> bool:
        if self._body is not None and not self._body.is_whole:
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
        self._body = None
        self.deadline = edge.deadlines.now + edge.patience.idle
        if self._buffer or self._is_paused:
            self._advance()

    def cut(self, status: int, sent: int) -> None:
        self._edge.record(self, status, sent)
        self.inbound = self.exchange = None
        self.abort()

    # Ends.

    def end_for(self, code: int, *, cleanly: bool = False) -> None:
        """The session behind this connection is gone, or we are: end what it carries, and tell a WebSocket why.

        `cleanly` ends a stream of events as a whole answer; everything else is cut: no part may pass for the whole.
        """
        exchange = self.exchange
        if exchange is None:
            return
        self._edge.record(self, 101 if exchange.is_tunnel else 499, 0)
        self.inbound = self.exchange = None
        exchange.abandon()
        if exchange.is_tunnel:
            self.write(b"\x88\x02" + code.to_bytes(2, "big"))  # a close frame, RFC 6455 §5.5.1
            self._shut_down()
        elif cleanly and exchange.is_stream:
            self.write(exchange.ending)
            self._shut_down()
        else:
            self.abort()

    def has_moved(self) -> bool:
        """Whether the client sent some of a body or a tunnel, or took some of an answer, since this was last asked.

        What a stream brings counts for nothing: nobody need be there to take it.
        """
        has_moved, self._has_sent = self._has_sent, False
        exchange = self.exchange
        if exchange is not None and not exchange.is_stream:
            taken = exchange.sent - self._count_unsent()
            has_moved |= taken > self._taken
            self._taken = taken
        return has_moved

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
        self._unsent = self._count_unsent()
        patience = self._edge.patience.body if self._transport.get_write_buffer_size() else LINGER_SECONDS
        self.deadline = self._edge.deadlines.now + patience
        if self._transport.can_write_eof() and not self._has_eof:
            self._transport.write_eof()
        else:
            self._transport.close()

    def _takes_enough(self) -> bool:
        """Whether the client takes what was written fast enough; if so, wait on."""
        patience, unsent = self._edge.patience, self._count_unsent()
        taken, self._unsent = self._unsent - unsent, unsent
        if not unsent or taken < patience.rate * patience.body:
            return False
        self.deadline = self._edge.deadlines.now + patience.body
        return True

    def _count_unsent(self) -> int:
        """Return the bytes that the client has yet to take: here, and in the kernel (SIOCOUTQ, tcp(7))."""
        sock = self._transport.get_extra_info("socket")
        waiting = self._transport.get_write_buffer_size()
        if sock is None or self._transport.is_closing():
            return waiting
        (in_kernel,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        return waiting + int(in_kernel)

    def _take_share(self, client: str) -> bool:
        """Take this client's share of the connections; close the connection if there is none."""
        edge = self._edge
        if edge.open.take(client):
            self._holds = client
            return True
        edge.refused(Scarce.CONNECTIONS, client, edge.open.has(client))
        self._is_closing = True
        self._transport.write(TOO_MANY)
        self._transport.close()
        return False

    # The request's body.

    def _take_body(self, exchange: Exchange, body: IncomingBody, received: bytes) -> None:
        try:
            payload, self._buffer = body.take(received)
        except BadBody:
            exchange.fail(Failure.BAD_REQUEST)
            return
        self._note_progress(body, len(received))
        if body.is_whole:
            self.deadline = NEVER
        exchange.send_body(payload, body.is_whole)

    def _note_progress(self, body: IncomingBody, size: int) -> None:
        self._has_sent = True
        if body.note_progress(size):
            self._set_deadline()

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
        if self._body is not None and not self._body.is_whole:
            self.deadline = self._body.deadline(self._edge.deadlines.now, patience.body, patience.rate)
        elif self.inbound is None:
            self.deadline = self._edge.deadlines.now + patience.idle
        else:
            self.deadline = NEVER


def is_heartbeat(received: bytes) -> bool:
    """Whether these bytes of a WebSocket are nothing but pings and pongs, which a browser sends with nobody there."""
    at = 0
    while at < len(received) and received[at] in HEARTBEATS and at + 1 < len(received) and received[at + 1] & 0x80:
        at += SHORT_FRAME + (received[at + 1] & 0x7F)
    return at == len(received)


def set_no_delay(transport: asyncio.Transport) -> None:
    """Small writes leave at once; without this an answer can wait 40 ms for an acknowledgement."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
