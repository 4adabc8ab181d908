"""Judges the head of a request and makes the one Inbound of it, or names the failure.

llhttp judges every head first; the rules here are stricter where it is lenient, and the gateway refuses what
either refuses. Most lines of a head came before, byte for byte, on this connection or another: what was found
out about a line is kept in a bounded memo, so the usual request costs one look-up a line. In a head of known
lines only, llhttp sees the request line and those that are part of the framing again, together; where none is, the
request line alone, which it took before, need not be judged again. The memo is a cache of pure judgements: emptying
it changes nothing but time (tests/edge/test_request.py compares).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import count
from typing import Any, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gateway.edge.authority import read_authority
from gateway.edge.cookies import NO_COOKIES, Cookies, split_cookies
from gateway.edge.inbound import CHUNKED, Inbound
from gateway.edge.names import FORGED, FORGED_PREFIXES, HINTS
from gateway.edge.origin import TrustedProxies, canonical_hosts
from gateway.edge.request_line import RequestLine, read_request_line
from gateway.failures import Failure
from gateway.http1 import HEAD_END, HOP_BY_HOP, following, leave_out, nominated, read_length, split_field, tokens

NO_HINTS: Mapping[bytes, bytes] = {}
REQUEST_ID_FIELD = b"x-request-id:"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{8,64}")

MEMO_BYTES = 2_000_000
MEMO_LINE_BYTES = 8_192
WORD_BYTES = 100  # what a name in a list or a cookie takes once it is an object of its own


class Kind(IntEnum):
    """What a field line is to the gateway; everything that is not KEEP or BAD is taken out of the head."""

    KEEP = 0
    DROP = 1
    HOST = 2
    COOKIE = 3
    HINT = 4
    CONNECTION = 5
    LENGTH = 6
    CODING = 7
    UPGRADE = 8
    EXPECT = 9
    BAD = 10


KEEP, DROP, HOST, COOKIE, HINT, CONNECTION, LENGTH, CODING, UPGRADE, EXPECT, BAD = Kind
UNFRAMING = (KEEP, HOST, COOKIE, HINT)  # to llhttp these are fields like any other


class Line(NamedTuple):
    """The judgement of one field line; `meaning` is what its kind needs, already read."""

    kind: Kind
    meaning: Any = None


@dataclass(frozen=True, slots=True)
class Special:
    """What the lines of a head that do not simply pass mean together; `failure` if they can't stand together.

    `shown` are those of them that llhttp sees again each time, as they follow a request line; "" where there are none.
    """

    failure: Failure | None = None
    host: str = ""
    cookies: Cookies = NO_COOKIES
    hints: Mapping[bytes, bytes] = field(default_factory=dict)
    options: frozenset[bytes] = frozenset()
    nominated: frozenset[bytes] = frozenset()
    length: int = 0
    wants_websocket: bool = False
    expects_continue: bool = False
    shown: bytes = b""


class Reader:
    """Reads request heads for one worker. `identity_names` are those of the headers that tell who is asking."""

    def __init__(
        self,
        *,
        authorities: Iterable[str],
        proxies: TrustedProxies,
        session_cookie: str,
        attempt_cookie: str,
        identity_names: Iterable[str],
        max_fields: int,
        max_target_bytes: int,
    ) -> None:
        self._hosts = canonical_hosts(authorities)
        self._proxies = proxies
        self._session_cookie = session_cookie.encode("ascii")
        self._attempt_cookie = attempt_cookie.encode("ascii")
        self._identity_names = frozenset(name.lower().encode("ascii") for name in identity_names)
        self._max_fields = max_fields
        self._max_target_bytes = max_target_bytes
        self._passing: set[bytes] = set()
        self._lines: dict[bytes, Line] = {}
        self._specials: dict[tuple[bytes, ...], Special] = {}
        self._request_lines: dict[bytes, RequestLine] = {}
        self._addresses: dict[tuple[str, bytes], str] = {}
        self._memo_room = MEMO_BYTES
        self._trusted: dict[str, bool] = {}
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(1_000_000_000)  # all of one width

    def new_request_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids)}"

    def read(self, head: bytes, peer: str) -> Inbound | Failure:
        """Return the Inbound of `head` (without the empty line that ends it), or why it is refused.

        `peer` is the address at the other end of the connection, "" for a Unix socket.
        """
        lines = head.split(b"\r\n")
        first = lines.pop(0)
        known = self._request_lines.get(first)
        if known is None:
            judged = read_request_line(first, self._max_target_bytes)
            if isinstance(judged, Failure):
                return judged
            if not is_accepted_by_llhttp(first + HEAD_END):
                return Failure.BAD_REQUEST
            self._make_room(3 * len(first))  # as line, target and reading
            known = self._request_lines[first] = judged
        method, target, readings, is_http_1_1 = known
        if len(lines) > self._max_fields:
            return Failure.HEAD_TOO_LARGE
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
        if special is None:
            if not is_accepted_by_llhttp(head + HEAD_END):
                return Failure.BAD_REQUEST
            kept, special = self._understand(lines, kept, rest)
        elif special.shown and not is_accepted_by_llhttp(first + special.shown):
            return Failure.BAD_REQUEST
        if readings is None:
            return Failure.BAD_PATH
        if special.failure is not None:
            return special.failure
        length, options, cookies, hints = special.length, special.options, special.cookies, special.hints
        if length == CHUNKED and not is_http_1_1:
            return Failure.BAD_REQUEST
        if cookies.line:
            kept.append(cookies.line)
        if special.nominated:
            kept = leave_out(kept, special.nominated)
        is_websocket = special.wants_websocket and b"upgrade" in options and is_http_1_1 and method == "GET"
        if is_websocket and length:
            return Failure.BAD_REQUEST
        is_trusted = self._trusted[peer] if peer in self._trusted else self._judge_peer(peer)
        return Inbound(
            method,
            target,
            readings,
            special.host,
            self._address(peer, hints) if is_trusted else peer,
            is_trusted,
            self._request_id(hints) if is_trusted else self.new_request_id(),
            cookies.session_key,
            cookies.attempt_key,
            cookies.names,
            kept,
            hints if is_trusted else NO_HINTS,
            length,
            is_http_1_1,
            b"close" not in options if is_http_1_1 else b"keep-alive" in options,
            is_websocket,
            special.expects_continue and is_http_1_1 and length != 0,
        )

    def _understand(
        self, lines: list[bytes], kept: list[bytes], rest: tuple[bytes, ...]
    ) -> tuple[list[bytes], Special]:
        """Return all lines that pass, in order, and what the others mean together.

        A proxy in front gives each request an id of its own, so what else it says is looked up without that.
        """
        ids = [line for line in rest if line[: len(REQUEST_ID_FIELD)].lower() == REQUEST_ID_FIELD]
        if len(ids) != 1:
            return self._learn(lines, kept, rest)
        others = tuple([line for line in rest if line is not ids[0]])
        special = self._specials.get(others)
        if special is None:
            kept, special = self._learn(lines, kept, others)
        kind, meaning = self._judge_afresh(ids[0])
        if kind is not HINT:
            return kept, Special(Failure.BAD_REQUEST)
        return kept, replace(special, hints={**special.hints, meaning[0]: meaning[1]})

    def _learn(self, lines: list[bytes], kept: list[bytes], rest: tuple[bytes, ...]) -> tuple[list[bytes], Special]:
        """Judge the lines in `rest` one by one, and remember what they mean together."""
        judged = [(line, self._lines.get(line) or self._judge(line)) for line in rest]
        fresh = {line for line, judgement in judged if judgement.kind is KEEP}
        if fresh:
            known = fresh.union(kept)
            kept = [line for line in lines if line in known]
        shown = [line for line, judgement in judged if judgement.kind not in UNFRAMING]
        special = interpret([judgement for _, judgement in judged], self._split_cookies)
        special = replace(special, shown=following(shown) if shown else b"")
        left = tuple(line for line in rest if line not in fresh)
        size = sum(map(len, left))
        if size <= MEMO_LINE_BYTES and special.failure is None:
            words = len(special.options) + len(special.nominated) + len(special.cookies.names)
            self._make_room(size + words * WORD_BYTES)
            self._specials[left] = special
        return kept, special

    def _judge_peer(self, peer: str) -> bool:
        if len(self._trusted) > 10_000:
            self._trusted.clear()
        is_trusted = self._trusted[peer] = self._proxies.trusts(peer)
        return is_trusted

    def _address(self, peer: str, hints: Mapping[bytes, bytes]) -> str:
        forwarded_for = hints.get(b"x-forwarded-for")
        if forwarded_for is None:
            return peer
        key = (peer, forwarded_for)
        address = self._addresses.get(key)
        if address is None:
            self._make_room(len(forwarded_for))
            address = self._addresses[key] = self._proxies.client(peer, forwarded_for)
        return address

    def _request_id(self, hints: Mapping[bytes, bytes]) -> str:
        given = hints.get(b"x-request-id")
        if given is not None and REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return self.new_request_id()

    def _judge(self, line: bytes) -> Line:
        judged = self._judge_afresh(line)
        if len(line) <= MEMO_LINE_BYTES and judged.kind is not BAD:
            words = len(judged.meaning) if judged.kind is CONNECTION else 0
            self._make_room(len(line) + words * WORD_BYTES)
            if judged.kind is KEEP:
                self._passing.add(line)
            else:
                self._lines[line] = judged
        return judged

    def _judge_afresh(self, line: bytes) -> Line:
        field = split_field(line)
        if field is None or not is_utf_8(line):
            return Line(BAD)
        name, value = field
        match name:
            case b"host":
                host = read_authority(value)
                return Line(BAD) if host is None else Line(HOST, self._hosts.get(host))
            case b"cookie":
                return Line(COOKIE, (value, self._split_cookies(value)))
            case b"connection":
                return Line(CONNECTION, tokens(value))
            case b"content-length":
                length = read_length(value)
                return Line(BAD) if length is None else Line(LENGTH, length)
            case b"transfer-encoding":
                return Line(CODING) if value == b"chunked" else Line(BAD)
            case b"upgrade":
                return Line(UPGRADE, value.lower() == b"websocket")
            case b"expect":
                return Line(EXPECT, value.lower() == b"100-continue")
            case _ if name in HINTS:
                return Line(HINT, (name, value))
        return Line(DROP) if self._is_forbidden(name) else Line(KEEP)

    def _is_forbidden(self, name: bytes) -> bool:
        # WSGI and CGI servers read `_` and `-` as the same character, so a name with `_` can stand for any other.
        return (
            b"_" in name
            or name in HOP_BY_HOP
            or name in FORGED
            or name in self._identity_names
            or name.startswith(FORGED_PREFIXES)
        )

    def _split_cookies(self, value: bytes) -> Cookies:
        return split_cookies(value, self._session_cookie, self._attempt_cookie)

    def _make_room(self, size: int) -> None:
        self._memo_room -= size + 200
        if self._memo_room < 0:
            self._memo_room = MEMO_BYTES
            self._passing.clear()
            self._lines.clear()
            self._specials.clear()
            self._request_lines.clear()
            self._addresses.clear()


def interpret(lines: list[Line], split: Callable[[bytes], Cookies]) -> Special:
    """Say what the special lines of a head mean together, or why they can't stand together."""
    by_kind: dict[Kind, list[Any]] = {}
    for kind, meaning in lines:
        by_kind.setdefault(kind, []).append(meaning)
    hosts, lengths, codings = (by_kind.get(kind, []) for kind in (HOST, LENGTH, CODING))
    if BAD in by_kind or len(hosts) != 1 or len(lengths) + len(codings) > 1:
        # Two framings are the classic disagreement of CVE-2019-16869 and its many kin.
        return Special(Failure.BAD_REQUEST)
    if False in by_kind.get(EXPECT, []):
        return Special(Failure.EXPECTATION)
    if hosts[0] is None:
        return Special(Failure.WRONG_HOST)
    hints: dict[bytes, bytes] = {}
    for name, value in by_kind.get(HINT, []):
        hints[name] = hints[name] + b", " + value if name in hints else value
    cookies = [value for value, _ in by_kind.get(COOKIE, [])]
    options = frozenset(option for options in by_kind.get(CONNECTION, []) for option in options)
    return Special(
        host=hosts[0],
        cookies=split(b"; ".join(cookies)) if len(cookies) > 1 else by_kind[COOKIE][0][1] if cookies else NO_COOKIES,
        hints=hints,
        options=options,
        nominated=nominated(options),
        length=CHUNKED if codings else lengths[0] if lengths else 0,
        wants_websocket=by_kind.get(UPGRADE, [False])[-1],
        expects_continue=EXPECT in by_kind,
    )


class _Judge:
    """llhttp's listener: no callbacks, its verdict is all that is wanted."""


_JUDGE = _Judge()


def is_accepted_by_llhttp(head: bytes) -> bool:
    """Return whether llhttp takes this whole head. A parser is made for each: cheaper than to reset one."""
    try:
        HttpRequestParser(_JUDGE).feed_data(head)
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True


def is_utf_8(line: bytes) -> bool:
    """Values that some server can't decode are dropped by it in silence: `adm\\xffin` would arrive as `admin`."""
    if line.isascii():
        return True
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
