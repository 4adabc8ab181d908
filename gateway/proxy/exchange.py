"""One request on its way to an upstream, and the answer on its way back.

An exchange sits between two connections and owns neither: it tells each what to write, slows one down when the
other can't keep up, and makes sure that whatever breaks is seen as broken at the other end. It moves through
`sending → answering → over`, or from answering into a tunnel; each step is taken by the method of that name.

A connection that was kept open may have been closed by the upstream while the request was on its way. The
request is then sent once more on a fresh connection, but only where nothing can happen twice: an idempotent
method, nothing of a body sent, no byte of an answer seen (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

from gateway.model.inbound import CHUNKED, Inbound
from gateway.model.session import Session
from gateway.proxy.response import Answer, AnswerReader
from gateway.throttle.client import client_of
from gateway.wire.failures import Failure
from gateway.wire.http1 import IDEMPOTENT, LAST_CHUNK, chunk

NOT_KEPT = b"Cache-Control: private, no-store"  # no shared cache, and no back button, may show it to somebody else
ASK_AGAIN = b"Cache-Control: private, no-cache"


class Client(Protocol):
    """What an exchange needs of the connection from the client."""

    write: Callable[[bytes], None]

    def pause(self) -> None:
        """Stop reading: the upstream takes the body more slowly than it comes."""

    def resume(self) -> None: ...
    def close_after(self) -> None:
        """Nothing but the end of the connection will show where this answer ends."""

    def will_close(self) -> bool:
        """Whether the connection ends with this answer, as its head must then say."""

    def begin_tunnel(self) -> None: ...
    def finish(self, status: int, sent: int) -> None:
        """The answer is complete; `sent` counts the bytes of its body."""

    def refuse(self, failure: Failure, session: Session | None = None) -> None:
        """Nothing was answered yet: say what went wrong."""

    def cut(self, status: int, sent: int) -> None:
        """Break the connection, so that a truncated answer is never taken for a whole one."""


class Carrier(Protocol):
    """What an exchange needs of the connection to the upstream that carries it."""

    @property
    def write(self) -> Callable[[bytes], None]: ...

    def expect_answer(self) -> None:
        """The whole request was written: from now on the upstream is the one who keeps us waiting."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class Pool(Protocol):
    """What an exchange needs of the connections to its upstream."""

    @property
    def reader(self) -> AnswerReader: ...

    def connect(self, exchange: Exchange) -> None:
        """Carry an exchange, which has its slot, on a new connection."""

    def withdraw(self, exchange: Exchange) -> None:
        """The exchange's client is gone; it need not wait any longer."""


class Exchange:
    """`head` is the whole head for the upstream; `session` is whose answer it is, None for an answer to everybody.

    `began_at` is when the request went out, `answered_at` when the head of its answer came, in nanoseconds of the
    performance counter, and 0 before. `party` is whose slot of the upstream it takes, and `sent` counts the bytes of
    the answer's body so far. `connection` is None until there is one, and again once it has done its part or is lost:
    it must hear no more of this exchange.
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
        self._pending = b""  # of the body, until there is a connection
        self._may_repeat = True
        self.sent = 0

    @property
    def is_stream(self) -> bool:
        """Whether the answer has no end of its own: events, or a tunnel."""
        return self.is_tunnel or (self._answer is not None and self._answer.is_stream)

    @property
    def ending(self) -> bytes:
        """What the client has to be sent so that a stream that ends now is a whole answer."""
        return LAST_CHUNK if self._is_chunked_to_client else b""

    # From the client.

    def send_body(self, payload: bytes, is_last: bool) -> None:
        """Pass on a piece of the request's body; bytes that come before there is a connection wait here."""
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
        """Pass on bytes of a tunnel."""
        if self.connection is not None:
            self.connection.write(content)

    def slow_down(self) -> None:
        """The client takes the answer more slowly than it comes."""
        if self.connection is not None:
            self.connection.pause()

    def speed_up(self) -> None:
        if self.connection is not None:
            self.connection.resume()

    def abandon(self) -> None:
        """The client is gone: nobody is left to answer, and the upstream connection is of no use."""
        self.is_over = True
        self.upstream.withdraw(self)
        if self.connection is not None:
            self.connection.close()

    # From the upstream.

    def begin(self, connection: Carrier) -> None:
        """A connection is there: write the head, and what came of the body meanwhile."""
        self.connection = connection
        self.began_at = perf_counter_ns()
        if self.inbound.length:
            self.client.resume()  # it was told to wait for the connection if more came meanwhile
        if self._pending:
            self._may_repeat = False
            connection.write(self.head + self._pending)
            self._pending = b""
        else:
            connection.write(self.head)

    def may_retry(self) -> bool:
        return self._may_repeat and self._answer is None and self.inbound.method in IDEMPOTENT and not self.is_over

    def retry(self) -> None:
        """Once more, on a connection made for it."""
        self._may_repeat = False
        self.upstream.connect(self)

    def fail(self, failure: Failure) -> None:
        """There will be no answer, or not the rest of it."""
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
        """The head of the final answer is there, with the lines that pass and the first bytes of its body."""
        self._answer = answer
        self.answered_at = perf_counter_ns()
        lines = [answer.status_line, *passing]
        if self.session is not None and not answer.has_cache_rule:
            lines.append(ASK_AGAIN if self.upstream.reader.may_be_kept(answer, passing) else NOT_KEPT)
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
        self.client.write(b"\r\n".join(lines))  # in one join, so that the bytes are copied once
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
        """The upstream answered 101; `first` are the bytes behind its head."""
        self._answer = answer
        self.answered_at = perf_counter_ns()
        self.is_tunnel = True
        head = b"\r\n".join((answer.status_line, *passing, b"Connection: Upgrade", b"Upgrade: websocket"))
        self.client.write(b"%b\r\n\r\n%b" % (head, first))
        self.client.begin_tunnel()

    def pass_back(self, content: bytes) -> None:
        """Bytes of a tunnel for the client."""
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
