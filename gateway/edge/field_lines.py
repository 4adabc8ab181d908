"""Classifies the field lines of a request, and combines their meanings. Pure.

The rules are stricter than those of llhttp, which parses every head as well. The gateway refuses what either refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from gateway.edge import reach
from gateway.model.inbound import CHUNKED, NOTHING
from gateway.wire.authority import read_authority
from gateway.wire.cookies import NO_COOKIES, Cookies, split_cookies
from gateway.wire.failures import Failure
from gateway.wire.http1 import HOP_BY_HOP, nominated, read_length, split_field, tokens
from gateway.wire.names import ASSERTED, FORGED, FORGED_PREFIXES, FRAMING, HINTS, fold


class Kind(IntEnum):
    """The kinds of field lines. Lines other than KEEP are removed from the head."""

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
    REACH = 10
    BAD = 11


KEEP, DROP, HOST, COOKIE, HINT, CONNECTION, LENGTH, CODING, UPGRADE, EXPECT, REACH, BAD = Kind
UNFRAMING = (KEEP, HOST, COOKIE, HINT, REACH)  # of no significance to llhttp


class Line(NamedTuple):
    """A classified field line. `meaning` is the parsed value, if its kind needs one."""

    kind: Kind
    meaning: Any = None


@dataclass(frozen=True, slots=True)
class Special:
    """The combined meaning of the lines that are not KEEP; `failure` if they contradict each other.

    `host` is "" if there is no Host. `keeps_1_0` and `keeps_1_1` say whether a connection of that HTTP version persists
    (RFC 9112 §9.3). `shown` are the lines that affect framing, so that llhttp parses them again with each request line;
    b"" if there are none.
    """

    failure: Failure | None = None
    host: str = ""
    cookies: Cookies = NO_COOKIES
    hints: Mapping[bytes, bytes] = field(default_factory=dict)
    keeps_1_0: bool = False
    keeps_1_1: bool = True
    nominated: frozenset[bytes] = NOTHING
    length: int = 0
    wants_websocket: bool = False
    expects_continue: bool = False
    reach: tuple[tuple[bytes, bytes], ...] = ()
    dropped: tuple[bytes, ...] = ()
    shown: bytes = b""


class FieldRules:
    """`hosts` are the names of the site (canonical_hosts), `identity_names` those of the identity headers.

    An identity name that ends in `*` is a prefix.
    """

    def __init__(
        self, hosts: Mapping[str, str], identity_names: Iterable[str], session_cookie: str, attempt_cookie: str
    ) -> None:
        self._hosts = hosts
        names = [name.encode("ascii") for name in identity_names]
        exact = frozenset(fold(name) for name in names if not name.endswith(b"*"))
        self._forbidden = HOP_BY_HOP | FORGED | ASSERTED | HINTS | FRAMING | exact
        self._forbidden_prefixes = (*FORGED_PREFIXES, *(fold(name[:-1]) for name in names if name.endswith(b"*")))
        self._session_cookie = session_cookie.encode("ascii")
        self._attempt_cookie = attempt_cookie.encode("ascii")

    def judge(self, line: bytes) -> Line:
        """Classify one line, as received and without its line ending."""
        field = split_field(line)
        if field is None:
            return Line(BAD)
        name, value = field
        match name:
            case b"host":
                host = read_authority(value)
                return Line(BAD) if host is None else Line(HOST, self._hosts.get(host))
            case b"cookie":
                return Line(COOKIE, (value, self._split(value)))
            case b"connection":
                return Line(CONNECTION, tokens(value))
            case b"content-length":
                length = read_length(value)
                return Line(BAD) if length is None else Line(LENGTH, length)
            case b"transfer-encoding":
                return Line(CODING) if value.lower() == b"chunked" else Line(BAD)
            case b"upgrade":
                return Line(UPGRADE, value.lower() == b"websocket")
            case b"expect":
                return Line(EXPECT, value.lower() == b"100-continue")
            case _ if name in reach.NAMES:
                return Line(REACH, (name, value))
            case _ if name in HINTS:
                return Line(HINT, (name, value))
        return Line(DROP, name) if self._is_forbidden(name) else Line(KEEP)

    def interpret(self, lines: list[Line]) -> Special:
        """Combine the lines that are not KEEP, or return the failure."""
        by_kind: dict[Kind, list[Any]] = {}
        for kind, meaning in lines:
            by_kind.setdefault(kind, []).append(meaning)
        hosts, lengths, codings = (by_kind.get(kind, []) for kind in (HOST, LENGTH, CODING))
        if BAD in by_kind or len(hosts) > 1 or len(lengths) + len(codings) > 1:
            # Two framings allow request smuggling (CVE-2019-16869 and many others).
            return Special(Failure.BAD_REQUEST)
        if False in by_kind.get(EXPECT, []):
            return Special(Failure.EXPECTATION)
        if None in hosts:
            return Special(Failure.WRONG_HOST)
        hints: dict[bytes, bytes] = {}
        for name, value in by_kind.get(HINT, []):
            hints[name] = hints[name] + b", " + value if name in hints else value
        options = frozenset(option for options in by_kind.get(CONNECTION, []) for option in options)
        return Special(
            host=hosts[0] if hosts else "",
            cookies=self._join(by_kind.get(COOKIE, [])),
            hints=hints,
            keeps_1_0=b"keep-alive" in options,
            keeps_1_1=b"close" not in options,
            nominated=nominated(options),
            length=CHUNKED if codings else lengths[0] if lengths else 0,
            wants_websocket=b"upgrade" in options and by_kind.get(UPGRADE, [False])[-1],
            expects_continue=EXPECT in by_kind,
            reach=tuple(by_kind.get(REACH, ())),
            dropped=tuple(by_kind.get(DROP, ())),
        )

    def agree(self, host: str, named: str, is_http_1_1: bool) -> str | Failure:
        """Return the requested host if Host alone does not determine it.

        `host` is from Host, "" if missing; `named` is the host of a target in absolute form, "" in others. They must be
        equal: the target takes precedence (RFC 9112 §3.2.2), but a proxy in front may have used Host. HTTP/1.0 does not
        require Host, and gets the first configured one.
        """
        if not host and is_http_1_1:
            return Failure.BAD_REQUEST
        wanted = self._hosts.get(named, "") if named else next(iter(self._hosts.values()))
        if host:
            return host if wanted == host else Failure.BAD_REQUEST
        return wanted or Failure.WRONG_HOST

    def _is_forbidden(self, name: bytes) -> bool:
        # WSGI and CGI servers treat `_` and `-` as equal, so a name with `_` can imitate any other. Some treat every
        # character except letters and digits like this: to them `Remote.User` equals `Remote-User`.
        folded = fold(name)
        return b"_" in name or folded in self._forbidden or folded.startswith(self._forbidden_prefixes)

    def _split(self, value: bytes) -> Cookies:
        return split_cookies(value, self._session_cookie, self._attempt_cookie)

    def _join(self, cookies: list[tuple[bytes, Cookies]]) -> Cookies:
        """Combine several Cookie lines. They are forwarded as one."""
        if len(cookies) == 1:
            return cookies[0][1]
        return self._split(b"; ".join(value for value, _ in cookies)) if cookies else NO_COOKIES
