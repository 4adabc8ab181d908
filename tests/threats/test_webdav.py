"""WebDAV and its kin: what a rule forbids stays forbidden to a method that touches more than its own path.

Each case is asked of the gateway itself and through nginx; tests/journeys/test_webdav.py uses real servers and clients.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.web.routes import Route
from gateway.wire.http1 import METHODS
from tests.support import servers
from tests.support.gateway import ORIGIN, Gateway
from tests.support.raw import Connection, Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_routes import path_of

NEEDS_DESTINATION = ("COPY", "MOVE")
BELOW = ("PROPFIND", "LOCK", "DELETE", "REPORT", "UNBIND")
# What an employee is refused; the rules of /admin, /team, /beta and /platform don't admit one.
FORBIDDEN = [
    *(
        (method, "/x", (f"Destination: {to}",))
        for method in NEEDS_DESTINATION
        for to in (
            "/admin", "/admin/x", "/team/a/b", f"{ORIGIN}/platform", "http://APP.example.com:80/beta/x", "/%61dmin/x",
            "/admin;x/y", "/admin%3fx", "/admin%23", "/team;x/y",
        )
    ),
    *((method, "/x", (f"Destination: {to}", "Depth: 0", "Overwrite: F")) for method in NEEDS_DESTINATION for to in ("/admin", "/")),
    *((method, "/admin/x", ("Destination: /x",)) for method in NEEDS_DESTINATION),
    *((method, "/", ("Destination: /x",)) for method in NEEDS_DESTINATION),
    *((method, "/", ()) for method in BELOW),
    *((method, "/", ("Depth: Infinity",)) for method in (*BELOW, "PROPPATCH", "ACL", "SUBSCRIBE")),
    *((method, "/", ("Depth: 0",)) for method in ("DELETE", "REPORT", "UNBIND")),
    ("COPY", "/", ("Destination: /x", "Depth: infinity")),
    *((method, "/x", ()) for method in NEEDS_DESTINATION),
    ("DELETE", "/ops/", ()),
    ("PUT", "/x", ("Destination: /admin/x",)),
    ("POST", "/x", ("Destination: /admin/x", "X-HTTP-Method-Override: MOVE")),
    ("PUT", "/x", ("If: </admin/x> (<urn:1>)",)),
    ("UNLOCK", "/x", ("If: </x> (<urn:1>) <https://app.example.com/team> ([\"e\"])",)),
    ("LINK", "/x", ("Link: </admin/x>; rel=a",)),
    ("UNLINK", "/x", ("Link: </admin/x>; rel=a",)),
    *((method, "/x", ("Content-Length: 1",)) for method in ("BIND", "REBIND", "SEARCH", "MERGE", "CHECKOUT")),
]  # fmt: skip
ALLOWED = [
    ("MOVE", "/x", ("Destination: /y",)),
    ("COPY", "/x", (f"Destination: {ORIGIN}/y/", "Depth: 0")),
    ("PROPFIND", "/", ("Depth: 1",)),
    ("PROPFIND", "/x", ()),
    ("LOCK", "/", ("Depth: 0",)),
    ("DELETE", "/x", ()),
    ("REPORT", "/x", ()),
    ("PUT", "/x", ("If: </x> (<urn:1>)",)),
    ("COPY", "/public/x", ("Destination: /x",)),
]
ANONYMOUS = [
    ("MOVE", "/public/x", ("Destination: /x",)),
    ("MOVE", "/public/x", ("Destination: /api/desktop/../x",)),
    ("COPY", "/api/desktop/x", ("Destination: /admin/x",)),
    ("PROPFIND", "/exact", ()),
    ("DELETE", "/exact", ()),
    ("PUT", "/public/x", ("Destination: /x",)),
    ("PUT", "/public/x", ("If: </x> (<urn:1>)",)),
    ("PROPFIND", "/login", ()),
    *(("SEARCH", path, ("Content-Length: 1",)) for path in ("/public/x", "/api/desktop/x")),
]
Case = tuple[str, str, tuple[str, ...]]


@pytest.fixture(scope="module", params=["gateway", "nginx"])
def entrance(
    request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, bool]]:
    """A port, and whether TLS is spoken there."""
    if request.param == "gateway":
        yield gateway.port, False
        return
    folder: Path = tmp_path_factory.mktemp("nginx")
    server, port = servers.nginx(folder, "nginx.conf", {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"})
    yield port, True
    server.stop()


def ask(entrance: tuple[int, bool], case: Case, *lines: str) -> Response:
    method, path, fields = case
    body = b"x" if "Content-Length: 1" in fields else b""
    with Connection(entrance[0], tls=entrance[1]) as connection:
        connection.send(get(path, *fields, *lines, method=method) + body)
        response = connection.response(method)
    assert response is not None
    return response


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_decided_by_the_rules(
    entrance: tuple[int, bool], upstream: RecordingUpstream, employee: str, method: str
) -> None:
    if method == "OPTIONS":
        path, cookie = "/cors", ""  # forwarded without identity only, and only where an entry names it
    else:
        path, cookie = "/x", employee
        assert ask(entrance, (method, path, ("Destination: /y",))).status == 401
        assert ask(entrance, (method, "/admin", ("Destination: /y",)), employee).status == 403
    assert upstream.requests == []
    answer = (
        ask(entrance, (method, path, ("Destination: /cors",)), cookie) if cookie else ask(entrance, (method, path, ()))
    )
    assert answer.status == 200
    (request,) = upstream.requests
    assert request.head.startswith(f"{method} {path} HTTP/1.1\r\n".encode())
    assert request.all("remote-email") == (["erin@acme.example"] if cookie else [])


@pytest.mark.parametrize("case", FORBIDDEN, ids=str)
def test_what_a_rule_forbids_stays_forbidden_by_every_way_round(
    entrance: tuple[int, bool], upstream: RecordingUpstream, employee: str, case: Case
) -> None:
    assert ask(entrance, case, employee).status == 403
    assert ask(entrance, case).status == 401
    assert upstream.requests == []


def test_what_connection_takes_away_counts_for_nothing(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    case = ("PROPFIND", "/", ("Depth: 0", "Connection: Depth"))
    assert ask((gateway.port, False), case, employee).status == 403
    case = ("COPY", "/x", ("Destination: /y", "Connection: Destination"))
    assert ask((gateway.port, False), case, employee).status == 403
    assert upstream.requests == []


@pytest.mark.parametrize("case", ANONYMOUS, ids=str)
def test_what_is_open_leads_to_nothing_that_is_not(
    entrance: tuple[int, bool], upstream: RecordingUpstream, case: Case
) -> None:
    assert ask(entrance, case).status in (400, 401, 405)
    assert upstream.requests == []


@pytest.mark.parametrize("case", ALLOWED, ids=str)
def test_what_the_rules_admit_goes_on(
    entrance: tuple[int, bool], upstream: RecordingUpstream, employee: str, case: Case
) -> None:
    assert ask(entrance, case, employee).status == 200
    (request,) = upstream.requests
    for line in case[2]:
        name, _, value = line.partition(": ")
        told = value.replace(ORIGIN, "").replace("/y", f"{ORIGIN}/y").replace("</x>", f"<{ORIGIN}/x>")
        expected = f"{ORIGIN}{value}" if value == "/x" else told
        assert request.all(name) == [expected]


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "BREW", "VERSION-CONTROL"])
def test_a_method_that_is_not_served_is_told_those_that_are(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, method: str
) -> None:
    with gateway.connect() as connection:
        target = "app.example.com:443" if method == "CONNECT" else "/public"
        connection.send(get(target, employee, method=method))
        answer = connection.response(method)
        assert answer is not None
        assert connection.is_closed()
    assert answer.status == 405
    assert set((answer.get("allow") or "").split(", ")) == METHODS
    assert answer.get("content-type") == "application/json"
    assert upstream.requests == []


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.name in ("login", "sessions", "static", "logout")]
)
def test_a_page_says_which_methods_it_takes(gateway: Gateway, employee: str, route: Route) -> None:
    asked = sorted(METHODS - {"GET", "HEAD", "POST", "OPTIONS"})
    assert len(asked) > 20
    for method in asked:
        answer = ask((gateway.port, False), (method, path_of(route), ("Destination: /y",)), employee)
        assert answer.status == 405, method
        assert "GET" in (answer.get("allow") or ""), method
