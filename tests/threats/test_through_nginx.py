"""The same attacks through a real nginx: it replaces none of the checks, and passes on what it likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.gateway import Gateway
from tests.support.raw import Connection, get
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
