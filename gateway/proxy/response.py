"""Judges the head of an upstream's answer, and takes out what is not for the client.

An upstream is trusted more than a client, but not to frame: an answer whose end could be read in two ways is
refused, because what follows it would be taken for the next person's answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.http1 import HEAD_END, HOP_BY_HOP, following, leave_out, nominated, read_length, split_field, tokens

CHUNKED = -1
UNTIL_CLOSE = -2

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
WITHOUT_BODY = frozenset((204, 304))
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


class Special(NamedTuple):
    """What the lines of an answer's head that do not simply pass mean together."""

    is_refused: bool = False
    length_line: bytes | None = None
    length: int = UNTIL_CLOSE
    options: frozenset[bytes] = frozenset()
    nominated: frozenset[bytes] = frozenset()
    is_websocket: bool = False
    is_stream: bool = False
    has_cache_rule: bool = False
    own_cookies: int = 0
    passing: frozenset[bytes] = frozenset()
    """Those of the lines that pass all the same."""
    shown: bytes = HEAD_END
    """What llhttp sees again each time, as it follows a status line."""


class AnswerReader:
    """Reads answers for one upstream; `own_cookies` are the cookie names that this upstream may not set."""

    __slots__ = ("_lines", "_own_cookies", "_passing", "_specials", "_statuses")

    def __init__(self, own_cookies: frozenset[bytes]) -> None:
        self._own_cookies = own_cookies
        self._statuses: dict[bytes, tuple[int, bool, bytes]] = {}
        self._passing: set[bytes] = set()
        self._lines: dict[bytes, tuple[int, bytes]] = {}
        self._specials: dict[tuple[bytes, ...], Special] = {}

    def read(self, head: bytes, method: str) -> Answer | None:
        """Return the Answer of `head` (without the empty line), given to a request of `method`; None to refuse."""
        lines = head.split(b"\r\n")
        status_line = lines.pop(0)
        known = self._statuses.get(status_line) or self._read_status(status_line)
        if known is None:
            return None
        status, is_http_1_1, as_1_1 = known
        passing = self._passing
        kept: list[bytes] = []
        others: list[bytes] = []
        for line in lines:
            if line in passing:
                kept.append(line)
            else:
                others.append(line)
        rest = tuple(others)
        special = self._specials.get(rest)
        # Known lines that are no part of the framing need not be judged again (see edge.request).
        if not is_accepted_by_llhttp(head + HEAD_END if special is None else status_line + special.shown):
            return None
        if special is None:
            kept, special = self._understand(lines, kept, rest)
        (
            is_refused,
            length_line,
            length,
            options,
            nominated_fields,
            is_websocket,
            is_stream,
            has_cache_rule,
            own_cookies,
            also,
            _,
        ) = special
        if is_refused:
            return None
        if also:
            all_kept = also.union(kept)
            kept = [line for line in lines if line in all_kept]
        if nominated_fields:
            kept = leave_out(kept, nominated_fields)
        return Answer(
            status,
            as_1_1,
            kept,
            0 if method == "HEAD" or status < 200 or status in WITHOUT_BODY else length,
            length_line,
            is_http_1_1 and b"close" not in options,
            is_websocket and b"upgrade" in options,
            is_stream,
            has_cache_rule,
            own_cookies,
        )

    def _read_status(self, line: bytes) -> tuple[int, bool, bytes] | None:
        """Return (status, whether it is from an HTTP/1.1 server, the line with our version); None to refuse."""
        match = STATUS_LINE.fullmatch(line)
        if match is None:
            return None
        self._make_room()
        status = self._statuses[line] = int(match[2]), match[1] == b"1", b"HTTP/1.1" + line[8:]
        return status

    def _understand(
        self, lines: list[bytes], kept: list[bytes], rest: tuple[bytes, ...]
    ) -> tuple[list[bytes], Special]:
        """Judge the lines in `rest`: return all that pass, in order, and what the others mean together."""
        judged = [(line, *(self._lines.get(line) or self._judge(line))) for line in rest]
        fresh = {line for line, kind, _ in judged if kind == KEEP}
        if fresh:
            known = fresh.union(kept)
            kept = [line for line in lines if line in known]
        left = tuple(line for line in rest if line not in fresh)
        special = interpret(judged)._replace(shown=following(left))
        self._make_room()
        self._specials[left] = special
        return kept, special

    def _make_room(self) -> None:
        if len(self._passing) + len(self._lines) + len(self._specials) + len(self._statuses) >= MEMO_LINES:
            self._statuses.clear()
            self._passing.clear()
            self._lines.clear()
            self._specials.clear()

    def _judge(self, line: bytes) -> tuple[int, bytes]:
        judged = self._judge_afresh(line)
        if len(line) <= MEMO_LINE_BYTES and line[:11].lower() != b"set-cookie:":
            self._make_room()
            if judged[0] == KEEP:
                self._passing.add(line)
            else:
                self._lines[line] = judged
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


def interpret(judged: list[tuple[bytes, int, bytes]]) -> Special:
    """Say what special lines mean together. Two framings, or a broken one, are refused: where would it end?"""
    kinds = [kind for _, kind, _ in judged]
    if BAD in kinds or kinds.count(LENGTH) + kinds.count(CODING) > 1:
        return Special(is_refused=True)
    values = {kind: value for _, kind, value in judged}
    lines = {kind: line for line, kind, _ in judged}
    options = frozenset(option for _, kind, value in judged if kind == CONNECTION for option in tokens(value))
    return Special(
        length_line=lines.get(LENGTH),
        length=CHUNKED if CODING in values else int(values[LENGTH]) if LENGTH in values else UNTIL_CLOSE,
        options=options,
        nominated=nominated(options),
        is_websocket=values.get(UPGRADE) == b"websocket",
        is_stream=STREAM in values,
        has_cache_rule=CACHE in values,
        own_cookies=kinds.count(OWN_COOKIE),
        passing=frozenset(line for line, kind, _ in judged if kind in (STREAM, CACHE)),
    )


class _Judge:
    """llhttp's listener: no callbacks, its verdict is all that is wanted."""


_JUDGE = _Judge()


def is_accepted_by_llhttp(head: bytes) -> bool:
    try:
        HttpResponseParser(_JUDGE).feed_data(head)
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True
