"""What a request brought that was answered here goes nowhere, and an answer is read as if it were the first."""

from __future__ import annotations

import pytest

from gateway.proxy.response import AnswerReader
from tests.support.gateway import Gateway
from tests.support.raw import Connection, Response, get
from tests.support.upstream import RecordingUpstream

EVIL = b"GET /admin HTTP/1.1\r\nHost: app.example.com\r\nRemote-User: admin\r\nRemote-Groups: admin,owner\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVIL), EVIL)


def next_response(connection: Connection) -> Response:
    response = connection.response()
    assert response is not None
    return response


@pytest.mark.parametrize("is_signed_in", [False, True], ids=["401", "403"])
@pytest.mark.parametrize("is_pipelined", [False, True], ids=["one after another", "at once"])
@pytest.mark.parametrize(
    ("line", "body"),
    [("Transfer-Encoding: chunked", CHUNKED), (f"Content-Length: {len(EVIL)}", EVIL)],
    ids=["chunked", "of known length"],
)
def test_the_body_of_a_request_that_was_refused_is_sent_with_no_other(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, is_signed_in: bool, is_pipelined: bool,
    line: str, body: bytes,
) -> None:  # fmt: skip
    first = get("/admin", line, *([employee] if is_signed_in else []), method="POST") + body
    with gateway.connect() as connection:
        connection.send(first + get("/public") if is_pipelined else first)
        refusal = next_response(connection)
        assert refusal.status == (403 if is_signed_in else 401)
        is_kept = refusal.get("connection") != "close"
        if is_kept:
            if not is_pipelined:
                connection.send(get("/public"))
            assert next_response(connection).status == 200
            connection.send(get("/public"))  # whatever came with the first has been recorded when this is answered
            assert next_response(connection).status == 200
    assert [(request.target, request.body) for request in upstream.requests] == 2 * is_kept * [("/public", b"")]


def test_a_request_is_not_repeated_once_anything_of_an_answer_came(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    upstream.answers("/public/interim", b"HTTP/1.1 100 Continue\r\n\r\n", closes=True)
    with gateway.connect() as connection:
        connection.send(get("/public"))
        next_response(connection)
        connection.send(get("/public/interim"))
        assert next_response(connection).status == 502
    assert [request.target for request in upstream.requests].count("/public/interim") == 1


def test_a_status_line_stands_first_whatever_was_seen_before() -> None:
    reader = AnswerReader(frozenset())
    assert reader.read(b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2", "GET") is not None
    assert reader.read(b"Server: s\r\nHTTP/1.1 200 OK\r\nContent-Length: 2", "GET") is None
