"""Parses the head of a request into one Inbound, or returns the failure.

llhttp parses everything as well; the rules here are stricter where it is lenient. The gateway refuses what either
refuses. What was judged is remembered in bounded memos: request lines, field lines one by one (edge/known_lines.py),
and the few combinations of those that frame the message (Host, Connection, Content-Length and the like). llhttp sees
each such combination together with its method and version; what it accepts depends on nothing else. Emptying the memos
costs only time (tests/edge/test_request.py compares the results).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from gateway.edge.field_lines import (
    BAD,
    COOKIE,
    DROP,
    FRAMING,
    ID,
    KEEP,
    NO_EXTRAS,
    NO_HINTS,
    SENDER,
    FieldRules,
    Framing,
    Line,
    combine,
)
from gateway.edge.known_lines import MAX_BYTES, MEMO_BYTES, WORD_BYTES, KnownLines, New
from gateway.edge.origin import TrustedProxies, canonical_hosts
from gateway.edge.reach import REACHING, SITE, ReachReader, Unreadable, names_anything
from gateway.edge.request_line import RequestLine, read_request_line
from gateway.model.inbound import CHUNKED, Inbound, Resource
from gateway.model.memo import CACHED_SESSIONS, Memo
from gateway.wire.cookies import NO_COOKIES, Cookies
from gateway.wire.failures import Failure
from gateway.wire.http1 import HEAD_END, following
from gateway.wire.llhttp import accepts_request

MAX_FORWARDED_BYTES = 100  # of an X-Forwarded-For that is remembered
ENTRY_BYTES = 400
AUTHORIZATION = b"authorization"


class Reader:
    """Parses request heads for one worker. `identity_names` are those of the identity headers.

    `scheme` is the one that the upstream is told; `question_path` is the address of forward-auth. `on_unreadable` is
    called with proxy and entry if a trusted proxy wrote something other than addresses into X-Forwarded-For. `carriers`
    are the paths of our pages that have a return address in their query (see request_line). See KnownLines for
    `is_in_memory` and `cached_sessions`.
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
        is_in_memory: Callable[[bytes], bool] = lambda key: False,
        cached_sessions: int = CACHED_SESSIONS,
        reads_tokens: bool = True,
    ) -> None:
        hosts = canonical_hosts(authorities)
        self._rules = FieldRules(hosts, identity_names, session_cookie, attempt_cookie, reads_tokens=reads_tokens)
        self._reach = ReachReader(hosts, scheme)
        self._own_host = b"Host: " + next(iter(hosts)).encode("ascii")
        self._question_path = question_path.encode("ascii")
        self._proxies = proxies
        self._on_unreadable = on_unreadable
        self._max_fields = max_fields
        self._max_target_bytes = max_target_bytes
        self._carriers = frozenset(path.encode("ascii") for path in carriers)
        self._known = KnownLines(self._rules, is_in_memory, cached_sessions)
        self._request_lines = Memo[bytes, RequestLine](MEMO_BYTES, weigh_request_line)
        self._framings = Memo[tuple[bytes, ...], Framing](MEMO_BYTES, weigh_framing)
        self._addresses = Memo[bytes, str](cached_sessions)
        self._trusted = Memo[str, bool](cached_sessions)
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
        known = self._request_lines.young.get(first)
        if known is None:
            judged = self._judge_first(first)
            if isinstance(judged, Failure):
                return judged
            known = judged
        if len(lines) > self._max_fields:
            return Failure.HEAD_TOO_LARGE
        field_lines = self._known
        passing, framing_lines = field_lines.passing.young, field_lines.framing.young
        cookie_lines, other_lines = field_lines.cookies.young, field_lines.others.young
        kept: list[bytes] = []
        framing = [known.shape]
        cookies: list[Cookies] = []
        senders: list[bytes] = []
        ids: list[str] = []
        dropped: list[bytes] = []
        others: list[Line] = []
        new: New = []
        for line in lines:
            if line in passing:
                kept.append(line)
            elif line in framing_lines:
                framing.append(line)
            else:
                judgement = cookie_lines.get(line) or other_lines.get(line) or field_lines.judge(line, new)
                kind, meaning = judgement
                if kind is COOKIE:
                    cookies.append(meaning)
                elif kind is ID:
                    ids.append(meaning)
                elif kind is SENDER:
                    senders.append(meaning)
                elif kind is DROP:
                    dropped.append(meaning)
                elif kind is KEEP:
                    kept.append(line)
                elif kind is FRAMING:
                    framing.append(line)
                elif kind is BAD:
                    return Failure.BAD_REQUEST
                else:
                    others.append(judgement)
        if new and not field_lines.accept(new):
            return Failure.BAD_REQUEST
        combination = tuple(framing)
        framed = self._framings.young.get(combination) or self._interpret(combination)
        if framed.failure is None and known.readings is not None:
            split = cookies[0] if len(cookies) == 1 else self._split(lines) if cookies else NO_COOKIES
            return self._assemble(known, known.readings, framed, split, others, kept, peer, senders, ids, dropped)
        return self._refuse(known, framed, first, lines, peer)

    def _refuse(
        self, known: RequestLine, framed: Framing, first: bytes, lines: list[bytes], peer: str
    ) -> Inbound | Failure:
        """Return the failure of a head, or the Inbound of a forward-auth question, which may name any Host."""
        if framed.failure is Failure.BAD_REQUEST:
            return framed.failure
        if known.readings is None:
            return Failure.BAD_PATH
        if framed.failure is Failure.WRONG_HOST and self._is_question(known.target, peer):
            return self.read(b"\r\n".join((first, *self._under_own_name(lines))), peer)
        assert framed.failure is not None
        return framed.failure

    def _assemble(
        self,
        known: RequestLine,
        readings: tuple[str, ...],
        framed: Framing,
        split: Cookies,
        others: list[Line],
        lines: list[bytes],
        peer: str,
        senders: list[bytes],
        ids: list[str],
        dropped: list[bytes],
    ) -> Inbound | Failure:
        """Combine request line and field lines, or return the failure if they contradict each other.

        Inbound is made of positional arguments, since keywords would cost a quarter of the parsing time. Each argument
        has the name of its field, which a test checks.
        """
        method, target, _, is_http_1_1, named_host, _ = known
        host, length = framed.host, framed.length
        session_key, attempt_key, cookie_line, cookies, form_key, browser_key, sent_key, sso_key, zone = split
        hints, said, credentials = combine(others) if others else NO_EXTRAS
        if credentials:
            if session_key or attempt_key or is_ambiguous(credentials, framed, lines):
                return Failure.BAD_REQUEST
            session_key = credentials[0]
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
        if said or method in REACHING:
            try:
                reach = self._read_reach(known, host, framed, said, lines)
            except Unreadable:
                return Failure.BAD_REQUEST
        is_websocket = framed.wants_websocket and is_http_1_1 and method == "GET"
        if is_websocket and length:
            return Failure.BAD_REQUEST
        is_keep_alive = framed.keeps_1_1 if is_http_1_1 else framed.keeps_1_0
        expects_continue = framed.expects_continue and is_http_1_1 and length != 0
        is_trusted = self._trusted.young.get(peer)
        if is_trusted is None:
            is_trusted = self._judge_peer(peer)
        if is_trusted:
            address = self._address(peer, senders) if senders else peer
            request_id = (ids[0] if len(ids) == 1 else "") or f"{self._id_prefix}{next(self._ids)}"
        else:
            address, request_id, hints = peer, f"{self._id_prefix}{next(self._ids)}", NO_HINTS
        # fmt: off
        return tuple.__new__(Inbound, (
            method, target, readings, host, address, is_trusted, request_id, session_key, attempt_key, cookies,
            lines, framed.nominated, hints, length, is_http_1_1, is_keep_alive, is_websocket, expects_continue,
            dropped, reach, form_key, browser_key, sent_key, sso_key, zone,
        ))
        # fmt: on

    def _judge_first(self, first: bytes) -> RequestLine | Failure:
        remembered = self._request_lines.recall(first)
        if remembered is not None:
            return remembered
        judged = read_request_line(first, self._max_target_bytes, self._carriers)
        if isinstance(judged, Failure):
            return judged
        if not accepts_request(first + HEAD_END):
            return Failure.BAD_REQUEST
        self._request_lines.put(first, judged)
        return judged

    def _is_question(self, target: bytes, peer: str) -> bool:
        """Return whether a trusted proxy asks by forward-auth, in which case any Host is accepted."""
        return target.partition(b"?")[0] == self._question_path and self._judge_peer(peer)

    def _under_own_name(self, lines: Iterable[bytes]) -> list[bytes]:
        return [self._own_host if line[:5].lower() == b"host:" else line for line in lines]

    def _read_reach(
        self, known: RequestLine, host: str, framed: Framing, fields: Iterable[tuple[bytes, bytes]], kept: list[bytes]
    ) -> tuple[Resource, ...]:
        """Return what the request affects besides its target, and add the canonical lines to `kept`.

        Fields that Connection names are not forwarded, and therefore have no effect here. Raises Unreadable.
        """
        own = Resource(known.target, known.readings or (), False)
        said = [(name, value) for name, value in fields if name not in framed.nominated]
        reach, lines = self._reach.read(known.method, own, host, said)
        if names_anything(known.method, framed.length != 0, kept):
            reach += (SITE,)
        kept += lines
        return reach

    def _interpret(self, combination: tuple[bytes, ...]) -> Framing:
        """Combine lines of FRAMING, behind the shape of their request line."""
        remembered = self._framings.recall(combination)
        if remembered is not None:
            return remembered
        shape, *lines = combination
        if not accepts_request(shape + following(lines)):
            return Framing(Failure.BAD_REQUEST)
        framed = self._rules.interpret(self._rules.judge(line)[1] for line in lines)
        if framed.failure is None and sum(map(len, lines)) <= MAX_BYTES:
            self._framings.put(combination, framed)
        return framed

    def _split(self, lines: Iterable[bytes]) -> Cookies:
        """Split several Cookie lines."""
        fields = (line.partition(b":") for line in lines)
        return self._rules.split_cookies(value.strip(b" \t") for name, _, value in fields if name.lower() == b"cookie")

    def _judge_peer(self, peer: str) -> bool:
        is_trusted = self._trusted.recall(peer)
        if is_trusted is None:
            is_trusted = self._proxies.trusts(peer)
            self._trusted.put(peer, is_trusted)
        return is_trusted

    def _address(self, peer: str, senders: Sequence[bytes]) -> str:
        """Return the client's address behind the trusted proxy `peer`. What is remembered is that of a client."""
        forwarded_for = senders[0] if len(senders) == 1 else b", ".join(senders)
        remembered = self._addresses.young.get(forwarded_for) or self._addresses.recall(forwarded_for)
        if remembered is not None:
            return remembered
        address, unreadable = self._proxies.find(peer, forwarded_for)
        if unreadable is not None:
            self._on_unreadable(peer, unreadable)
        elif address != peer and len(forwarded_for) <= MAX_FORWARDED_BYTES:
            self._addresses.put(forwarded_for, address)
        return address


def is_ambiguous(credentials: Sequence[bytes], framed: Framing, kept: Iterable[bytes]) -> bool:
    """Whether a head with a token has another Authorization as well, or makes it a hop-by-hop field."""
    if len(credentials) > 1 or AUTHORIZATION in framed.nominated:
        return True
    return any(line[: len(AUTHORIZATION) + 1].lower() == AUTHORIZATION + b":" for line in kept)


def weigh_request_line(first: bytes, known: RequestLine) -> int:
    return ENTRY_BYTES + 3 * len(first)  # line, target and reading


def weigh_framing(combination: tuple[bytes, ...], framed: Framing) -> int:
    return ENTRY_BYTES + sum(map(len, combination)) + WORD_BYTES * len(framed.nominated)
