"""What a client's request needs of its two neighbours: the connection it came on, and the exchange that carries it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from gateway.wire.failures import Failure


class Persistence(IntEnum):
    """Whether the connection is used again after the current answer (RFC 9112 §9.3)."""

    KEPT = 0
    LAST = 1
    HALF_CLOSED = 2  # the client ended its side: not used again, and nothing more comes


KEPT, LAST, HALF_CLOSED = Persistence


class Connection(Protocol):
    """See edge.connection.ClientConnection. `buffer` is what came behind what was read."""

    buffer: bytes
    deadline: float
    write: Callable[[bytes], None]
    persistence: Persistence

    def decide(self) -> None:
        """Hand the request to the one who decides about it."""

    def forget_request(self) -> None:
        """It is over."""

    def go_on(self) -> None:
        """Its answer is complete: wait for the next request, or end."""

    def close_after(self) -> None: ...
    def set_deadline(self) -> None: ...
    def stop_reading(self) -> None: ...
    def read_on(self) -> None: ...
    def count_unsent(self) -> int: ...
    def shut_down(self) -> None: ...
    def abort(self) -> None: ...


class Exchange(Protocol):
    """See proxy.exchange.Exchange.

    `began_at` is when the request went out and `answered_at` when the head of its answer came, in nanoseconds of the
    performance counter, and 0 before; `sent` counts the bytes of the answer's body so far.
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
