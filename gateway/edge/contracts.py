"""The interfaces of a request's two neighbours: the client's connection, and the exchange."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from gateway.wire.failures import Failure


class Persistence(IntEnum):
    """Whether the connection is reused after the current response (RFC 9112 §9.3)."""

    KEPT = 0
    LAST = 1
    HALF_CLOSED = 2  # the client closed its sending side: not reused, no more input


KEPT, LAST, HALF_CLOSED = Persistence


class Connection(Protocol):
    """See edge.connection.ClientConnection. `buffer` has the bytes that are not consumed yet."""

    buffer: bytes
    deadline: float
    write: Callable[[bytes], None]
    persistence: Persistence

    @property
    def is_draining(self) -> bool:
        """Whether the worker is leaving."""

    def decide(self) -> None:
        """Call `Edge.handle` for the request."""

    def forget_request(self) -> None:
        """Drop the request, because it is over."""

    def go_on(self) -> None:
        """Wait for the next request, or close, after a complete response."""

    def close_after(self) -> None: ...
    def set_deadline(self) -> None: ...
    def stop_reading(self) -> None: ...
    def read_on(self) -> None: ...
    def count_unsent(self) -> int: ...
    def shut_down(self) -> None: ...
    def abort(self) -> None: ...


class Exchange(Protocol):
    """See proxy.exchange.Exchange.

    `began_at` is when the request was sent and `answered_at` when the response head arrived, in nanoseconds of the
    performance counter; 0 before. `sent` counts the bytes of the response body.
    """

    began_at: int
    answered_at: int
    sent: int

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
