"""The request body: its end, the buffered part, and its minimum rate.

A body to relay is buffered first, up to GATHER_BYTES, so that a slow upload occupies no upstream connection. A client
that sends more slowly than the minimum rate, or hardly at all, runs into the deadline.
"""

from __future__ import annotations

from gateway.edge.shared import Patience
from gateway.model.inbound import CHUNKED
from gateway.wire.http1 import NO_BODY, Body, ChunkedBody, LengthBody

GATHER_BYTES = 65_536  # of a body that are buffered before the upstream is used
PROGRESS_BYTES = 1_024  # a body must progress by at least this much within its deadline


class IncomingBody:
    """`length` is the Inbound's. `now` and all deadlines are in the seconds of `Deadlines.now`.

    `gathered` is the buffered part; `received` counts the bytes since the rate measurement began.
    """

    __slots__ = ("_began", "_framing", "_progress", "gathered", "is_whole", "received")

    def __init__(self, length: int, now: float) -> None:
        self._framing: Body = ChunkedBody() if length == CHUNKED else LengthBody(length)
        self._began = now
        self._progress = 0  # since the deadline was last set
        self.received = 0
        self.gathered = bytearray()
        self.is_whole = False

    @property
    def has_enough(self) -> bool:
        """Whether enough of the body is buffered."""
        return self.is_whole or len(self.gathered) >= GATHER_BYTES

    def take(self, received: bytes) -> tuple[bytes, bytes]:
        """Return the payload, and the bytes that follow the body. Raises BadBody."""
        payload, rest = self._framing.feed(received)
        self.is_whole = rest is not None
        return payload, rest or NO_BODY

    def gather(self, received: bytes) -> bytes:
        """Buffer the payload; return the bytes that follow the body. Raises BadBody."""
        payload, rest = self.take(received)
        self.gathered += payload
        return rest

    def release(self) -> bytes:
        """Return the buffered part, and clear it."""
        gathered, self.gathered = self.gathered, bytearray()
        return bytes(gathered)

    def note_progress(self, size: int) -> bool:
        """Count received bytes; return whether they justify a new deadline."""
        self.received += size
        self._progress += size
        if self._progress < PROGRESS_BYTES:
            return False
        self._progress = 0
        return True

    def deadline(self, now: float, patience: Patience) -> float:
        """Return when more must arrive: `patience.body` seconds from now, or from when due at the minimum rate."""
        return min(now, self._began + self.received / patience.rate) + patience.body

    def measure_anew(self, now: float) -> None:
        """Restart the measurement of the rate, after a pause that the client did not cause."""
        self._began, self.received = now, 0
