"""The memo of judged lines: a reader that has seen a lot decides exactly as one that has seen nothing."""

from __future__ import annotations

import ast
import inspect

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.edge import request
from gateway.edge.origin import TrustedProxies
from gateway.edge.request import Reader
from gateway.model.inbound import Inbound
from gateway.wire.failures import Failure

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
    b"Connection: keep-alive",
    b"Connection: close, x-name",
    b"Connection: Upgrade",
    b"Proxy-Connection: close",
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
    b"X-Request-Id: 0123456789abcdef",
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
# Mostly honest lines, so that many heads are accepted and learned from; and some that nobody thought of.
SPOILED = st.tuples(st.sampled_from(LINES), st.integers(0, 40), st.binary(max_size=2)).map(
    lambda made: made[0][: made[1]] + made[2] + made[0][made[1] :]
)
LINE = st.sampled_from(LINES[:7]) | st.sampled_from(LINES) | SPOILED
HEAD = st.tuples(
    st.sampled_from(REQUEST_LINES[:5]) | st.sampled_from(REQUEST_LINES),
    st.booleans(),
    st.lists(LINE, max_size=6),
).map(lambda made: b"\r\n".join((made[0], *((b"Host: app.example.com",) if made[1] else ()), *made[2])))


def a_reader() -> Reader:
    return Reader(
        scheme="https",
        authorities=["app.example.com"],
        proxies=TrustedProxies(["10.0.0.0/8"]),
        session_cookie="__Host-own",
        attempt_cookie="__Host-attempt",
        identity_names=["Remote-User"],
        max_fields=20,
        max_target_bytes=100,
    )


EXPERIENCED = a_reader()


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
@given(HEAD, st.sampled_from(("10.0.0.1", "192.0.2.1")))
@example(b"GET /%00 HTTP/1.1\r\nHost: app.example.com\r\nAccept: */*\r\n folded", "192.0.2.1")
def test_what_was_judged_before_changes_no_judgement(head: bytes, peer: str) -> None:
    afresh = without_id(a_reader().read(head, peer))
    assert without_id(EXPERIENCED.read(head, peer)) == afresh
    assert without_id(EXPERIENCED.read(head, peer)) == afresh  # and now every line of it is known
    if not llhttp_takes(head):
        assert isinstance(afresh, Failure)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REQUEST_LINES), st.lists(st.sampled_from(LINES[:7]), max_size=6), st.data())
def test_known_lines_hide_nothing_between_them(line: bytes, known: list[bytes], data: st.DataObject) -> None:
    """The same lines in every other order, with one that is new: llhttp and our rules see the new one."""
    lines = [*known, b"Host: app.example.com"]
    EXPERIENCED.read(b"\r\n".join((line, *lines)), "192.0.2.1")
    mixed = data.draw(st.permutations([*lines, data.draw(LINE)]))
    head = b"\r\n".join((line, *mixed))
    assert without_id(EXPERIENCED.read(head, "192.0.2.1")) == without_id(a_reader().read(head, "192.0.2.1"))


def test_inbound_is_made_of_names_in_the_order_of_its_fields() -> None:
    """Reader makes it by position, for speed: two of one type that changed places would be found by nothing else."""
    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(request)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tuple.__new__"
    ]
    assert len(calls) == 1
    kind, fields = calls[0].args
    assert ast.unparse(kind) == "Inbound"
    assert isinstance(fields, ast.Tuple)
    names = [arg.attr if isinstance(arg, ast.Attribute) else ast.unparse(arg) for arg in fields.elts]
    assert names == [*Inbound._fields]
