"""The body of one request as it comes from a client: where it ends, what is gathered of it, and how fast it must come.

What is to be relayed is gathered first, up to GATHER_BYTES: until then a request takes nothing of an upstream, however
slowly it comes. A client that sends more slowly than it has to is given up by its deadline, and so is one that sends
next to nothing.
"""

from __future__ import annotations

from gateway.edge.shared import Patience
from gateway.model.inbound import CHUNKED
from gateway.wire.http1 import NO_BODY, Body, ChunkedBody, LengthBody

GATHER_BYTES = 65_536  # of a body that are received before an upstream is asked
PROGRESS_BYTES = 1_024  # a body that brings less than this within its deadline is not coming at all


class IncomingBody:
    """`length` is that of the Inbound. `now` and all deadlines are in the seconds of `Deadlines.now`.

    `is_whole` once its end has come; `gathered` is what came before there was an exchange; `received` counts the bytes
    since the client's rate began to be measured.
    """

    __slots__ = ("_began", "_framing", "_progress", "gathered", "is_whole", "received")

    def __init__(self, length: int, now: float) -> None:
        self._framing: Body = ChunkedBody() if length == CHUNKED else LengthBody(length)
        self._began = now
        self._progress = 0  # bytes since the last deadline
        self.received = 0
        self.gathered = bytearray()
        self.is_whole = False

    @property
    def has_enough(self) -> bool:
        """Whether as much of it is here as is gathered."""
        return self.is_whole or len(self.gathered) >= GATHER_BYTES

    def take(self, received: bytes) -> tuple[bytes, bytes]:
        """Return the payload in these bytes, and those that follow the body's end. Raises BadBody."""
        payload, rest = self._framing.feed(received)
        self.is_whole = rest is not None
        return payload, rest or NO_BODY

    def gather(self, received: bytes) -> bytes:
        """Keep the payload in these bytes; return those that follow the body's end. Raises BadBody."""
        payload, rest = self.take(received)
        self.gathered += payload
        return rest

    def release(self) -> bytes:
        """Return what was gathered, and keep it no longer."""
        gathered, self.gathered = self.gathered, bytearray()
        return bytes(gathered)

    def note_progress(self, size: int) -> bool:
        """Count bytes that came; return whether there were enough of them for another deadline."""
        self.received += size
        self._progress += size
        if self._progress < PROGRESS_BYTES:
            return False
        self._progress = 0
        return True

    def deadline(self, now: float, patience: Patience) -> float:
        """Return until when more has to come: that long from now, or from when it was due at the least rate."""
        return min(now, self._began + self.received / patience.rate) + patience.body

    def measure_anew(self, now: float) -> None:
        """Measure the client's rate from now on: until now it was not the client who was slow."""
        self._began, self.received = now, 0
