"""Classifies the field lines of a request, and combines their meanings. Pure.

The rules are stricter than those of llhttp, which parses every head as well. The gateway refuses what either refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gateway.edge import reach
from gateway.model.api_token import NOISE, read_authorization
from gateway.model.inbound import CHUNKED, NOTHING
from gateway.wire.authority import read_authority
from gateway.wire.cookies import Cookies, split_cookies
from gateway.wire.failures import Failure
from gateway.wire.http1 import HOP_BY_HOP, nominated, read_length, split_field, tokens
from gateway.wire.names import ASSERTED, FORGED, FORGED_PREFIXES, HINTS, fold
from gateway.wire.names import FRAMING as FRAMING_NAMES


class Kind(IntEnum):
    """The kinds of field lines. Only those of KEEP are forwarded as they are."""

    KEEP = 0
    DROP = 1
    COOKIE = 2
    HINT = 3
    REACH = 4
    FRAMING = 5
    BAD = 6
    SENDER = 7  # X-Forwarded-For
    ID = 8  # X-Request-Id
    TOKEN = 9  # Authorization with a token of ours


class Part(IntEnum):
    """What a line of FRAMING says. HOP are the other hop-by-hop fields, of which llhttp reads one."""

    HOST = 0
    CONNECTION = 1
    LENGTH = 2
    CODING = 3
    UPGRADE = 4
    EXPECT = 5
    HOP = 6


KEEP, DROP, COOKIE, HINT, REACH, FRAMING, BAD, SENDER, ID, TOKEN = Kind
HOST, CONNECTION, LENGTH, CODING, UPGRADE, EXPECT, HOP = Part

# A classified field line: its kind, and its parsed value, if the kind needs one.
Line = tuple[Kind, Any]
REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{8,64}")
KEPT: Line = KEEP, None
MALFORMED: Line = BAD, None


@dataclass(frozen=True, slots=True)
class Framing:
    """The combined meaning of the lines of FRAMING; `failure` if they contradict each other.

    `host` is "" if there is no Host. `keeps_1_0` and `keeps_1_1` say whether a connection of that HTTP version persists
    (RFC 9112 §9.3).
    """

    failure: Failure | None = None
    host: str = ""
    keeps_1_0: bool = False
    keeps_1_1: bool = True
    nominated: frozenset[bytes] = NOTHING
    length: int = 0
    wants_websocket: bool = False
    expects_continue: bool = False


# What the lines of HINT, REACH and TOKEN say together: `hints` (see Inbound), fields of REACH, and credentials.
Extras = tuple[Mapping[bytes, bytes], Sequence[tuple[bytes, bytes]], Sequence[bytes]]
NO_HINTS: Mapping[bytes, bytes] = {}
NO_EXTRAS: Extras = NO_HINTS, (), ()


class FieldRules:
    """`hosts` are the names of the site (canonical_hosts), `identity_names` those of the identity headers.

    An identity name that ends in `*` is a prefix. Unless it `reads_tokens`, every API token is noise: one that was
    valid before they were switched off is not for the upstream either.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        identity_names: Iterable[str],
        session_cookie: str,
        attempt_cookie: str,
        *,
        reads_tokens: bool = True,
    ) -> None:
        self._hosts = hosts
        names = [name.encode("ascii") for name in identity_names]
        exact = frozenset(fold(name) for name in names if not name.endswith(b"*"))
        self._forbidden = HOP_BY_HOP | FORGED | ASSERTED | HINTS | FRAMING_NAMES | exact
        self._forbidden_prefixes = (*FORGED_PREFIXES, *(fold(name[:-1]) for name in names if name.endswith(b"*")))
        self._session_cookie = session_cookie.encode("ascii")
        self._attempt_cookie = attempt_cookie.encode("ascii")
        self._reads_tokens = reads_tokens

    def judge(self, line: bytes) -> Line:
        """Classify one line, as received and without its line ending. The result depends on nothing else."""
        field = split_field(line)
        if field is None:
            return MALFORMED
        name, value = field
        match name:
            case b"host":
                host = read_authority(value)
                return MALFORMED if host is None else (FRAMING, (HOST, self._hosts.get(host)))
            case b"cookie":
                return COOKIE, self.split_cookies([value])
            case b"connection":
                return FRAMING, (CONNECTION, tokens(value))
            case b"content-length":
                length = read_length(value)
                return MALFORMED if length is None else (FRAMING, (LENGTH, length))
            case b"transfer-encoding":
                return (FRAMING, (CODING, None)) if value.lower() == b"chunked" else MALFORMED
            case b"upgrade":
                return FRAMING, (UPGRADE, value.lower() == b"websocket")
            case b"expect":
                return FRAMING, (EXPECT, value.lower() == b"100-continue")
            case b"x-forwarded-for":
                return SENDER, value
            case b"x-request-id":
                return ID, value.decode("ascii") if REQUEST_ID.fullmatch(value) else ""
            case b"authorization":
                credential = read_authorization(value)
                return KEPT if credential is None else (TOKEN, credential if self._reads_tokens else NOISE)
            case _ if name in HOP_BY_HOP:
                return FRAMING, (HOP, None)
            case _ if name in reach.NAMES:
                return REACH, (name, value)
            case _ if name in HINTS:
                return HINT, (name, value)
        return (DROP, name) if self._is_forbidden(name) else KEPT

    def interpret(self, parts: Iterable[tuple[Part, Any]]) -> Framing:
        """Combine the lines of FRAMING, or return the failure."""
        by_part: dict[Part, list[Any]] = {}
        for part, meaning in parts:
            by_part.setdefault(part, []).append(meaning)
        hosts, lengths, codings = (by_part.get(part, []) for part in (HOST, LENGTH, CODING))
        if len(hosts) > 1 or len(lengths) + len(codings) > 1:
            # Two framings allow request smuggling (CVE-2019-16869 and many others).
            return Framing(Failure.BAD_REQUEST)
        if False in by_part.get(EXPECT, []):
            return Framing(Failure.EXPECTATION)
        if None in hosts:
            return Framing(Failure.WRONG_HOST)
        options = frozenset(option for options in by_part.get(CONNECTION, []) for option in options)
        return Framing(
            host=hosts[0] if hosts else "",
            keeps_1_0=b"keep-alive" in options,
            keeps_1_1=b"close" not in options,
            nominated=nominated(options),
            length=CHUNKED if codings else lengths[0] if lengths else 0,
            wants_websocket=b"upgrade" in options and by_part.get(UPGRADE, [False])[-1],
            expects_continue=EXPECT in by_part,
        )

    def split_cookies(self, values: Iterable[bytes]) -> Cookies:
        """Split the values of all Cookie lines. They are forwarded as one."""
        return split_cookies(b"; ".join(values), self._session_cookie, self._attempt_cookie)

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


def combine(lines: Iterable[Line]) -> Extras:
    """Combine the lines of HINT, REACH and TOKEN."""
    hints: dict[bytes, bytes] = {}
    said: list[tuple[bytes, bytes]] = []
    credentials: list[bytes] = []
    for kind, meaning in lines:
        if kind is HINT:
            name, value = meaning
            hints[name] = hints[name] + b", " + value if name in hints else value
        elif kind is TOKEN:
            credentials.append(meaning)
        else:
            said.append(meaning)
    return hints, said, credentials
