"""One request of a client, from its complete head to the end of its response. It is in one of these states:

    FRAMING    the first chunk of a chunked body is not validated yet; `Edge.handle` was not called
    ASKED      `Edge.handle` was called: it responds, relays, or waits for the store. No deadline for the client
    GATHERING  the body is being buffered, up to GATHER_BYTES (edge.incoming); holds a share of `Shared.bodies`
    RELAYED    `exchange` carries the request and the rest of its body
    TUNNEL     101 was sent: bytes are forwarded in both directions
    OVER       the response is complete or cut off, or the client is gone; the connection has dropped the request

Only RELAYED and TUNNEL have an exchange, only GATHERING holds a share, and a TUNNEL has no body.

    event                 FRAMING        ASKED            GATHERING      RELAYED                     TUNNEL
    has_enough is False   -              -> GATHERING     -              -                           -
    bytes arrive          -> ASKED (1)   buffered         -> ASKED (2)   to the body, else buffered  forwarded
    bad framing           400, OVER      400, OVER        400, OVER      exchange fails              -
    relay                 -              -> RELAYED       -              -                           -
    begin_tunnel          -              -                -              -> TUNNEL (3)               -
    answer, refuse        -> OVER        -> OVER          -> OVER        -> OVER, by the exchange    -
    finish, cut           -              -                -              -> OVER                     -> OVER
    end_for               -              -                -              -> OVER                     close frame, OVER
    deadline              408, OVER      -                408, OVER      exchange fails              -
    client is gone        -> OVER        -> OVER          -> OVER        exchange abandoned, OVER    the same

(1) once the first chunk is valid; (2) once enough is buffered. Both call `Edge.handle`, which authorises the request
again. (3) A draining worker ends it at once, as it ended the tunnels that were open: nothing else would.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from time import perf_counter_ns

from gateway.edge.answer import CLOSE, CONTINUE, KEEP_ALIVE, whole_answer
from gateway.edge.contracts import KEPT, Connection, Exchange
from gateway.edge.incoming import IncomingBody
from gateway.edge.shared import Shared
from gateway.model.inbound import CHUNKED, Inbound
from gateway.model.page_view import Opened
from gateway.model.session import Session
from gateway.observe.refusals import Scarce
from gateway.wire.deadlines import NEVER
from gateway.wire.failures import Failure
from gateway.wire.http1 import BadBody
from gateway.wire.websocket import GOING_AWAY, close_frame, is_heartbeat


class RequestState(Enum):
    FRAMING = "framing"
    ASKED = "asked"
    GATHERING = "gathering"
    RELAYED = "relayed"
    TUNNEL = "tunnel"
    OVER = "over"


FRAMING, ASKED, GATHERING, RELAYED, TUNNEL, OVER = RequestState


class ClientRequest:
    """`account` is the id of the sender's account, "" if anonymous. `view` is set if a page view is recorded.

    `started` is when the head was complete, in nanoseconds of the performance counter. `write` sends to the client.
    """

    __slots__ = (
        "_body", "_connection", "_has_sent", "_shared", "_taken", "account", "exchange", "inbound", "started", "state",
        "view", "write",
    )  # fmt: skip

    def __init__(self, connection: Connection, shared: Shared, inbound: Inbound, started: int) -> None:
        self._connection = connection
        self._shared = shared
        self._body: IncomingBody | None = None
        self._has_sent = False  # a part of a body or a tunnel, since `has_moved` was last called
        self._taken = 0  # bytes of the response that the client had received when `has_moved` was last called
        self.inbound = inbound
        self.started = started
        self.state = ASKED
        self.exchange: Exchange | None = None
        self.account = ""
        self.view: Opened | None = None
        self.write = connection.write

    @property
    def is_asked(self) -> bool:
        """Whether the request is still undecided: neither answered nor relayed."""
        return self.state is ASKED

    # The request body.

    def begin_body(self) -> None:
        """Start reading the body. The first chunk of a chunked body is validated before the request is handled."""
        inbound, connection = self.inbound, self._connection
        body = self._body = IncomingBody(inbound.length, self._shared.deadlines.now)
        if inbound.length == CHUNKED and not inbound.expects_continue:
            self.state = FRAMING
            connection.set_deadline()
            if connection.buffer:
                self._judge_first_chunk(body)
        else:
            connection.decide()

    def receive(self, received: bytes) -> None:
        """Take bytes that arrived during the request. Those after its end stay in the connection's buffer."""
        state, body = self.state, self._body
        if state is TUNNEL and self.exchange is not None:
            self._has_sent = self._has_sent or not is_heartbeat(received)
            self.exchange.send_raw(received)
        elif state is RELAYED and body is not None and not body.is_whole:
            self._pass_on(body, received)
        else:
            self._connection.buffer += received
            if state is FRAMING and body is not None:
                self._judge_first_chunk(body)
            elif state is GATHERING and body is not None and self._gather(body):
                self._stop_gathering()
                self.started = perf_counter_ns()  # the time for the body is the client's
                self._connection.decide()

    def has_enough(self) -> bool:
        """Whether the body has arrived, or as much of it as is buffered.

        If not, the caller must return: `Edge.handle` is called again later, or the request has been refused.
        """
        body = self._body
        if body is None or body.is_whole or self._gather(body):
            return True
        if self.state is ASKED:
            self._begin_gathering(body)
        return False

    def wait_until(self) -> float:
        """Return the body's deadline; NEVER if nothing more is expected from the client."""
        body = self._body
        if body is None or body.is_whole:
            return NEVER
        return body.deadline(self._shared.deadlines.now, self._shared.patience)

    @property
    def is_whole(self) -> bool:
        return self._body is None or self._body.is_whole

    def _judge_first_chunk(self, body: IncomingBody) -> None:
        connection = self._connection
        try:
            connection.buffer = body.gather(connection.buffer)
        except BadBody:
            self.refuse(Failure.BAD_REQUEST)
            return
        if body.gathered or body.is_whole:
            self.state = ASKED
            connection.deadline = NEVER
            self._connection.decide()

    def _begin_gathering(self, body: IncomingBody) -> None:
        if not self._shared.take(Scarce.BODIES, self.inbound.address):
            self.refuse(Failure.TOO_MANY)
            return
        self.state = GATHERING
        if self.inbound.expects_continue and not body.received:
            self.write(CONTINUE)
        self._connection.set_deadline()
        self._connection.read_on()  # reading may have been paused, by an earlier request or while the store was queried

    def _gather(self, body: IncomingBody) -> bool:
        """Buffer the received bytes. Returns whether they are enough; refuses the request if the framing is invalid."""
        connection = self._connection
        received, connection.buffer = connection.buffer, b""
        if received:
            self._note_progress(body, len(received))
            try:
                connection.buffer = body.gather(received)
            except BadBody:
                self.refuse(Failure.BAD_REQUEST)
                return False
        if body.has_enough:
            connection.deadline = NEVER
        return body.has_enough

    def _stop_gathering(self) -> None:
        self._shared.release(Scarce.BODIES, self.inbound.address)
        self.state = ASKED

    def _pass_on(self, body: IncomingBody, received: bytes) -> None:
        exchange, connection = self.exchange, self._connection
        if exchange is None:
            return
        try:
            payload, connection.buffer = body.take(received)
        except BadBody:
            exchange.fail(Failure.BAD_REQUEST)
            return
        self._note_progress(body, len(received))
        if body.is_whole:
            connection.deadline = NEVER
        exchange.send_body(payload, body.is_whole)

    def _note_progress(self, body: IncomingBody, size: int) -> None:
        self._has_sent = True
        if body.note_progress(size):
            self._connection.set_deadline()

    # Outcomes: `answer`, `refuse`, or `relay`.

    def answer(self, status: int, lines: Iterable[bytes], body: bytes, *, closes: bool = False) -> None:
        """Send a complete response. `lines` are field lines without framing."""
        if closes:
            self._connection.close_after()
        inbound = self.inbound
        persistence = CLOSE if self.will_close() else b"" if inbound.is_http_1_1 else KEEP_ALIVE
        is_for_head = inbound.method == "HEAD"
        self.write(whole_answer(status, lines, body, persistence, is_for_head=is_for_head))
        self.finish(status, 0 if is_for_head else len(body))

    def refuse(self, failure: Failure, session: Session | None = None) -> None:
        """Respond with a failure, as a page or as JSON. `session` is the person's, if any."""
        inbound, told = self.inbound, failure.value
        lines, body = self._shared.tell_failure(failure, inbound, inbound.request_id, session)
        self.answer(told.status, lines, body, closes=told.closes)

    def relay(self, exchange: Exchange) -> None:
        """Hand the request to `exchange`, with the part of the body that has arrived."""
        self.state = RELAYED
        self.exchange = exchange
        body, connection = self._body, self._connection
        if body is None:
            return
        connection.set_deadline()  # `send_body` suspends it again if there is no upstream connection
        if body.gathered or body.is_whole:
            exchange.send_body(body.release(), body.is_whole)
        if connection.buffer and not body.is_whole:
            received, connection.buffer = connection.buffer, b""
            self._pass_on(body, received)

    # Called by the exchange (see proxy.exchange.Client).

    def pause(self) -> None:
        self._connection.deadline = NEVER
        self._connection.stop_reading()

    def resume(self) -> None:
        if self._body is not None:
            self._body.measure_anew(self._shared.deadlines.now)
        self._connection.set_deadline()
        self._connection.read_on()

    def close_after(self) -> None:
        self._connection.close_after()

    def will_close(self) -> bool:
        if self._body is not None and not self._body.is_whole:
            self._connection.close_after()
        return self._connection.persistence is not KEPT

    def begin_tunnel(self) -> None:
        self.state = TUNNEL
        if self._connection.is_draining:
            self.end_for(GOING_AWAY)
            return
        self._connection.close_after()
        first, self._connection.buffer = self._connection.buffer, b""
        if first and self.exchange is not None:
            self.exchange.send_raw(first)
        self.resume()

    def finish(self, status: int, sent: int) -> None:
        self._shared.record(self, status, sent)
        if self._body is not None and not self._body.is_whole:
            self._connection.close_after()  # the rest of the body would be taken for the next request
        self._end(status)
        self._connection.go_on()

    def cut(self, status: int, sent: int) -> None:
        self._shared.record(self, status, sent)
        self._end()
        self._connection.abort()

    def end_view(self, status: int) -> None:
        """Complete the page view, if one is recorded. Only the first call counts."""
        view, self.view = self.view, None
        if view is not None:
            self._shared.note_view(view, status)

    # Called by the connection.

    def slow_down(self) -> None:
        if self.exchange is not None:
            self.exchange.slow_down()

    def speed_up(self) -> None:
        if self.exchange is not None:
            self.exchange.speed_up()

    def expire(self) -> None:
        """Fail because the client was too slow."""
        if self.exchange is not None:
            self.exchange.fail(Failure.REQUEST_TIMEOUT)
        else:
            self.refuse(Failure.REQUEST_TIMEOUT)

    def abandon(self) -> None:
        """Drop the request because the client is gone."""
        exchange = self.exchange
        self._end()
        if exchange is not None:
            exchange.abandon()

    # Re-authorisation (see dispatch.reauthorisation).

    def has_moved(self) -> bool:
        """Whether the client sent a part of a body or tunnel, or received a part of a response, since the last call.

        Receiving a stream does not count, because it continues while the person is away.
        """
        has_moved, self._has_sent = self._has_sent, False
        exchange = self.exchange
        if exchange is not None and not exchange.is_stream:
            taken = exchange.sent - self._connection.count_unsent()
            has_moved |= taken > self._taken
            self._taken = taken
        return has_moved

    def end_for(self, code: int, *, cleanly: bool = False) -> None:
        """End a relayed request, because its session has ended or the gateway shuts down. `code` is for WebSockets.

        `cleanly` ends an event stream as a complete response. Everything else is cut off, so that it is recognised as
        truncated.
        """
        exchange, connection, is_tunnel = self.exchange, self._connection, self.state is TUNNEL
        if exchange is None:
            return
        self._shared.record(self, 101 if is_tunnel else 499, 0)
        last = close_frame(code) if is_tunnel else exchange.ending if cleanly and exchange.is_stream else None
        self.abandon()
        if last is None:
            connection.abort()
        else:
            self.write(last)
            connection.shut_down()

    def _end(self, status: int = 499) -> None:
        if self.view is not None:  # though the client has left: the application may have done what was asked
            self._shared.note_view(self.view, status)
            self.view = None
        if self.state is GATHERING:
            self._stop_gathering()
        self.state = OVER
        self.exchange = None
        self._connection.forget_request()
