"""The same attacks through a real nginx: it replaces none of the checks, and passes on what it likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.gateway import PASSWORD, PEOPLE, Gateway, cookie_of, form
from tests.support.raw import Connection, Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_identity import FORGED, IDENTITY, assert_identity_once, spellings
from tests.threats.test_parsing import HEADS
from tests.threats.test_paths import NOT_PUBLIC, REFUSED


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx with the project's own file, in front of the gateway that all tests share."""
    folder = tmp_path_factory.mktemp("nginx")
    server, port = servers.nginx(folder, "nginx.conf", {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"})
    yield port
    server.stop()


def send(port: int, request: bytes) -> int | None:
    """Return the status of the one answer; None if the connection just ended."""
    with Connection(port, tls=True) as connection:
        connection.send(request)
        response = connection.response(request.split(b" ", 1)[0].decode("latin-1"))
    return response.status if response else None


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_malformed_request_never_becomes_another_one(
    nginx: int, upstream: RecordingUpstream, employee: str, head: bytes, signed_in: bool
) -> None:
    if signed_in:
        first, _, rest = head.partition(b"\r\n")
        head = first + b"\r\n" + employee.encode() + b"\r\n" + rest if rest else head
    send(nginx, head)
    for request in upstream.requests:
        assert request.target.startswith("/public")
        assert request.head.isascii()
        assert request.all("host") == ["app.example.com"]
        assert len(request.all("content-length") + request.all("transfer-encoding")) <= 1
    if any(upstream.requests[0].all(name) for name in IDENTITY) if upstream.requests else False:
        assert signed_in
        assert_identity_once(upstream)
    assert len(upstream.requests) <= 1


@pytest.mark.parametrize("name", FORGED)
def test_a_claimed_header_never_reaches_the_upstream(
    nginx: int, upstream: RecordingUpstream, employee: str, name: str
) -> None:
    for spelling in spellings(name):
        if name in ("Script-Name", "Path-Info") and "_" not in spelling:
            continue
        send(nginx, get("/public", f"{spelling}: forged-value", employee))
        assert "forged-value" not in upstream.requests[-1].head.decode()
        assert_identity_once(upstream)


def test_the_clients_address_is_the_one_that_nginx_saw(nginx: int, upstream: RecordingUpstream) -> None:
    send(nginx, get("/public", "X-Forwarded-For: 203.0.113.9", "X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9"))
    assert upstream.requests[0].all("x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/_gateway/auth", "/_gateway//auth", "/%5fgateway/auth", "/x/../_gateway/auth"])
def test_the_signed_identity_is_told_to_no_browser(
    nginx: int, upstream: RecordingUpstream, employee: str, path: str
) -> None:
    """What is in front is trusted, and passes on what a client asks in its name."""
    with Connection(nginx, tls=True) as connection:
        connection.send(get(path, employee, "X-Original-URI: /x", "X-Original-Method: GET"))
        response = connection.response()
    assert response is not None
    assert response.status in (400, 404)
    assert response.all("x-otium-assertion") == []


@pytest.mark.parametrize("path", NOT_PUBLIC)
def test_nothing_but_the_entry_itself_is_public(nginx: int, upstream: RecordingUpstream, path: str) -> None:
    assert send(nginx, get(path)) in (303, 400, 401)
    assert upstream.requests == []


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_climbs_or_hides_is_refused(
    nginx: int, upstream: RecordingUpstream, employee: str, path: str
) -> None:
    assert send(nginx, get(path, employee)) == 400
    assert upstream.requests == []


def test_nobody_is_told_about_nobody(nginx: int, upstream: RecordingUpstream) -> None:
    send(nginx, get("/public", *[f"{name}: admin" for name in IDENTITY]))
    assert all(upstream.requests[0].all(name) == [] for name in IDENTITY)


@pytest.mark.parametrize(
    "path", ["/reset-password/s3cret", "/invite/s3cret", "/devices/revoke/s3cret?x=s3cret", "/login/link/s3cret"]
)
def test_what_makes_a_link_good_is_in_no_log_of_nginx(
    gateway: Gateway, tmp_path: Path, upstream: RecordingUpstream, path: str
) -> None:
    places = {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"}
    server, port = servers.nginx(tmp_path, "nginx.conf", places)
    send(port, get(path))
    send(port, get("/public/page?token=s3cret"))
    server.stop()
    logged = (tmp_path / "access.log").read_text()
    assert "s3cret" not in logged
    assert f'"GET {path.rpartition("/s3cret")[0].partition("/s3cret")[0]}/*"' in logged
    assert '"GET /public/page"' in logged


def ask(port: int, request: bytes, source: str = "127.0.0.1") -> Response:
    with Connection(port, tls=True, source=source) as connection:
        connection.send(request)
        response = connection.response()
    assert response is not None
    return response


def test_a_browser_with_many_long_cookies_can_sign_in(nginx: int) -> None:
    """What the answer says of each of them is more than the 4 kB that nginx reads of a head by default."""
    cookies = "; ".join(f"{'n' * 247}{number:03}=x" for number in range(14))
    fields = {"email": PEOPLE["manager"][0], "password": PASSWORD}
    answer = ask(nginx, form("/login", fields, f"Cookie: {cookies}"))
    assert answer.status == 303
    assert cookie_of(answer)


@pytest.mark.parametrize("line", ["Content-Security-Policy: " + "x" * 6_000, "Set-Cookie: a=" + "x" * 30_000])
def test_an_answer_with_a_long_head_arrives(nginx: int, upstream: RecordingUpstream, line: str) -> None:
    upstream.answers("/public/long", f"HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok".encode())
    answer = ask(nginx, get("/public/long"))
    assert (answer.status, answer.body) == (200, b"ok")
    assert line in [f"{name}: {value}" for name, value in answer.fields]


def test_a_request_with_a_long_cookie_line_arrives(nginx: int, upstream: RecordingUpstream) -> None:
    assert ask(nginx, get("/public", "Cookie: a=" + "x" * 20_000)).status == 200
    assert upstream.requests[0].all("cookie") == ["a=" + "x" * 20_000]


def test_nginx_keeps_one_client_from_flooding_what_is_behind(gateway: Gateway, tmp_path: Path) -> None:
    changes = {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};",
        "limit_conn otium_open 400;": "limit_conn otium_open 3;",
        "rate=50r/s;": "rate=1r/m;",
        "burst=200 ": "burst=2 ",
    }
    server, port = servers.nginx(tmp_path, "nginx.conf", changes)
    try:
        half = get("/public", "Content-Length: 60000", method="POST") + b"7 bytes"
        flood = [Connection(port, tls=True, source="127.0.0.3") for _ in range(3)]
        for connection in flood:
            connection.send(half)
        while any(ask(port, get("/public"), "127.0.0.3").status != 429 for _ in range(3)):
            pass  # until nginx has read all three
        assert ask(port, get("/public"), "127.0.0.4").status == 200
        for connection in flood:
            connection.sock.close()
        posts = [ask(port, form("/public", {}), "127.0.0.5").status for _ in range(5)]
        assert posts == [200, 200, 200, 429, 429]
        assert ask(port, get("/public"), "127.0.0.5").status == 200
    finally:
        server.stop()
