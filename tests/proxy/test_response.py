"""The memo of judged lines, on the way back: what was seen before changes no judgement of an answer."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy.response import AnswerReader

STATUS_LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 404 Not Found",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 200 \x01",
    b"HTTP/2.0 200 OK",
    b"HTTP/1.1 99 Low",
)
LINES = (
    b"Server: gunicorn",
    b"Content-Type: text/html",
    b'ETag: "a"',
    b"Last-Modified: Sat, 28 Nov 2026 12:00:00 GMT",
    b"Content-Type: image/png",
    b"X-Name: Zo\xeb",
    b"Set-Cookie: theme=dark",
    b"Set-Cookie: own=forged",
    b"Set-Cookie: =own=forged",
    b'Set-Cookie: "own"=forged',
    b"Content-Type: text/event-stream",
    b"Cache-Control: no-cache",
    b"Content-Length: 5",
    b"Content-Length: 6",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Connection: keep-alive, x-private",
    b"Connection: upgrade",
    b"Upgrade: websocket",
    b"X-Private: 1",
    b"X-Accel-Redirect: /etc/passwd",
    b"X-Nul: \x00",
    b"X-Bare: a\nb",
    b" folded",
    b"X-Space : 1",
    b": nameless",
    b"no colon",
    b"",
)
SPOILED = st.tuples(st.sampled_from(LINES), st.integers(0, 40), st.binary(max_size=2)).map(
    lambda made: made[0][: made[1]] + made[2] + made[0][made[1] :]
)
LINE = st.sampled_from(LINES[:4]) | st.sampled_from(LINES) | SPOILED
HEAD = st.tuples(st.sampled_from(STATUS_LINES[:3]) | st.sampled_from(STATUS_LINES), st.lists(LINE, max_size=6)).map(
    lambda made: b"\r\n".join((made[0], *made[1]))
)
OWN = frozenset((b"own",))
EXPERIENCED = AnswerReader(OWN)


def llhttp_takes(head: bytes) -> bool:
    try:
        HttpResponseParser(object()).feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True


@settings(max_examples=1_000, deadline=None)
@given(HEAD, st.sampled_from(("GET", "HEAD")))
def test_what_was_judged_before_changes_no_judgement(head: bytes, method: str) -> None:
    afresh = AnswerReader(OWN).read(head, method)
    assert EXPERIENCED.read(head, method) == afresh
    assert EXPERIENCED.read(head, method) == afresh  # and now every line of it is known
    if not llhttp_takes(head):
        assert afresh is None
