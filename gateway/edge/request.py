"""Judges the head of a request and makes the one Inbound of it, or names the failure.

llhttp judges every head first; the rules here are stricter where it is lenient, and the gateway refuses what
either refuses. Most lines of a head came before, byte for byte, on this connection or another: what was found
out about a line is kept in a bounded memo, so the usual request costs one dictionary look-up a line. The memo
is a cache of pure judgements: emptying it changes nothing but time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import IntEnum
from itertools import count
from typing import Any, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gateway.edge.authority import read_authority
from gateway.edge.cookies import NO_COOKIES, Cookies, split_cookies
from gateway.edge.inbound import CHUNKED, Inbound
from gateway.edge.origin import TrustedProxies, canonical_hosts
from gateway.edge.target import is_safe_query, read_path
from gateway.failures import Failure
from gateway.http1 import HOP_BY_HOP, METHODS, read_length, split_field, tokens

REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{8,64}")

# What a proxy in front may say, and anyone else may try to: read from trusted peers, forwarded from nobody.
HINTS = frozenset(
    (
        b"x-forwarded-for",
        b"x-request-id",
        b"x-original-method",
        b"x-original-uri",
        b"x-forwarded-method",
        b"x-forwarded-uri",
        b"x-forwarded-host",
    )
)
FORGED = frozenset(
    (
        b"forwarded",
        b"x-real-ip",
        b"x-scheme",
        b"x-script-name",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"proxy",
        b"gateway-ticket",
    )
)
FORGED_PREFIXES = (
    b"remote-",
    b"x-remote-",
    b"x-auth-request-",
    b"x-forwarded-",
    b"x-original-",
    b"x-accel-",
    b"x-otium-",
    b"x-pomerium-",
    b"x-vouch-",
    b"x-authentik-",
)

MEMO_BYTES = 2_000_000
MEMO_LINE_BYTES = 8_192


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


class Line(NamedTuple):
    """The judgement of one field line; `meaning` is what its kind needs, already read."""

    kind: Kind
    meaning: Any = None


class Reader:
    """Reads request heads for one worker. `identity_names` are lower-case; the clock is not needed here."""

    def __init__(
        self,
        *,
        authorities: Iterable[str],
        proxies: TrustedProxies,
        session_cookie: str,
        own_cookies: Iterable[str],
        identity_names: Iterable[str],
        max_fields: int,
        max_target_bytes: int,
    ) -> None:
        self._hosts = canonical_hosts(authorities)
        self._proxies = proxies
        self._session_cookie = session_cookie.encode("ascii")
        self._own_cookies = frozenset(name.encode("ascii") for name in own_cookies)
        self._identity_names = frozenset(name.lower().encode("ascii") for name in identity_names)
        self._max_fields = max_fields
        self._max_target_bytes = max_target_bytes
        self._kept: set[bytes] = set()
        self._lines: dict[bytes, Line] = {}
        self._paths: dict[bytes, tuple[str, ...] | None] = {}
        self._addresses: dict[tuple[str, bytes], str] = {}
        self._memo_room = MEMO_BYTES
        self._trusted: dict[str, bool] = {}
        self._id_prefix = os.urandom(6).hex()
        self._ids = count()

    def new_request_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids):08x}"

    def read(self, head: bytes, peer: str) -> Inbound | Failure:
        """Return the Inbound of `head` (without the empty line that ends it), or why it is refused.

        `peer` is the address at the other end of the connection, "" for a Unix socket.
        """
        request_line, *lines = head.split(b"\r\n")
        parts = request_line.split(b" ")
        if len(parts) != 3:
            return Failure.BAD_REQUEST
        verb, target, version = parts
        failure = self._refuse_request_line(verb, target, version, len(lines))
        if failure is not None:
            return failure
        method = verb.decode("ascii")
        if not is_accepted_by_llhttp(head):
            return Failure.BAD_REQUEST
        path, mark, query = target.partition(b"?")
        readings = self._readings(path)
        if readings is None or (mark and not is_safe_query(query)):
            return Failure.BAD_PATH
        return self._read_fields(method, target, readings, lines, version == b"HTTP/1.1", peer)

    def _refuse_request_line(self, verb: bytes, target: bytes, version: bytes, fields: int) -> Failure | None:
        if not (verb.isalpha() and verb.isupper()):
            return Failure.BAD_REQUEST
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            return Failure.HTTP_VERSION if re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version) else Failure.BAD_REQUEST
        if verb.decode("ascii") not in METHODS:
            return Failure.METHOD_NOT_ALLOWED
        if len(target) > self._max_target_bytes:
            return Failure.TARGET_TOO_LONG
        return Failure.HEAD_TOO_LARGE if fields > self._max_fields else None

    def _readings(self, path: bytes) -> tuple[str, ...] | None:
        try:
            return self._paths[path]
        except KeyError:
            self._make_room(len(path))
            readings = self._paths[path] = read_path(path)
            return readings

    def _read_fields(
        self,
        method: str,
        target: bytes,
        readings: tuple[str, ...],
        lines: list[bytes],
        is_http_1_1: bool,
        peer: str,
    ) -> Inbound | Failure:
        """Sort the field lines by kind, then judge what only shows when all of them are known."""
        known_to_pass = self._kept
        kept = [line for line in lines if line in known_to_pass]
        fresh: list[bytes] = []
        hints: dict[bytes, bytes] = {}
        hosts: list[str | None] = []
        lengths: list[int] = []
        options: list[bytes] = []
        cookies = NO_COOKIES
        cookie_lines: list[bytes] = []
        is_chunked = wants_websocket = expects_continue = False
        for line in lines:
            if line in known_to_pass:
                continue
            kind, meaning = self._lines.get(line) or self._judge(line)
            if kind is HOST:
                hosts.append(meaning)
            elif kind is COOKIE:
                value, cookies = meaning
                cookie_lines.append(value)
            elif kind is HINT:
                name, value = meaning
                hints[name] = hints[name] + b", " + value if name in hints else value
            elif kind is CONNECTION:
                options += meaning
            elif kind is KEEP:
                fresh.append(line)
            elif kind is LENGTH:
                lengths.append(meaning)
            elif kind is CODING:
                if is_chunked:
                    return Failure.BAD_REQUEST
                is_chunked = True
            elif kind is UPGRADE:
                wants_websocket = meaning
            elif kind is EXPECT:
                if not meaning:
                    return Failure.EXPECTATION
                expects_continue = True
            elif kind is BAD:
                return Failure.BAD_REQUEST
        if fresh:
            kept = [line for line in lines if line in known_to_pass or line in fresh]
        if len(hosts) != 1 or len(lengths) > 1:
            return Failure.BAD_REQUEST
        if is_chunked and (lengths or not is_http_1_1):
            return Failure.BAD_REQUEST  # the classic disagreement of CVE-2019-16869 and its many kin
        host = hosts[0]
        if host is None:
            return Failure.WRONG_HOST
        if len(cookie_lines) > 1:
            cookies = self._split_cookies(b"; ".join(cookie_lines))
        if cookies.rest:
            kept.append(b"Cookie: " + cookies.rest)
        length = CHUNKED if is_chunked else lengths[0] if lengths else 0
        is_websocket = False
        if options:
            kept = leave_out_nominated(kept, options)
            is_websocket = wants_websocket and b"upgrade" in options and is_http_1_1 and method == "GET"
            if is_websocket and length:
                return Failure.BAD_REQUEST
        is_trusted = self._is_trusted(peer)
        return Inbound(
            method,
            target,
            readings,
            host,
            self._address(peer, hints) if is_trusted else peer,
            is_trusted,
            self._request_id(hints) if is_trusted else self.new_request_id(),
            cookies.session_key,
            cookies.names,
            kept,
            hints if is_trusted else {},
            length,
            is_http_1_1,
            b"close" not in options if is_http_1_1 else b"keep-alive" in options,
            is_websocket,
            expects_continue and is_http_1_1 and length != 0,
        )

    def _is_trusted(self, peer: str) -> bool:
        trusted = self._trusted.get(peer)
        if trusted is None:
            if len(self._trusted) > 10_000:
                self._trusted.clear()
            trusted = self._trusted[peer] = self._proxies.trusts(peer)
        return trusted

    def _address(self, peer: str, hints: dict[bytes, bytes]) -> str:
        forwarded_for = hints.get(b"x-forwarded-for")
        if forwarded_for is None:
            return peer
        key = (peer, forwarded_for)
        address = self._addresses.get(key)
        if address is None:
            self._make_room(len(forwarded_for))
            address = self._addresses[key] = self._proxies.client(peer, forwarded_for)
        return address

    def _request_id(self, hints: dict[bytes, bytes]) -> str:
        given = hints.get(b"x-request-id")
        if given is not None and REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return self.new_request_id()

    def _judge(self, line: bytes) -> Line:
        judged = self._judge_afresh(line)
        if len(line) <= MEMO_LINE_BYTES and judged.kind is not BAD and not is_unique(judged):
            self._make_room(len(line))
            if judged.kind is KEEP:
                self._kept.add(line)
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
        return split_cookies(value, self._session_cookie, self._own_cookies)

    def _make_room(self, size: int) -> None:
        self._memo_room -= size + 200
        if self._memo_room < 0:
            self._memo_room = MEMO_BYTES
            self._kept.clear()
            self._lines.clear()
            self._paths.clear()
            self._addresses.clear()


class _Judge:
    """llhttp's listener: no callbacks, its verdict is all that is wanted."""


_JUDGE = _Judge()


def is_accepted_by_llhttp(head: bytes) -> bool:
    """Return whether llhttp takes `head`. A parser is made for each: cheaper than to bring one back to its start."""
    try:
        HttpRequestParser(_JUDGE).feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True


def leave_out_nominated(lines: list[bytes], options: list[bytes]) -> list[bytes]:
    """Drop the fields that Connection names as meant for us only (RFC 9110 §7.6.1)."""
    nominated = frozenset(options) - {b"close", b"keep-alive", b"upgrade"}
    if not nominated:
        return lines
    return [line for line in lines if line.partition(b":")[0].lower() not in nominated]


def is_unique(line: Line) -> bool:
    """A request id comes once and never again; remembering it would only push out what does."""
    return line.kind is HINT and line.meaning[0] == b"x-request-id"


def is_utf_8(line: bytes) -> bool:
    """Values that some server can't decode are dropped by it in silence: `adm\\xffin` would arrive as `admin`."""
    if line.isascii():
        return True
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
