"""Serialises the gateway's own responses, and detects invalid heads early. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from gateway.wire.failures import Failure

HEAD_METHOD = re.compile(rb"HEAD(?![!#$%&'*+\-.^_`|~0-9A-Za-z])")  # as a whole word
LONE_CR_OR_LF = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close"
KEEP_ALIVE = b"Connection: keep-alive"


def whole_answer(status: int, lines: Iterable[bytes], body: bytes, connection: bytes, *, is_for_head: bool) -> bytes:
    """Return the complete response. `lines` are field lines without framing, `connection` one more, or b"".

    The response to HEAD has the Content-Length of GET and no content (RFC 9110 §9.3.2).
    """
    head = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode("ascii")), *lines]
    if status != 204:
        head.append(b"Content-Length: %d" % len(body))
    if connection:
        head.append(connection)
    return b"%b\r\n\r\n%b" % (b"\r\n".join(head), b"" if is_for_head else body)


def is_head_request(unread: bytes) -> bool:
    """Whether an unparsed request begins with HEAD, so that its error response must have no content."""
    return HEAD_METHOD.match(unread) is not None


def find_failure(begun: bytes, max_bytes: int) -> Failure | None:
    """Return why this can't become a valid head, so that it is refused before its end arrives; None if it can."""
    if len(begun) > max_bytes:
        return Failure.HEAD_TOO_LARGE
    if begun and (not begun[:1].isalpha() or LONE_CR_OR_LF.search(begun)):
        return Failure.BAD_REQUEST
    return None
