"""The connection from a client. It handles one request after another, each with deadlines.

    a head is complete -> edge.request parses it -> edge.client_request handles the request -> the next head

ConnectionState says what is awaited, and which deadline applies:

    HEAD      the end of a head, for `Patience.head` since the connection opened or the first byte of the head
    IDLE      the first byte of a further head, for `Patience.idle`
    BUSY      the end of `request`, which has its own deadlines; only this state has a request
    CLOSING   the client, which reads the rest of the response; further input is discarded

    event                   HEAD                 IDLE                 BUSY                      CLOSING
    bytes                   -> BUSY if complete  -> HEAD, or BUSY     to request, or buffered   discarded
    the head is invalid     refused -> CLOSING   refused -> CLOSING   -                         -
    the request is over     -                    -                    -> IDLE, or CLOSING       -
    client half-closes      closed               closed               closed after response     closed
    drain                   one more second      one more second      -> CLOSING if a tunnel    -
    deadline                408 -> CLOSING (1)   -> CLOSING (1)       see edge.client_request   aborted

(1) Bytes that have arrived are read first: a worker that got no CPU time for a while sees the deadline before them.

Persistence says whether another request is accepted, and only ever decreases. If a drain begins when the head of a
response was already sent without `Connection: close`, one more request is accepted: it may be on its way when the
response ends.

`_is_behind` means that the client reads a response more slowly than it arrives: then no further head is read, and the
deadline is the one for reading it.

Pipelined requests stay in the buffer, and a full buffer pauses reading, which bounds memory and preserves the order.
After the last response, the client's input is read and discarded for a moment (RFC 9112 §9.6): closing at once would
reset the connection, and the response could be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from time import perf_counter_ns

from gateway.edge.answer import CLOSE, TOO_MANY, find_failure, is_head_request, whole_answer
from gateway.edge.client_request import TUNNEL, ClientRequest
from gateway.edge.contracts import HALF_CLOSED, KEPT, LAST
from gateway.edge.shared import Shared
from gateway.model.inbound import Inbound
from gateway.observe.refusals import Scarce
from gateway.observe.served import Unread
from gateway.wire.channel import READ_BYTES, Channel
from gateway.wire.deadlines import NEVER
from gateway.wire.failures import Failure
from gateway.wire.http1 import HEAD_END
from gateway.wire.websocket import GOING_AWAY

PIPELINE_BYTES = 65_536  # of pipelined requests
LINGER_SECONDS = 2.0
DRAIN_IDLE_SECONDS = 1.0  # so that a request that is already on its way is still answered
UNREAD_SECONDS = 1.0  # to read what has arrived; the event loop's next turn does


class ConnectionState(Enum):
    HEAD = "head"
    IDLE = "idle"
    BUSY = "busy"
    CLOSING = "closing"


HEAD, IDLE, BUSY, CLOSING = ConnectionState


@dataclass(slots=True)
class Edge:
    """The open connections of a worker. `handle` responds to a request or relays it."""

    shared: Shared
    handle: Callable[[ClientRequest, Inbound], None]
    connections: set[ClientConnection] = field(default_factory=set)
    is_draining: bool = False

    def drain(self) -> None:
        """Close each connection after its current response, or after a request that may already be on its way.

        WebSockets get a close frame with "going away", also those that are still being opened.
        """
        self.is_draining = True
        for connection in list(self.connections):
            connection.drain()


class ClientConnection(Channel):
    """A connection from a client, or from the proxy in front. `peer` is the remote IP address, "" for a Unix socket."""

    __slots__ = (
        "_edge",
        "_has_place",
        "_is_advancing",
        "_is_behind",
        "_shared",
        "_state",
        "_unsent",
        "buffer",
        "peer",
        "persistence",
        "request",
    )

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self._edge = edge
        self._shared = edge.shared
        self._state = HEAD
        self.persistence = KEPT
        self._has_place = False  # counts as one of the client's connections
        self._is_advancing = False  # `_advance` is running and must not be re-entered
        self._is_behind = False
        self._unsent = 0  # unsent bytes when last counted
        self.buffer = b""
        self.peer = ""
        self.request: ClientRequest | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        edge, shared = self._edge, self._shared
        if len(edge.connections) >= shared.max_connections:
            shared.refused(Scarce.CONNECTIONS, self.peer, False)
            self.abort()
            return
        if not shared.is_proxy(self.peer):
            self._has_place = shared.take(Scarce.CONNECTIONS, self.peer)
            if not self._has_place:
                self._state = CLOSING
                self.write(TOO_MANY)
                self._transport.close()
                return
        self.set_no_delay()
        if edge.is_draining:
            self.persistence = LAST
        edge.connections.add(self)
        shared.deadlines.watch(self)
        self.deadline = shared.deadlines.now + shared.patience.head

    def data_received(self, received: bytes) -> None:
        request = self.request
        if request is not None:
            request.receive(received)
        elif self._state is not CLOSING:
            self.buffer = self.buffer + received if self.buffer else received
            self._advance()
        if len(self.buffer) > PIPELINE_BYTES:
            self.stop_reading()
        if len(received) >= READ_BYTES:
            self.take_turns()

    def eof_received(self) -> bool:
        """A client that half-closes still gets its response. A tunnel is closed by either side."""
        request = self.request
        self.persistence = HALF_CLOSED
        return request is not None and request.is_whole and request.state is not TUNNEL

    def pause_writing(self) -> None:
        self._is_behind = True
        self._unsent = self.count_unsent()
        self.deadline = self._shared.deadlines.now + self._shared.patience.body
        if self.request is not None:
            self.request.slow_down()

    def resume_writing(self) -> None:
        self._is_behind = False
        if self._state is CLOSING:
            return
        self.set_deadline()
        if self.request is not None:
            self.request.speed_up()
        else:
            self._advance()

    def connection_lost(self, error: Exception | None) -> None:
        self._state = CLOSING
        self._edge.connections.discard(self)
        self._shared.deadlines.forget(self)
        if self._has_place:
            self._has_place = False
            self._shared.release(Scarce.CONNECTIONS, self.peer)
        if self.request is not None:
            self.request.abandon()

    def expire(self) -> None:
        """Respond with 408 if a request had begun; otherwise close."""
        is_closing, request = self._state is CLOSING, self.request
        if (is_closing or self._is_behind) and self._is_fast_enough():
            return
        if request is not None and (request.exchange is not None or not self._is_behind):
            request.expire()
        elif is_closing or self._is_behind:
            self.abort()
        elif self.buffer:
            self._refuse_unread(Failure.REQUEST_TIMEOUT, self.buffer)
        elif self.has_unread():
            self.deadline = self._shared.deadlines.now + UNREAD_SECONDS
        else:
            self.shut_down()

    # Requests, in order.

    def _advance(self) -> None:
        """Parse heads from the buffer, until one awaits its response or the buffer has no complete head."""
        if self._is_advancing:
            return
        self._is_advancing = True
        while self.buffer and self.request is None and not self._is_behind and self._state is not CLOSING:
            buffer = self.buffer
            if buffer[:2] == b"\r\n":
                buffer = self.buffer = buffer[2:]  # tolerate one empty line, RFC 9112 §2.2
            head, is_whole, rest = buffer.partition(HEAD_END)
            if not is_whole:
                self._check_open_head()
                break
            self.buffer = rest
            self._begin(head)
        self._is_advancing = False
        if self._is_paused and self.request is None and not self._is_behind:
            self.read_on()

    def _check_open_head(self) -> None:
        if self._state is IDLE:
            self._state = HEAD
            self.deadline = self._shared.deadlines.now + self._shared.patience.head
        failure = find_failure(self.buffer, self._shared.max_head_bytes)
        if failure is not None:
            self._refuse_unread(failure, self.buffer)

    def _begin(self, head: bytes) -> None:
        started, shared = perf_counter_ns(), self._shared
        too_large = len(head) > shared.max_head_bytes
        inbound = Failure.HEAD_TOO_LARGE if too_large else shared.reader.read(head, self.peer)
        if not isinstance(inbound, Inbound):
            self._refuse_unread(inbound, head, started)
            return
        self._state = BUSY
        self.deadline = NEVER
        request = self.request = ClientRequest(self, shared, inbound, started)
        if not inbound.is_keep_alive:
            self.close_after()
        if inbound.length:
            request.begin_body()
        else:
            self._edge.handle(request, inbound)

    def _refuse_unread(self, failure: Failure, begun: bytes, started: int = 0) -> None:
        """Refuse a request that could not be parsed. `begun` are its first bytes."""
        told, shared = failure.value, self._shared
        request_id = shared.reader.new_request_id()
        lines, body = shared.tell_failure(failure, None, request_id, None)
        is_for_head = is_head_request(begun)
        self.write(whole_answer(told.status, lines, body, CLOSE, is_for_head=is_for_head))
        shared.record(Unread(self.peer, request_id, told.code, started), told.status, 0 if is_for_head else len(body))
        self.shut_down()

    # Called by the request (see edge.contracts.Connection).

    def decide(self) -> None:
        if self.request is not None:
            self._edge.handle(self.request, self.request.inbound)

    @property
    def is_draining(self) -> bool:
        return self._edge.is_draining

    def close_after(self) -> None:
        if self.persistence is KEPT:
            self.persistence = LAST

    def set_deadline(self) -> None:
        request = self.request
        if request is None:
            self.deadline = self._shared.deadlines.now + self._shared.patience.idle
        else:
            self.deadline = request.wait_until()

    def forget_request(self) -> None:
        self.request = None

    def go_on(self) -> None:
        if self.persistence is not KEPT or self._state is CLOSING:
            self.shut_down()
            return
        self._state = IDLE
        self.deadline = self._shared.deadlines.now + self._shared.patience.idle
        if self._edge.is_draining:
            self.drain()
        if self.buffer or self._is_paused:
            self._advance()

    # Closing.

    def drain(self) -> None:
        request = self.request
        if request is None:
            self.close_after()
            self.deadline = min(self.deadline, self._shared.deadlines.now + DRAIN_IDLE_SECONDS)
        elif request.state is TUNNEL:
            request.end_for(GOING_AWAY)
        elif request.exchange is None or not request.exchange.answered_at:
            self.close_after()  # the head that is still to come will say so

    def abort(self) -> None:
        self._state = CLOSING
        self._transport.abort()
        if self.request is not None:
            self.request.abandon()

    def shut_down(self) -> None:
        """Send the rest of the response, then discard input for a moment, so that no reset destroys the response."""
        self._state = CLOSING
        self.buffer = b""
        if self._transport.is_closing():
            return
        self.read_on()
        self._unsent = self.count_unsent()
        patience = self._shared.patience.body if self._transport.get_write_buffer_size() else LINGER_SECONDS
        self.deadline = self._shared.deadlines.now + patience
        if self._transport.can_write_eof() and self.persistence is not HALF_CLOSED:
            self._transport.write_eof()
        else:
            self._transport.close()

    def _is_fast_enough(self) -> bool:
        """Whether the client reads fast enough; if so, extend the deadline."""
        patience, unsent = self._shared.patience, self.count_unsent()
        taken, self._unsent = self._unsent - unsent, unsent
        if not unsent or taken < patience.rate * patience.body:
            return False
        self.deadline = self._shared.deadlines.now + patience.body
        return True
