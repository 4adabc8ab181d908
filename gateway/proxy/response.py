"""Judges the head of an upstream's answer, and takes out what is not for the client.

An upstream is trusted more than a client, but not to frame: an answer whose end could be read in two ways is
refused, because what follows it would be taken for the next person's answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.http1 import HOP_BY_HOP, read_length, split_field, tokens

CHUNKED = -1
UNTIL_CLOSE = -2

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
WITHOUT_BODY = frozenset((204, 304))
CONNECTION_OPTIONS = frozenset((b"close", b"keep-alive", b"upgrade"))  # what Connection says without naming a field
MEMO_LINES = 4_096
MEMO_LINE_BYTES = 1_024

KEEP, DROP, LENGTH, CODING, CONNECTION, UPGRADE, STREAM, CACHE, OWN_COOKIE, BAD = range(10)


class Answer(NamedTuple):
    """The head of an answer that was judged and accepted.

    status_line   with our version: an HTTP/1.0 upstream's answer leaves as HTTP/1.1
    lines         the field lines for the client, without framing and hop-by-hop fields
    length        of the body in bytes, or CHUNKED, or UNTIL_CLOSE; 0 where the answer can have none
    length_line   Content-Length as it came, also where it only tells what a GET would have sent
    is_reusable   whether the connection may carry another request after this answer
    own_cookies   how many Set-Cookie fields for one of the gateway's own names were taken out
    """

    status: int
    status_line: bytes
    lines: list[bytes]
    length: int
    length_line: bytes | None
    is_reusable: bool
    is_websocket: bool
    is_stream: bool
    has_cache_rule: bool
    own_cookies: int


class AnswerReader:
    """Reads answers for one upstream; `own_cookies` are the cookie names that this upstream may not set."""

    __slots__ = ("_kept", "_known", "_own_cookies")

    def __init__(self, own_cookies: frozenset[bytes]) -> None:
        self._own_cookies = own_cookies
        self._kept: set[bytes] = set()  # lines that were judged before and simply pass
        self._known: dict[bytes, tuple[int, bytes]] = {}  # lines that were judged before and mean something here

    def read(self, head: bytes, method: str) -> Answer | None:
        """Return the Answer of `head` (without the empty line), given to a request of `method`; None to refuse."""
        status_line, *lines = head.split(b"\r\n")
        match = STATUS_LINE.fullmatch(status_line)
        if match is None or not is_accepted_by_llhttp(head):
            return None
        status = int(match[2])
        known_to_pass = self._kept
        kept = [line for line in lines if line in known_to_pass]
        fresh: list[bytes] = []
        length_line: bytes | None = None
        options: list[bytes] = []
        is_chunked = is_websocket = is_stream = has_cache_rule = False
        own_cookies = 0
        for line in lines:
            if line in known_to_pass:
                continue
            kind, value = self._known.get(line) or self._judge(line)
            if kind == LENGTH:
                if length_line is not None:
                    return None
                length_line = line
            elif kind == STREAM:
                fresh.append(line)
                is_stream = True
            elif kind == CONNECTION:
                options += tokens(value)
            elif kind == KEEP:
                fresh.append(line)
            elif kind == CACHE:
                fresh.append(line)
                has_cache_rule = True
            elif kind == CODING:
                if is_chunked:
                    return None
                is_chunked = True
            elif kind == UPGRADE:
                is_websocket = value == b"websocket"
            elif kind == OWN_COOKIE:
                own_cookies += 1
            elif kind == BAD:
                return None
        if fresh:
            kept = [line for line in lines if line in known_to_pass or line in fresh]
        if is_chunked and length_line is not None:
            return None
        nominated = frozenset(options).difference(CONNECTION_OPTIONS) if options else ()
        if nominated:
            kept = [line for line in kept if line.partition(b":")[0].lower() not in nominated]
        return Answer(
            status,
            b"HTTP/1.1" + status_line[8:],
            kept,
            body_length(status, method, is_chunked, length_line),
            length_line,
            match[1] == b"1" and b"close" not in options,
            is_websocket and b"upgrade" in options,
            is_stream,
            has_cache_rule,
            own_cookies,
        )

    def _judge(self, line: bytes) -> tuple[int, bytes]:
        judged = self._judge_afresh(line)
        if len(line) <= MEMO_LINE_BYTES and line[:11].lower() != b"set-cookie:":
            if len(self._known) + len(self._kept) >= MEMO_LINES:
                self._known.clear()
                self._kept.clear()
            if judged[0] == KEEP:
                self._kept.add(line)
            else:
                self._known[line] = judged
        return judged

    def _judge_afresh(self, line: bytes) -> tuple[int, bytes]:
        field = split_field(line)
        if field is None:
            return BAD, b""
        name, value = field
        match name:
            case b"content-length":
                return (BAD if read_length(value) is None else LENGTH), value
            case b"transfer-encoding":
                return (CODING if value.lower() == b"chunked" else BAD), value
            case b"connection":
                return CONNECTION, value
            case b"upgrade":
                return UPGRADE, value.lower()
            case b"content-type":
                is_stream = value.partition(b";")[0].strip(b" \t").lower() == b"text/event-stream"
                return (STREAM if is_stream else KEEP), value
            case b"cache-control":
                return CACHE, value
            case b"set-cookie" if value.partition(b"=")[0].strip(b" \t") in self._own_cookies:
                return OWN_COOKIE, b""
        # X-Accel-* would command the nginx in front of us: X-Accel-Redirect serves files it should not.
        is_dropped = name in HOP_BY_HOP or name.startswith(b"x-accel-")
        return (DROP if is_dropped else KEEP), value


def body_length(status: int, method: str, is_chunked: bool, length_line: bytes | None) -> int:
    """Return how the body ends (RFC 9112 §6.3), in bytes or as CHUNKED or UNTIL_CLOSE."""
    if method == "HEAD" or status < 200 or status in WITHOUT_BODY:
        return 0
    if is_chunked:
        return CHUNKED
    return UNTIL_CLOSE if length_line is None else int(length_line.partition(b":")[2])


class _Judge:
    """llhttp's listener: no callbacks, its verdict is all that is wanted."""


_JUDGE = _Judge()


def is_accepted_by_llhttp(head: bytes) -> bool:
    try:
        HttpResponseParser(_JUDGE).feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True
