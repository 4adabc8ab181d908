"""The memo of judged lines: a reader that has seen a lot decides exactly as one that has seen nothing."""

from __future__ import annotations

import ast
import random
import re
from itertools import chain, permutations, product
from pathlib import Path
from typing import Any

import pytest
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.edge import known_lines, request
from gateway.edge.field_lines import FieldRules
from gateway.edge.known_lines import MAX_WAITING, KnownLines, New
from gateway.edge.origin import TrustedProxies
from gateway.edge.request import Reader
from gateway.model.api_token import Kind, make_token, read_authorization
from gateway.model.inbound import Inbound
from gateway.model.token import digest
from gateway.wire.failures import Failure
from gateway.wire.http1 import METHODS

SOURCE = Path(__file__).parent.parent.parent / "gateway/edge/request.py"  # also where the module is compiled
REQUEST_LINES = (
    b"GET / HTTP/1.1",
    b"GET /a//b?x=1 HTTP/1.1",
    b"GET /%00 HTTP/1.1",
    b"POST /form HTTP/1.1",
    b"HEAD / HTTP/1.0",
    b"POST / HTTP/1.0",
    b"OPTIONS * HTTP/1.1",
    b"GET http://app.example.com/a HTTP/1.1",
    b"GET http://app.example.com HTTP/1.0",
    b"GET https://evil.example.com/a HTTP/1.1",
    b"CONNECT app:443 HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET /\x7f HTTP/1.1",
    b"GET /\xc3\xab HTTP/1.1",
    b"get / HTTP/1.1",
    b"MOVE /a HTTP/1.1",
    b"LINK /a HTTP/1.1",
)
LINES = (
    b"Accept: */*",
    b"Accept:*/*",
    b"User-Agent: x y\tz",
    b"X-Name: Zo\xc3\xab",
    b"X-Name: adm\xffin",
    b"X-Empty:",
    b"X_Under: 1",
    b"Remote-User: admin",
    b"Remote.User: admin",
    b"Host: app.example.com",
    b"host: app.example.com:443",
    b"Host: evil.example.com",
    b"Cookie: a=1; __Host-own=" + b"A" * 43,
    b"Cookie: b=2",
    b"Cookie: c=3; __Host-own=" + b"B" * 43,
    b"cookie:  d=4 ; =__Host-own=x; __Host-attempt=" + b"C" * 43,
    b"Connection: keep-alive",
    b"Connection: close, x-name",
    b"Connection: Upgrade",
    b"Connection: cookie, x-request-id, x-forwarded-for",
    b"Proxy-Connection: close",
    b"Keep-Alive: 5",
    b"TE: trailers",
    b"X-Real-IP: 203.0.113.7",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Expect: 100-continue",
    b"Destination: /x",
    b"Destination: https://evil.example/x",
    b"Depth: 0",
    b"Connection: depth",
    b"If: </y> (<urn:1>)",
    b"Link: </z>",
    b"X-Forwarded-For: 10.1.1.1",
    b"X-Forwarded-For: 203.0.113.7:51234",
    b"X-Forwarded-For: unknown",
    b"X-Forwarded-For: 10.1.1.1, 203.0.113.9",
    b"X-Request-Id: 0123456789abcdef",
    b"X-Request-Id:fedcba9876543210 ",
    b"x-request-id: short",
    b"X-Original-URI: /x",
    b"Connection: X-Original-URI",
    b" folded",
    b"\tfolded",
    b"X-Space : 1",
    b"X-Bare: a\nb",
    b"X-Bare: a\rb",
    b"X-Nul: a\x00b",
    b": nameless",
    b"no colon",
    b"",
)


class Chance(random.Random):
    """Draws lines and heads. One number makes each of them: to draw every part by itself takes fifty times as long."""

    def line(self) -> bytes:
        """Mostly an honest line, so that many heads are accepted and learned from; or one that nobody thought of."""
        kind = self.randrange(3)
        if kind < 2:
            return self.choice((LINES[:7], LINES)[kind])
        line, at = self.choice(LINES), self.randint(0, 40)
        return line[:at] + self.randbytes(self.randint(0, 2)) + line[at:]

    def head(self) -> bytes:
        first = self.choice(self.choice((REQUEST_LINES[:5], REQUEST_LINES)))
        host = [b"Host: app.example.com"] * self.randrange(2)
        return b"\r\n".join((first, *host, *(self.line() for _ in range(self.randint(0, 6)))))


CHANCE = st.integers(0, 2**64).map(Chance)
PEERS = ("10.0.0.1", "192.0.2.1")


def a_reader(**memory: Any) -> Reader:
    return Reader(
        scheme="https",
        authorities=["app.example.com"],
        proxies=TrustedProxies(["10.0.0.0/8"]),
        session_cookie="__Host-own",
        attempt_cookie="__Host-attempt",
        identity_names=["Remote-User"],
        max_fields=20,
        max_target_bytes=100,
        **memory,
    )


def a_forgetful_reader() -> Reader:
    """Return a reader whose memos are full after a few lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request, "MEMO_BYTES", 2_000)
        patch.setattr(known_lines, "MEMO_BYTES", 2_000)
        return a_reader(is_in_memory=lambda key: True, cached_sessions=1)


EXPERIENCED = a_reader(is_in_memory=lambda key: True)
FORGETFUL = a_forgetful_reader()


def without_id(read: Inbound | Failure) -> Inbound | Failure:
    return read if isinstance(read, Failure) else read._replace(request_id="")


def llhttp_takes(head: bytes) -> bool:
    try:
        HttpRequestParser(object()).feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True


@settings(max_examples=1_000, deadline=None)
@given(CHANCE.map(Chance.head), st.sampled_from(PEERS))
@example(b"GET /%00 HTTP/1.1\r\nHost: app.example.com\r\nAccept: */*\r\n folded", "192.0.2.1")
def test_what_was_judged_before_changes_no_judgement(head: bytes, peer: str) -> None:
    afresh = without_id(a_reader().read(head, peer))
    for reader in (EXPERIENCED, FORGETFUL):
        assert without_id(reader.read(head, peer)) == afresh
        assert without_id(reader.read(head, peer)) == afresh  # and now every line of it is known
    if not llhttp_takes(head):
        assert isinstance(afresh, Failure)


@settings(max_examples=300, deadline=None)
@given(CHANCE)
def test_known_lines_hide_nothing_between_them(chance: Chance) -> None:
    """The same lines in every other order, with one that is new: llhttp and our rules see the new one."""
    line, peer = chance.choice(REQUEST_LINES), chance.choice(PEERS)
    lines = [*chance.choices(LINES, k=chance.randint(0, 6)), b"Host: app.example.com"]
    for reader in (EXPERIENCED, FORGETFUL):
        reader.read(b"\r\n".join((line, *lines)), peer)
    mixed = [*lines, *(chance.line() for _ in range(chance.randint(1, 3)))]
    chance.shuffle(mixed)
    head = b"\r\n".join((line, *mixed))
    afresh = without_id(a_reader().read(head, peer))
    assert [without_id(reader.read(head, peer)) for reader in (EXPERIENCED, FORGETFUL)] == [afresh, afresh]
    if not llhttp_takes(head):
        assert isinstance(afresh, Failure)


OWN = b"__Host-own=" + b"A" * 43
PROXYS = [b"Host: app.example.com", b"X-Forwarded-Proto: https"]


def ask(reader: Reader, *lines: bytes) -> Inbound:
    found = reader.read(b"\r\n".join((b"GET / HTTP/1.1", *PROXYS, *lines)), "10.0.0.1")
    assert isinstance(found, Inbound)
    return found


@pytest.mark.parametrize("reader", [a_reader(), EXPERIENCED, FORGETFUL], ids=["new", "experienced", "forgetful"])
def test_each_request_has_what_its_own_lines_say(reader: Reader) -> None:
    """Many people in turns behind one proxy, with a new request id each time."""
    for number in [*range(300), *range(300)]:
        cookie, address = b"Cookie: n=%d; __Host-own=%043d" % (number, number), b"203.0.113.%d" % (number % 250)
        request_id = b"%032x" % (number * 7_919)
        found = ask(reader, cookie, b"X-Forwarded-For: " + address, b"X-Request-Id: " + request_id)
        assert found.session_key == digest(b"%043d" % number)
        assert found.lines == [b"Cookie: n=%d" % number]
        assert (found.address, found.request_id) == (address.decode(), request_id.decode())


def test_two_request_ids_are_none() -> None:
    twice = [b"X-Request-Id: 0123456789abcdef"] * 2
    for lines in (twice, [twice[0], b"x-request-id: fedcba9876543210"]):
        for _ in range(2):
            assert ask(EXPERIENCED, *lines).request_id.startswith(EXPERIENCED.new_request_id()[:12])


def test_a_hint_that_connection_names_is_believed_all_the_same_and_passed_on_to_nobody() -> None:
    lines = [b"Connection: x-forwarded-for, x-request-id", b"X-Forwarded-For: 203.0.113.7", b"X-Request-Id: 0123456789"]
    for order in permutations(lines):
        found = ask(EXPERIENCED, *order)
        assert (found.address, found.request_id, found.lines) == ("203.0.113.7", "0123456789", [])


def test_two_session_cookies_are_none_in_whatever_lines_they_come() -> None:
    other = b"__Host-own=" + b"B" * 43
    alone = [b"Cookie: a=1; " + OWN, b"Cookie: " + other, b"Cookie: c=3"]
    assert [ask(EXPERIENCED, line).session_key is None for line in alone] == [False, False, True]
    for order in permutations(alone):
        found = ask(EXPERIENCED, *order)
        assert found.session_key is None
        assert sorted(found.cookies) == ["a", "c"]
    found = ask(EXPERIENCED, *alone[::2])
    assert (found.session_key, found.lines) == (digest(b"A" * 43), [b"Cookie: a=1; c=3"])


def test_strangers_make_nobodys_cookies_forgotten() -> None:
    """A flood of cookies, with sessions that don't exist and with none at all."""
    signed_in = [b"Cookie: theme=dark; __Host-own=%043d" % number for number in range(20)]
    keys = {digest(line[-43:]) for line in signed_in}
    rules = FieldRules({}, [], "__Host-own", "__Host-attempt")
    known = KnownLines(rules, keys.__contains__, cached_sessions=20)
    for line in signed_in:
        assert judged_anew(known, line)
    for number in range(2_000):
        assert judged_anew(known, b"Cookie: theme=dark; __Host-own=%043d" % (1_000 + number))
        assert judged_anew(known, b"Cookie: visitor=%d" % number)
    assert [judged_anew(known, line) for line in signed_in] == [False] * 20


def test_a_cookie_is_remembered_once_its_session_is_found() -> None:
    """It is read before: the lines of people's first requests wait, and those of strangers are dropped then."""
    found: set[bytes] = set()
    known = KnownLines(FieldRules({}, [], "__Host-own", "__Host-attempt"), found.__contains__, cached_sessions=100)
    lines = [b"Cookie: __Host-own=%043d" % number for number in range(2 * MAX_WAITING + 1)]
    for line in lines:
        assert judged_anew(known, line)
        if line[-1] % 2:
            found.add(digest(line[-43:]) or b"")
    assert [line in known.cookies.young for line in lines] == [line[-1] % 2 == 1 for line in lines]
    assert len(known.cookies.young) == MAX_WAITING


def test_made_up_tokens_are_not_remembered_and_make_no_other_line_forgotten() -> None:
    own, *strangers = (b"Authorization: Bearer " + make_token(Kind.PERSONAL).reveal().encode() for _ in range(9_000))
    key = read_authorization(own.partition(b": ")[2])
    known = KnownLines(FieldRules({}, [], "__Host-own", "__Host-attempt"), {key}.__contains__, cached_sessions=1)
    other = b"X-Forwarded-For: 192.0.2.1"
    for line in (own, other, *strangers):
        assert judged_anew(known, line)
    assert not judged_anew(known, own)
    assert other in known.others
    assert not any(line in known.others for line in (own, *strangers))


def judged_anew(known: KnownLines, line: bytes) -> bool:
    if line in known.cookies.young:
        return False
    new: New = []
    known.judge(line, new)
    assert known.accept(new)
    return bool(new)


@pytest.mark.parametrize("method", [*sorted(METHODS - {"PRI"})])
def test_llhttp_judges_framing_by_method_and_version_and_by_no_target(method: str) -> None:
    """So the memo of framing lines has the request line without its target."""
    verdicts = set()
    for version in ("1.0", "1.1"):
        for lines in chain(FRAMING_LINES, product(FRAMING_LINES, repeat=2)):
            framing = b"\r\n".join(lines) if isinstance(lines, tuple) else lines
            taken = {
                llhttp_takes(f"{method} {target} HTTP/{version}\r\n".encode() + framing)
                for target in ("/", "/a//b?x=1", "http://app.example.com/a", "/" + "x" * 90)
            }
            assert len(taken) == 1, (version, framing)
            verdicts |= taken
    assert verdicts == {True, False}


FRAMING_LINES = tuple(
    line for line in LINES if re.match(rb"(?i)connection|proxy-c|upgrade|content|transfer|expect", line)
)


def test_inbound_is_made_of_names_in_the_order_of_its_fields() -> None:
    """Reader makes it by position, for speed: two of one type that changed places would be found by nothing else."""
    calls = [
        node
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tuple.__new__"
    ]
    assert len(calls) == 1
    kind, fields = calls[0].args
    assert ast.unparse(kind) == "Inbound"
    assert isinstance(fields, ast.Tuple)
    names = [arg.attr if isinstance(arg, ast.Attribute) else ast.unparse(arg) for arg in fields.elts]
    assert names == [*Inbound._fields]
