"""HTTP/1.1 framing (RFC 9112): field lines, and the end of a body. Pure; used for clients and the upstream.

Stricter than the RFC wherever servers are known to interpret the same bytes differently, since each such difference
allows request smuggling. `edge.request` and `proxy.response` interpret the heads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Protocol

HEAD_END = b"\r\n\r\n"
NO_BODY = b""
# All methods that llhttp knows, except CONNECT (which would tunnel) and TRACE (which would reveal cookies to scripts).
METHODS = frozenset(
    (
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"),
        # WebDAV and its extensions: RFC 3253, 3744, 4791, 4918, 5323 and 5842.
        *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "BIND", "REBIND", "UNBIND"),
        *("ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "MKCALENDAR"),
        *("LINK", "UNLINK", "PURGE", "SOURCE", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH"),
    )
)
ALLOW = b"Allow: " + ", ".join(sorted(METHODS)).encode("ascii")
# Idempotent according to IANA's registry of methods, so these requests may be retried.
IDEMPOTENT = METHODS - {"POST", "PATCH", "LOCK", "PURGE", "SOURCE", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH"}
LAST_CHUNK = b"0\r\n\r\n"

FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
DIGITS = re.compile(rb"[0-9]{1,18}")  # 18 digits stay below 2**63
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?")
MAX_CHUNK_LINE = 256  # bytes; extensions are dropped, and no known client sends long ones
MAX_TRAILERS = 8_192  # bytes; trailers are dropped too

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


class BadBody(Exception):
    """The framing of a body is invalid, so the rest of the connection can't be trusted."""


def split_field(line: bytes) -> tuple[bytes, bytes] | None:
    """Return (lower-case name, value without surrounding white space), or None if it is not one valid line."""
    name, colon, value = line.partition(b":")
    if not colon or FIELD_NAME.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
        return None
    return name.lower(), value.strip(b" \t")


def read_length(value: bytes) -> int | None:
    """Return a Content-Length in bytes, or None unless it is 1 to 18 ASCII digits."""
    return int(value) if DIGITS.fullmatch(value) else None


def tokens(value: bytes) -> list[bytes]:
    """Return the lower-case elements of a comma-separated list such as Connection's (RFC 9110 §5.6.1)."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def following(lines: Iterable[bytes]) -> bytes:
    """Join the field lines of a head, from the end of its first line to the empty line."""
    return b"\r\n".join((b"", *lines, b"\r\n"))


def nominated(options: frozenset[bytes]) -> frozenset[bytes]:
    """Return the fields that Connection makes hop-by-hop, given its options (RFC 9110 §7.6.1)."""
    return options - {b"close", b"keep-alive", b"upgrade"}


def leave_out(lines: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    """Return the field lines whose names are not in `names` (lower case)."""
    return [line for line in lines if line.partition(b":")[0].lower() not in names]


def chunk(payload: bytes) -> bytes:
    """Frame `payload` as one chunk. An empty payload gives no chunk, because that would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else NO_BODY


class Body(Protocol):
    """Finds the end of one body in a stream of bytes."""

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        """Return (payload, rest). `rest` is None until the body has ended, then the bytes that follow it.

        Raises BadBody if the framing is invalid.
        """


class LengthBody:
    """A body with a Content-Length."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        size = len(received)
        if size < self.left:
            self.left -= size
            return received, None
        end, self.left = self.left, 0
        return (received, NO_BODY) if size == end else (received[:end], received[end:])


class UntilClose:
    """A response body that ends when the connection closes (RFC 9112 §6.3, rule 8)."""

    __slots__ = ()

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        return received, None


class Awaited(Enum):
    """What a chunked body goes on with."""

    SIZE = "size"
    PAYLOAD = "payload"
    PAYLOAD_END = "payload_end"
    TRAILERS = "trailers"


SIZE, PAYLOAD, PAYLOAD_END, TRAILERS = Awaited


class ChunkedBody:
    """Decodes a chunked body (RFC 9112 §7.1). Extensions and trailers are validated and dropped.

    Chunks that arrive together are returned as one payload, so that a body of tiny chunks is not more work for the
    recipient than for us.
    """

    __slots__ = ("_awaited", "_buffer", "_left", "_trailers")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._awaited = SIZE
        self._trailers = 0

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        buffer = self._buffer + received if self._buffer else received
        payload: list[bytes] = []
        at, size = 0, len(buffer)
        while True:
            if self._awaited is PAYLOAD:
                piece = buffer[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._awaited = PAYLOAD_END
            elif self._awaited is PAYLOAD_END:
                if size - at < 2:
                    if not b"\r\n".startswith(buffer[at:]):
                        raise BadBody("a chunk does not end where it said")
                    break
                if buffer[at : at + 2] != b"\r\n":
                    raise BadBody("a chunk does not end where it said")
                at += 2
                self._awaited = SIZE
            else:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    self._check_open_line(buffer, at)
                    break
                line, at = buffer[at:end], end + 2
                if self._awaited is SIZE:
                    self._begin_chunk(line)
                elif not line:
                    return b"".join(payload), buffer[at:]
                else:
                    self._check_trailer(line)
        self._buffer = buffer[at:]
        return b"".join(payload), None

    def _begin_chunk(self, line: bytes) -> None:
        match = CHUNK_LINE.fullmatch(line) if len(line) <= MAX_CHUNK_LINE else None
        if match is None:
            raise BadBody("the size of a chunk is not plain hexadecimal")
        self._left = int(match[1], 16)
        self._awaited = PAYLOAD if self._left else TRAILERS

    def _check_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > MAX_TRAILERS or split_field(line) is None:
            raise BadBody("a trailer is malformed, or there are too many")

    def _check_open_line(self, buffer: bytes, at: int) -> None:
        limit = MAX_CHUNK_LINE if self._awaited is SIZE else MAX_TRAILERS
        # A CR at the very end may be the first half of the line ending. (Not `buffer[at:-1]`: see process/compiled.py.)
        has_lone_cr = buffer.find(b"\r", at, len(buffer) - 1) >= 0
        if len(buffer) - at > limit or b"\n" in buffer[at:] or has_lone_cr:
            raise BadBody("a line of the chunked framing is too long, or broken by a lone CR or LF")
