"""One request to an upstream, and its response.

An exchange sits between two connections and owns neither. It tells each what to write, applies backpressure, and passes
on failures. Its states are `sending → answering → over`, or from answering into a tunnel; each transition is the method
of that name.

The upstream may close an idle connection while a request is on its way. The request is then retried once on a new
connection, if that can have no effect twice: an idempotent method, none of the body sent, no byte of a response
received (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

from gateway.model.inbound import CHUNKED, Inbound
from gateway.model.page_view import Opened
from gateway.model.session import Session
from gateway.proxy.response import Answer, AnswerReader
from gateway.throttle.client import client_of
from gateway.wire.failures import Failure
from gateway.wire.http1 import IDEMPOTENT, LAST_CHUNK, chunk

NO_STORE = b"Cache-Control: private, no-store"  # so that no shared cache or back button shows it to others
REVALIDATE = b"Cache-Control: private, no-cache"


class Client(Protocol):
    """The interface of the client's connection, as used by an exchange."""

    write: Callable[[bytes], None]
    view: Opened | None
    """None if the request is not recorded as a page view: a request without one makes no call."""

    def pause(self) -> None:
        """Stop reading, because the upstream reads the body more slowly than it arrives."""

    def resume(self) -> None: ...
    def close_after(self) -> None:
        """Close the connection after this response, because its end is not marked otherwise."""

    def will_close(self) -> bool:
        """Whether the connection closes after this response, so that its head must say so."""

    def begin_tunnel(self) -> None: ...
    def finish(self, status: int, sent: int) -> None:
        """End the response; `sent` counts the bytes of its body."""

    def refuse(self, failure: Failure, session: Session | None = None) -> None:
        """Respond with a failure. Called only before any of the response was sent."""

    def cut(self, status: int, sent: int) -> None:
        """Break the connection, so that the client recognises the response as truncated."""

    def end_view(self, status: int) -> None:
        """Complete the page view, if there is one."""


class Carrier(Protocol):
    """The interface of the upstream's connection, as used by an exchange."""

    @property
    def write(self) -> Callable[[bytes], None]: ...

    def expect_answer(self) -> None:
        """Start the timeout for the response head; the whole request has been written."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class Pool(Protocol):
    """The interface of the upstream's pool, as used by an exchange."""

    @property
    def reader(self) -> AnswerReader: ...

    def connect(self, exchange: Exchange) -> None:
        """Carry an exchange that holds a slot on a new connection."""

    def withdraw(self, exchange: Exchange) -> None:
        """Remove an exchange from the queue."""


class Exchange:
    """A request and its response. `head` is the complete request head for the upstream.

    `session` is the one that the response is for; None for a public response. `party` is the client that the slot is
    counted for. `began_at` is when the request was sent, `answered_at` when the response head arrived, in nanoseconds
    of the performance counter; 0 before. `sent` counts the bytes of the response body. `connection` is None before the
    exchange begins, and after the connection's part is over or it is lost.
    """

    __slots__ = (
        "_answer",
        "_is_chunked_to_client",
        "_may_repeat",
        "_pending",
        "answered_at",
        "began_at",
        "client",
        "connection",
        "head",
        "inbound",
        "is_over",
        "is_request_complete",
        "is_tunnel",
        "party",
        "sent",
        "session",
        "upstream",
    )

    def __init__(self, client: Client, inbound: Inbound, upstream: Pool, head: bytes, session: Session | None) -> None:
        self.client = client
        self.inbound = inbound
        self.party = client_of(inbound.address)
        self.upstream = upstream
        self.head = head
        self.connection: Carrier | None = None
        self.is_request_complete = inbound.length == 0
        self.is_tunnel = False
        self.is_over = False
        self.session = session
        self.began_at = self.answered_at = 0
        self._is_chunked_to_client = False
        self._answer: Answer | None = None
        self._pending = b""  # the part of the body that arrived before the connection was made
        self._may_repeat = True
        self.sent = 0

    @property
    def is_stream(self) -> bool:
        """Whether the response is endless: server-sent events, or a tunnel."""
        return self.is_tunnel or (self._answer is not None and self._answer.is_stream)

    @property
    def ending(self) -> bytes:
        """The bytes that complete the response if a stream is ended now."""
        return LAST_CHUNK if self._is_chunked_to_client else b""

    # Called by the client's connection.

    def send_body(self, payload: bytes, is_last: bool) -> None:
        """Forward a piece of the request body. Without a connection it is buffered."""
        framed = payload
        if self.inbound.length == CHUNKED:
            framed = chunk(payload) + (LAST_CHUNK if is_last else b"")
        self.is_request_complete = is_last
        if self.connection is None:
            self._pending += framed
            if not is_last:
                self.client.pause()
        elif framed:
            self._may_repeat = False
            self.connection.write(framed)
        if is_last and self.connection is not None:
            self.connection.expect_answer()

    def send_raw(self, content: bytes) -> None:
        """Forward bytes of a tunnel to the upstream."""
        if self.connection is not None:
            self.connection.write(content)

    def slow_down(self) -> None:
        """Pause the upstream, because the client reads the response more slowly than it arrives."""
        if self.connection is not None:
            self.connection.pause()

    def speed_up(self) -> None:
        if self.connection is not None:
            self.connection.resume()

    def abandon(self) -> None:
        """End the exchange without a response, because the client is gone."""
        self.is_over = True
        self.upstream.withdraw(self)
        if self.connection is not None:
            self.connection.close()

    # Called by the upstream's connection.

    def begin(self, connection: Carrier) -> None:
        """Write the head, and the part of the body that has arrived."""
        self.connection = connection
        self.began_at = perf_counter_ns()
        if self.inbound.length:
            self.client.resume()  # `send_body` may have paused it
        if self._pending:
            self._may_repeat = False
            connection.write(self.head + self._pending)
            self._pending = b""
        else:
            connection.write(self.head)

    def may_retry(self) -> bool:
        return self._may_repeat and self._answer is None and self.inbound.method in IDEMPOTENT and not self.is_over

    def retry(self) -> None:
        """Send the request again on a new connection."""
        self._may_repeat = False
        self.upstream.connect(self)

    def fail(self, failure: Failure) -> None:
        """End the exchange with a failure; if a part of the response was sent, cut it off."""
        if self.is_over:
            return
        self.is_over = True
        self.upstream.withdraw(self)
        if self.connection is not None:
            self.connection.close()
        if self._answer is None:
            self.client.refuse(failure, self.session)
        else:
            self.client.cut(self._answer.status, self.sent)

    def answer(self, answer: Answer, passing: list[bytes], payload: bytes, is_whole: bool) -> None:
        """Send the final response's head to the client, with the lines to forward and the first bytes of its body."""
        self._answer = answer
        self.answered_at = perf_counter_ns()
        if not is_whole and self.client.view is not None:
            self.client.end_view(answer.status)  # now, as a stream may go on for hours
        lines = [answer.status_line, *passing]
        if self.session is not None and not answer.has_cache_rule:
            lines.append(REVALIDATE if self.upstream.reader.may_be_cached(answer, passing) else NO_STORE)
        if answer.length < 0:  # CHUNKED or UNTIL_CLOSE
            self._is_chunked_to_client = self.inbound.is_http_1_1
            if self._is_chunked_to_client:
                lines.append(b"Transfer-Encoding: chunked")
            else:
                self.client.close_after()
        elif answer.length_line is not None:
            lines.append(answer.length_line)
        if self.client.will_close():
            lines.append(b"Connection: close")
        elif not self.inbound.is_http_1_1:
            lines.append(b"Connection: keep-alive")
        self.sent = len(payload)
        lines += (b"", self._frame(payload, is_whole) if self._is_chunked_to_client else payload)
        self.client.write(b"\r\n".join(lines))  # one join copies the bytes once
        if is_whole:
            self._finish()

    def answer_body(self, payload: bytes, is_whole: bool) -> None:
        self.sent += len(payload)
        framed = self._frame(payload, is_whole) if self._is_chunked_to_client else payload
        if framed:
            self.client.write(framed)
        if is_whole:
            self._finish()

    def open_tunnel(self, answer: Answer, passing: list[bytes], first: bytes) -> None:
        """Start a tunnel after the upstream's 101; `first` are the bytes that followed its head."""
        self._answer = answer
        self.answered_at = perf_counter_ns()
        self.is_tunnel = True
        if self.client.view is not None:
            self.client.end_view(answer.status)
        head = b"\r\n".join((answer.status_line, *passing, b"Connection: Upgrade", b"Upgrade: websocket"))
        self.client.write(b"%b\r\n\r\n%b" % (head, first))
        self.client.begin_tunnel()

    def pass_back(self, content: bytes) -> None:
        """Forward bytes of a tunnel to the client."""
        self.sent += len(content)
        self.client.write(content)

    def end_tunnel(self) -> None:
        self._finish()

    def _frame(self, payload: bytes, is_whole: bool) -> bytes:
        return chunk(payload) + (LAST_CHUNK if is_whole else b"")

    def _finish(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.client.finish(self._answer.status if self._answer else 0, self.sent)
