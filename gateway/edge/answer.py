"""The bytes of an answer that the gateway gives itself, and what is refused before it becomes a head. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from gateway.wire.failures import Failure

HEAD_METHOD = re.compile(rb"HEAD(?![!#$%&'*+\-.^_`|~0-9A-Za-z])")  # as a whole word, whatever follows it
LONE_CR_OR_LF = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close"
KEEP_ALIVE = b"Connection: keep-alive"


def whole_answer(status: int, lines: Iterable[bytes], body: bytes, connection: bytes, *, is_for_head: bool) -> bytes:
    """Return head and body. `lines` are field lines without framing, `connection` one more, or empty.

    An answer to HEAD says the length that GET would have had, and has no content (RFC 9110 §9.3.2).
    """
    head = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode("ascii")), *lines]
    if status != 204:
        head.append(b"Content-Length: %d" % len(body))
    if connection:
        head.append(connection)
    return b"%b\r\n\r\n%b" % (b"\r\n".join(head), b"" if is_for_head else body)


def asks_for_head(unread: bytes) -> bool:
    """Whether the first bytes of what could not be read say HEAD: its answer has no content, whatever fails."""
    return HEAD_METHOD.match(unread) is not None


def find_failure(begun: bytes, max_bytes: int) -> Failure | None:
    """Return why the beginning of a head can't become one, so that nobody waits for it to end."""
    if len(begun) > max_bytes:
        return Failure.HEAD_TOO_LARGE
    if begun and (not begun[:1].isalpha() or LONE_CR_OR_LF.search(begun)):
        return Failure.BAD_REQUEST
    return None
