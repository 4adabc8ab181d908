"""Validates the head of an upstream's response, and removes what is not for the client.

The upstream is trusted more than a client, but not with framing: a response whose end is ambiguous is refused, because
the bytes after it would be taken for the next person's response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gateway.model.memo import Memo
from gateway.wire.cookies import likely_name
from gateway.wire.http1 import HEAD_END, HOP_BY_HOP, leave_out, nominated, read_length, split_field, tokens
from gateway.wire.llhttp import accepts_response

CHUNKED = -1
UNTIL_CLOSE = -2

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
VALIDATORS = frozenset((b"etag", b"last-modified"))
PAGE_TYPES = (b"text/html", b"application/xhtml+xml")
WITHOUT_BODY = frozenset((204, 304))
SET_COOKIE = b"set-cookie:"
MEMO_LINES = 2_048
MEMO_LINE_BYTES = 1_024

KEEP, DROP, LENGTH, CODING, CONNECTION, UPGRADE, STREAM, CACHE, OWN_COOKIE, BAD = range(10)


@dataclass(frozen=True, slots=True)
class Answer:
    """The meaning of a validated head, apart from the lines that are simply forwarded.

    status_line   with our version: a response from an HTTP/1.0 upstream is sent as HTTP/1.1
    length        of the body in bytes, or CHUNKED, or UNTIL_CLOSE; 0 if the response can't have a body
    length_line   Content-Length as received, also if it only describes the response to a GET; None with a 204
    is_reusable   whether the connection may carry another request afterwards
    own_cookies   the number of removed Set-Cookie fields with one of the gateway's names
    nominated     names of the fields that Connection makes hop-by-hop
    sets_cookies  whether there are other Set-Cookie fields
    passing       forwarded lines that were interpreted as well
    """

    status: int
    status_line: bytes
    length: int
    length_line: bytes | None
    is_reusable: bool
    is_websocket: bool
    is_stream: bool
    has_cache_rule: bool
    own_cookies: int
    nominated: frozenset[bytes]
    passing: frozenset[bytes]
    sets_cookies: bool = False


class AnswerReader:
    """Parses the responses of one upstream, which may not set the cookies named in `own_cookies`."""

    __slots__ = ("_answers", "_assets", "_lines", "_own_cookies", "_pages", "_passing", "_validators")

    def __init__(self, own_cookies: frozenset[bytes]) -> None:
        self._own_cookies = own_cookies
        self._passing = Memo[bytes, bool](MEMO_LINES)
        # Of the lines in `_passing`: with a media type other than a page's, with a page's, and with a validator.
        self._assets: set[bytes] = set()
        self._pages: set[bytes] = set()
        self._validators: set[bytes] = set()
        self._lines = Memo[bytes, tuple[int, bytes]](MEMO_LINES)
        self._answers = Memo[tuple[bytes, ...], Answer](MEMO_LINES)

    def read(self, head: bytes, method: str) -> tuple[Answer, list[bytes]] | None:
        """Parse `head` (without the empty line), the response to a request of `method`.

        Returns the Answer and the field lines for the client, without framing and hop-by-hop fields; None to refuse.
        """
        lines = head.split(b"\r\n")
        passing = self._passing.young
        kept: list[bytes] = []
        others: list[bytes] = lines[:1]  # the status line is never a field line
        for line in lines[1:]:
            if line in passing:
                kept.append(line)
            else:
                others.append(line)
        # llhttp accepted these lines together when they were first seen. The lines left out here have no effect on
        # framing (see edge.request).
        combination = tuple(others)
        answer = self._answers.young.get(combination) or self._answers.recall(combination)
        if answer is None:
            understood = self._understand(lines, kept, others) if accepts_response(head + HEAD_END) else None
            if understood is None:
                return None
            answer, kept = understood
        if answer.passing:
            all_kept = answer.passing.union(kept)
            kept = [line for line in lines if line in all_kept]
        if answer.nominated:
            kept = leave_out(kept, answer.nominated)
        if method == "HEAD":
            answer = replace(answer, length=0)
        return answer, kept

    def may_be_cached(self, answer: Answer, passing: list[bytes]) -> bool:
        """Return whether a browser may cache a signed-in person's response and revalidate it (RFC 9111 §4.3).

        That requires a validator (those too long to be memoised are ignored). Pages are never cached, because the back
        button would show them to the next person; a response without a media type may be a page. A 304 describes a
        response that was already allowed to be cached.
        """
        if answer.status == 304:
            return True
        if self._validators.isdisjoint(passing):
            return False
        return self._pages.isdisjoint(passing) and not self._assets.isdisjoint(passing)

    def _understand(
        self, lines: list[bytes], kept: list[bytes], others: list[bytes]
    ) -> tuple[Answer, list[bytes]] | None:
        """Interpret the lines in `others`. Returns their meaning and all lines to forward, in order; None to refuse."""
        status_line, *rest = others
        judged = [(line, *(self._lines.young.get(line) or self._classify_memoised(line))) for line in rest]
        answer = interpret(status_line, judged)
        if answer is None:
            return None
        fresh = {line for line, kind, _ in judged if kind == KEEP}
        if fresh:
            known = fresh.union(kept)
            kept = [line for line in lines if line in known]
        left = tuple(line for line in others if line not in fresh)
        if sum(map(len, left)) <= MEMO_LINE_BYTES:
            self._answers.put(left, answer)
        if any(line[:11].lower() == SET_COOKIE for line in fresh):  # such a line is never memoised, so always fresh
            answer = replace(answer, sets_cookies=True)
        return answer, kept

    def _classify_memoised(self, line: bytes) -> tuple[int, bytes]:
        judged = self._lines.recall(line) or self._classify(line)
        kind, value = judged
        if len(line) <= MEMO_LINE_BYTES and line[:11].lower() != SET_COOKIE:
            if kind == KEEP:
                self._passing.put(line, True)
                self._note_cache_fields(line, value)
            else:
                self._lines.put(line, judged)
        return judged

    def _note_cache_fields(self, line: bytes, value: bytes) -> None:
        name = line.partition(b":")[0].lower()
        if name in VALIDATORS:
            self._note(self._validators, line)
        elif name == b"content-type":
            is_page = any(media in value.lower() for media in PAGE_TYPES)
            self._note(self._pages if is_page else self._assets, line)

    def _note(self, lines: set[bytes], line: bytes) -> None:
        """Add the line to one of the sets, and take out of it what is no longer remembered, if it has grown."""
        if len(lines) >= 4 * MEMO_LINES:
            lines.intersection_update([known for known in lines if known in self._passing])
        lines.add(line)

    def _classify(self, line: bytes) -> tuple[int, bytes]:
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
            case b"set-cookie" if likely_name(value.partition(b";")[0]) in self._own_cookies:
                return OWN_COOKIE, b""
        # Drop X-Accel-*, which nginx in front would obey: X-Accel-Redirect serves internal files. X-Accel-Buffering is
        # left to the application, since events would otherwise arrive late.
        is_dropped = name in HOP_BY_HOP or (name.startswith(b"x-accel-") and name != b"x-accel-buffering")
        return (DROP if is_dropped else KEEP), value


def interpret(status_line: bytes, judged: list[tuple[bytes, int, bytes]]) -> Answer | None:
    """Combine the interpreted lines. Returns None if the framing is invalid or there are two."""
    match = STATUS_LINE.fullmatch(status_line)
    kinds = [kind for _, kind, _ in judged]
    if match is None or BAD in kinds or kinds.count(LENGTH) + kinds.count(CODING) > 1:
        return None
    status = int(match[2])
    values = {kind: value for _, kind, value in judged}
    lines = {kind: line for line, kind, _ in judged}
    options = frozenset(option for _, kind, value in judged if kind == CONNECTION for option in tokens(value))
    length = CHUNKED if CODING in values else int(values[LENGTH]) if LENGTH in values else UNTIL_CLOSE
    return Answer(
        status=status,
        status_line=b"HTTP/1.1" + status_line[8:],
        length=0 if status < 200 or status in WITHOUT_BODY else length,
        length_line=lines.get(LENGTH) if status != 204 else None,
        is_reusable=match[1] == b"1" and b"close" not in options,
        is_websocket=values.get(UPGRADE) == b"websocket" and b"upgrade" in options,
        is_stream=STREAM in values,
        has_cache_rule=CACHE in values,
        own_cookies=kinds.count(OWN_COOKIE),
        nominated=nominated(options),
        passing=frozenset(line for line, kind, _ in judged if kind in (STREAM, CACHE)),
    )
