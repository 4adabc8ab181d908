"""WebSockets: a tunnel only where the upstream agrees, for whom it was opened, and for as long."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.support.gateway import ORIGIN, Gateway
from tests.support.raw import Connection, get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

UPGRADE = [
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


def accept(talk: Talk, request: Recorded) -> None:
    """Accept as a real server does, then echo raw bytes."""
    key = request.all("sec-websocket-key")[0].encode()
    mark = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    talk.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + mark
        + b"\r\n\r\n"
    )
    talk.send(b"hello")
    while True:
        if talk.buffer:
            talk.send(talk.take(len(talk.buffer)))
        if not talk.read_more():
            return talk.close()


def open_socket(gateway: Gateway, *lines: str, path: str = "/ws") -> Connection:
    connection = gateway.connect()
    connection.send(get(path, *UPGRADE, *lines))
    return connection


def test_bytes_pass_both_ways_once_the_upstream_agreed(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.scripts["/ws"] = accept
    with open_socket(gateway, employee, f"Origin: {ORIGIN}") as connection:
        response = connection.response()
        assert response is not None
        assert response.status == 101
        assert response.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert connection.read_exactly(5) == b"hello"
        connection.send(b"\x81\x05hello" * 1000)
        assert connection.read_exactly(7000) == b"\x81\x05hello" * 1000
    assert upstream.requests[0].all("remote-email") == ["erin@acme.example"]
    assert upstream.requests[0].all("upgrade") == ["websocket"]


def test_what_is_sent_too_early_waits_for_the_agreement(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.scripts["/ws"] = accept
    with gateway.connect() as connection:
        connection.send(get("/ws", *UPGRADE, employee) + b"early")
        assert connection.response() is not None
        assert connection.read_exactly(10) == b"helloearly"


def test_an_upstream_that_does_not_agree_gets_nothing_but_the_request(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    smuggled = get("/smuggled")
    with gateway.connect() as connection:
        connection.send(get("/x", *UPGRADE, employee) + smuggled)
        first, second = connection.response(), connection.response()
    assert first is not None
    assert first.status == 200
    assert second is not None
    assert second.status == 401  # it is a request of its own, decided as one
    assert [request.target for request in upstream.requests] == ["/x"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.com.evil",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://evil.example\r\nConnection: Upgrade, Origin",
        "https://evil.example\r\nConnection: origin\r\nSec-Fetch-Site: same-origin",
        "null\r\nSec-Fetch-Site: cross-site\r\nConnection: Sec-Fetch-Site, Origin",
        "https://www.example.com.evil",
    ],
    ids=repr,
)
def test_a_page_of_another_site_opens_no_socket_with_the_persons_cookie(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, origin: str
) -> None:
    upstream.scripts["/ws"] = accept
    with open_socket(gateway, employee, f"Origin: {origin}") as connection:
        response = connection.response()
    assert response is not None
    assert response.status == 403
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("app.example.com", ["Origin: null", "Sec-Fetch-Site: same-origin"]),
        ("www.example.com", ["Origin: https://www.example.com"]),
        ("app.example.com", [f"Origin: {ORIGIN}", "Connection: Origin"]),
    ],
)
def test_a_page_of_ours_opens_a_socket_by_every_name_of_the_site(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, host: str, lines: list[str]
) -> None:
    upstream.scripts["/ws"] = accept
    with gateway.connect() as connection:
        connection.send(get("/ws", *UPGRADE, employee, *lines, host=host))
        response = connection.response()
        assert response is not None
        assert response.status == 101
    assert upstream.requests[0].all("host") == [host]
    assert upstream.requests[0].all("origin") == ([] if len(lines) > 1 and "Connection" in lines[1] else [lines[0][8:]])


def test_without_a_session_there_is_no_socket(gateway: Gateway, upstream: RecordingUpstream) -> None:
    with open_socket(gateway) as connection:
        response = connection.response()
    assert response is not None
    assert response.status == 401
    assert response.get("content-type") == "application/json"
    assert upstream.requests == []


@pytest.mark.parametrize("way", ["revoked", "disabled", "another role"])
def test_an_open_socket_ends_with_what_allowed_it(gateway: Gateway, upstream: RecordingUpstream, way: str) -> None:
    """THREATS 31: closed within 5 s, with the code for a violated policy."""
    upstream.scripts["/team/ws"] = accept
    cookie = gateway.sign_in("manager")
    change = {
        "revoked": ("session", "revoke", "--email", "mara@acme.example"),
        "disabled": ("account", "disable", "mara@acme.example"),
        "another role": ("account", "set-role", "mara@acme.example", "employee"),
    }[way]
    try:
        with open_socket(gateway, cookie, path="/team/ws") as connection:
            assert connection.response() is not None
            assert connection.read_exactly(5) == b"hello"
            assert gateway.cli(*change).returncode == 0
            assert connection.read_to_end() == b"\x88\x02\x03\xf0"
    finally:
        gateway.cli("account", "enable", "mara@acme.example")
        gateway.cli("account", "set-role", "mara@acme.example", "manager")


def test_an_open_stream_ends_with_its_session(gateway: Gateway, upstream: RecordingUpstream) -> None:
    def stream(talk: Talk, _: Recorded) -> None:
        talk.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
        )
        while talk.read_more():
            pass
        talk.close()

    upstream.scripts["/stream"] = stream
    cookie = gateway.sign_in("admin")
    with gateway.connect() as connection:
        connection.send(get("/stream", cookie))
        assert connection.read_until(b"hi\r\n").endswith(b"hi\r\n")
        assert gateway.cli("session", "revoke", "--email", "adam@acme.example").returncode == 0
        assert connection.read_to_end() == b""
