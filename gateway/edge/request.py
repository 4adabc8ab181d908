"""Parses the head of a request into one Inbound, or returns the failure.

llhttp parses every head as well; the rules here are stricter where it is lenient. The gateway refuses what either
refuses. Most lines repeat byte for byte, so their parsed form is kept in a bounded memo, and a typical request costs
one look-up per line. If all lines are in the memo, llhttp only parses the request line again together with the lines
that affect framing; if there are none of these, it has seen the request line before. Emptying the memo costs only time
(tests/edge/test_request.py compares the results).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gateway.edge.field_lines import BAD, CONNECTION, HINT, KEEP, UNFRAMING, FieldRules, Line, Special
from gateway.edge.origin import TrustedProxies, canonical_hosts
from gateway.edge.reach import REACHING, SITE, ReachReader, Unreadable, names_anything
from gateway.edge.request_line import RequestLine, read_request_line
from gateway.model.inbound import CHUNKED, Inbound, Resource
from gateway.wire.failures import Failure
from gateway.wire.http1 import HEAD_END, following

NO_HINTS: Mapping[bytes, bytes] = {}
REQUEST_ID_FIELD = b"x-request-id:"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{8,64}")

MEMO_BYTES = 2_000_000
MEMO_LINE_BYTES = 8_192
WORD_BYTES = 100  # size of a name as an object of its own


class Reader:
    """Parses request heads for one worker. `identity_names` are those of the identity headers.

    `scheme` is the one that the upstream is told; `question_path` is the address of forward-auth. `on_unreadable` is
    called with proxy and entry if a trusted proxy wrote something other than addresses into X-Forwarded-For. `carriers`
    are the paths of our pages that have a return address in their query (see request_line).
    """

    def __init__(
        self,
        *,
        scheme: str,
        authorities: Iterable[str],
        proxies: TrustedProxies,
        session_cookie: str,
        attempt_cookie: str,
        identity_names: Iterable[str],
        max_fields: int,
        max_target_bytes: int,
        question_path: str = "",
        on_unreadable: Callable[[str, str], None] = lambda proxy, entry: None,
        carriers: Iterable[str] = (),
    ) -> None:
        hosts = canonical_hosts(authorities)
        self._rules = FieldRules(hosts, identity_names, session_cookie, attempt_cookie)
        self._reach = ReachReader(hosts, scheme)
        self._own_host = b"Host: " + next(iter(hosts)).encode("ascii")
        self._question_path = question_path.encode("ascii")
        self._proxies = proxies
        self._on_unreadable = on_unreadable
        self._max_fields = max_fields
        self._max_target_bytes = max_target_bytes
        self._carriers = frozenset(path.encode("ascii") for path in carriers)
        self._passing: set[bytes] = set()
        self._lines: dict[bytes, Line] = {}
        self._specials: dict[tuple[bytes, ...], Special] = {}
        self._request_lines: dict[bytes, RequestLine] = {}
        self._addresses: dict[tuple[str, bytes], str] = {}
        self._memo_room = MEMO_BYTES
        self._trusted: dict[str, bool] = {}
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(1_000_000_000)  # all of the same width

    def new_request_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids)}"

    def read(self, head: bytes, peer: str) -> Inbound | Failure:
        """Return the Inbound of `head` (without the empty line that ends it), or the failure.

        `peer` is the remote address of the connection, "" for a Unix socket.
        """
        lines = head.split(b"\r\n")
        first = lines.pop(0)
        known = self._request_lines.get(first)
        if known is None:
            judged = self._judge_first(first)
            if isinstance(judged, Failure):
                return judged
            known = judged
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
        if known.readings is None:
            return Failure.BAD_PATH
        if special.failure is None:
            return self._assemble(known, known.readings, special, kept, peer)
        if special.failure is Failure.WRONG_HOST and self._is_question(known.target, peer):
            return self.read(b"\r\n".join((first, *self._under_own_name(lines))), peer)
        return special.failure

    def _assemble(
        self, known: RequestLine, readings: tuple[str, ...], special: Special, lines: list[bytes], peer: str
    ) -> Inbound | Failure:
        """Combine request line and field lines, or return the failure if they contradict each other.

        Inbound is made of positional arguments, since keywords would cost a quarter of the parsing time. Each argument
        has the name of its field, which a test checks.
        """
        method, target, _, is_http_1_1, named_host = known
        host, length = special.host, special.length
        session_key, attempt_key, cookie_line, cookies, form_key, browser_key, sent_key = special.cookies
        if named_host or not host:
            agreed = self._rules.agree(host, named_host, is_http_1_1)
            if isinstance(agreed, Failure):
                return agreed
            host = agreed
        if length == CHUNKED and not is_http_1_1:
            return Failure.BAD_REQUEST
        if cookie_line:
            lines.append(cookie_line)
        reach: tuple[Resource, ...] = ()
        if special.reach or method in REACHING:
            try:
                reach = self._read_reach(known, host, special, lines)
            except Unreadable:
                return Failure.BAD_REQUEST
        is_websocket = special.wants_websocket and is_http_1_1 and method == "GET"
        if is_websocket and length:
            return Failure.BAD_REQUEST
        is_keep_alive = special.keeps_1_1 if is_http_1_1 else special.keeps_1_0
        expects_continue = special.expects_continue and is_http_1_1 and length != 0
        is_trusted = self._trusted.get(peer)
        if is_trusted is None:
            is_trusted = self._judge_peer(peer)
        if is_trusted:
            hints = special.hints
            address, request_id = self._address(peer, hints), self._request_id(hints)
        else:
            address, request_id, hints = peer, f"{self._id_prefix}{next(self._ids)}", NO_HINTS
        # fmt: off
        return tuple.__new__(Inbound, (
            method, target, readings, host, address, is_trusted, request_id, session_key, attempt_key, cookies,
            lines, special.nominated, hints, length, is_http_1_1, is_keep_alive, is_websocket, expects_continue,
            special.dropped, reach, form_key, browser_key, sent_key,
        ))
        # fmt: on

    def _judge_first(self, first: bytes) -> RequestLine | Failure:
        judged = read_request_line(first, self._max_target_bytes, self._carriers)
        if isinstance(judged, Failure):
            return judged
        if not is_accepted_by_llhttp(first + HEAD_END):
            return Failure.BAD_REQUEST
        self._make_room(3 * len(first))  # line, target and reading
        self._request_lines[first] = judged
        return judged

    def _is_question(self, target: bytes, peer: str) -> bool:
        """Return whether a trusted proxy asks by forward-auth, in which case any Host is accepted."""
        return target.partition(b"?")[0] == self._question_path and self._proxies.trusts(peer)

    def _under_own_name(self, lines: Iterable[bytes]) -> list[bytes]:
        return [self._own_host if line[:5].lower() == b"host:" else line for line in lines]

    def _read_reach(self, known: RequestLine, host: str, special: Special, kept: list[bytes]) -> tuple[Resource, ...]:
        """Return what the request affects besides its target, and add the canonical lines to `kept`.

        Fields that Connection names are not forwarded, and therefore have no effect here. Raises Unreadable.
        """
        own = Resource(known.target, known.readings or (), False)
        said = [(name, value) for name, value in special.reach if name not in special.nominated]
        reach, lines = self._reach.read(known.method, own, host, said)
        if names_anything(known.method, special.length != 0, kept):
            reach += (SITE,)
        kept += lines
        return reach

    def _understand(
        self, lines: list[bytes], kept: list[bytes], rest: tuple[bytes, ...]
    ) -> tuple[list[bytes], Special]:
        """Return all lines to forward, in order, and the meaning of the others.

        A proxy in front adds a different X-Request-Id to each request, so the memo's key does not contain that line.
        """
        ids = [line for line in rest if line[: len(REQUEST_ID_FIELD)].lower() == REQUEST_ID_FIELD]
        if len(ids) != 1:
            return self._learn(lines, kept, rest)
        others = tuple([line for line in rest if line is not ids[0]])
        special = self._specials.get(others)
        if special is None:
            kept, special = self._learn(lines, kept, others)
        kind, meaning = self._rules.judge(ids[0])
        if kind is not HINT:
            return kept, Special(Failure.BAD_REQUEST)
        return kept, replace(special, hints={**special.hints, meaning[0]: meaning[1]})

    def _learn(self, lines: list[bytes], kept: list[bytes], rest: tuple[bytes, ...]) -> tuple[list[bytes], Special]:
        """Classify the lines in `rest`, and memoise their combined meaning."""
        judged = [(line, self._lines.get(line) or self._judge(line)) for line in rest]
        fresh = {line for line, judgement in judged if judgement.kind is KEEP}
        if fresh:
            known = fresh.union(kept)
            kept = [line for line in lines if line in known]
        shown = [line for line, judgement in judged if judgement.kind not in UNFRAMING]
        special = self._rules.interpret([judgement for _, judgement in judged])
        special = replace(special, shown=following(shown) if shown else b"")
        left = tuple(line for line in rest if line not in fresh)
        size = sum(map(len, left))
        if size <= MEMO_LINE_BYTES and special.failure is None:
            words = sum(map(len, (special.nominated, special.cookies.names, special.dropped)))
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
            address, unreadable = self._proxies.find(peer, forwarded_for)
            if unreadable is not None:
                self._on_unreadable(peer, unreadable)
                return address
            self._make_room(len(forwarded_for))
            self._addresses[key] = address
        return address

    def _request_id(self, hints: Mapping[bytes, bytes]) -> str:
        given = hints.get(b"x-request-id")
        if given is not None and REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return self.new_request_id()

    def _judge(self, line: bytes) -> Line:
        judged = self._rules.judge(line)
        if len(line) <= MEMO_LINE_BYTES and judged.kind is not BAD:
            words = len(judged.meaning) if judged.kind is CONNECTION else 0
            self._make_room(len(line) + words * WORD_BYTES)
            if judged.kind is KEEP:
                self._passing.add(line)
            else:
                self._lines[line] = judged
        return judged

    def _make_room(self, size: int) -> None:
        self._memo_room -= size + 200
        if self._memo_room < 0:
            self._memo_room = MEMO_BYTES
            self._passing.clear()
            self._lines.clear()
            self._specials.clear()
            self._request_lines.clear()
            self._addresses.clear()


class _Judge:
    """Callbacks of llhttp: none, since only acceptance matters."""


_JUDGE = _Judge()


def is_accepted_by_llhttp(head: bytes) -> bool:
    """Return whether llhttp accepts the head. A new parser for each is faster than resetting one."""
    try:
        HttpRequestParser(_JUDGE).feed_data(head)
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True
