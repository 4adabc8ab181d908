"""nginx auth_request and Caddy forward_auth with the project's own files, in front of one and the same gateway."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.settings import Settings
from gateway.web.routes import Route, serve
from gateway.wire.names import ASSERTED, FORGED, FORGED_PREFIXES, SAID_BY_PROXIES
from tests.proxy.test_tunnel import UPGRADE, accept
from tests.support import servers
from tests.support.gateway import COOKIE, ORIGIN, PASSWORD, PEOPLE, Gateway, cookie_of
from tests.support.raw import Connection, Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_factors import ATTEMPT

IDENTITY = (
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-otium-tenant",
    "x-otium-role",
    "x-otium-session",
    "x-otium-factors",
    "x-otium-assertion",
)


class Front:
    """A proxy that asks the gateway: where it listens, and whether it speaks TLS."""

    def __init__(self, server: servers.Server, port: int, tls: bool) -> None:
        self.server = server
        self.port = port
        self.tls = tls

    def ask(self, path: str, *lines: str, method: str = "GET", body: bytes = b"") -> Response:
        more = [*lines, f"Content-Length: {len(body)}"] if body else lines
        host = "app.example.com" if self.tls else f"app.example.com:{self.port}"
        with Connection(self.port, tls=self.tls) as connection:
            connection.send(get(path, *more, host=host, method=method) + body)
            response = connection.response(method)
        assert response is not None
        return response


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(
    request: pytest.FixtureRequest,
    gateway: Gateway,
    recorder: RecordingUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp(request.param)
    places = {"127.0.0.1:8000": f"127.0.0.1:{gateway.port}", "127.0.0.1:5000": f"127.0.0.1:{recorder.port}"}
    if request.param == "nginx":
        server, port = servers.nginx(folder, "nginx-auth-request.conf", places)
        yield Front(server, port, True)
        server.stop()
    else:
        with caddy(folder, recorder) as running:
            yield running


@contextlib.contextmanager
def caddy(folder: Path, upstream: RecordingUpstream, **changes: str) -> Iterator[Front]:
    """Run Caddy before a gateway of its own, with these settings."""
    # Caddy 2.6 can't choose the address it connects from, so it comes from one that this gateway trusts.
    trusting = {"LISTEN__TRUSTED_PROXIES": '["127.0.0.1"]', **changes}
    own = Gateway(folder, f"127.0.0.1:{upstream.port}", changes=trusting).seed().start()
    places = {"127.0.0.1:8000": f"127.0.0.1:{own.port}", "127.0.0.1:5000": f"127.0.0.1:{upstream.port}"}
    server, port = servers.caddy(folder, "Caddyfile.forward-auth", places)
    yield Front(server, port, False)
    own.stop()
    server.stop()


def sign_in(front: Front, who: str = "employee") -> str:
    body = f"email={PEOPLE[who][0]}&password={PASSWORD.replace(' ', '+')}&next=/x".encode()
    response = front.ask(
        "/login",
        "Origin: https://app.example.com",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=body,
    )
    assert response.status == 303, response.body
    return "Cookie: " + cookie_of(response)


def test_a_browser_is_sent_to_sign_in_and_a_program_is_told(front: Front, upstream: RecordingUpstream) -> None:
    person = front.ask("/x?y=1", "Sec-Fetch-Mode: navigate", "Accept: text/html")
    assert person.status == 303
    assert person.get("location") == "https://app.example.com/login?next=/x%3Fy%3D1"
    assert front.ask("/x", "Sec-Fetch-Mode: cors").status == 401
    assert upstream.requests == []


def test_the_application_is_told_who_is_signed_in_and_by_nobody_else(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    claims = [f"{name}: forged" for name in IDENTITY] + ["X_Otium_Role: admin", "Remote_User: admin"]
    assert front.ask("/x", cookie, *claims).status == 200
    request = upstream.requests[-1]
    assert request.all("remote-email") == ["erin@acme.example"]
    for name in IDENTITY:
        assert len(request.all(name)) == 1, name
        assert "forged" not in request.all(name)


def test_without_the_assertion_the_shipped_file_passes_on_no_other_value_for_it(
    recorder: RecordingUpstream, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    """Caddy 2.6 writes its placeholder for a header that is not in the answer."""
    with caddy(tmp_path, recorder, IDENTITY__NAMES__ASSERTION="") as front:
        assert front.ask("/x", sign_in(front), "X-Otium-Assertion: forged").status == 200
        assert upstream.requests[-1].all("remote-email") == ["erin@acme.example"]
        assert upstream.requests[-1].all("x-otium-assertion") in ([], [""])


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", ""])
def test_a_browser_that_says_no_mode_is_known_by_what_it_accepts(front: Front, accept: str) -> None:
    """As Safari before 16.4 sends it."""
    answer = front.ask("/x", *([f"Accept: {accept}"] if accept else []))
    assert answer.status == (303 if "html" in accept else 401)
    script = front.ask("/x", "Accept: text/html", "X-Requested-With: XMLHttpRequest")
    assert script.status == 401
    assert script.get("content-type") == "application/json"
    assert b"sign_in_required" in script.body


CLAIMS = (
    "X-HTTP-Method-Override", "X-Rewrite-URL", "X-Original-URL", "X-Script-Name", "X-Forwarded-User", "X-Forwarded-Prefix", "Forwarded",
    "X-Forwarded-Uri", "X-Forwarded-Method", "X-Original-URI", "X-Original-Method", "X-Auth-Request-User", "X-Auth-Request-Redirect",
    "SCRIPT_NAME", "X_Forwarded_User", "X_Http_Method_Override",
    *(name.decode() for name in sorted(FORGED | ASSERTED | SAID_BY_PROXIES)),
    *(re.sub("^-", "$", prefix.decode()) + "any" for prefix in FORGED_PREFIXES),
)  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_what_an_application_might_believe_reaches_it_from_nobody(
    front: Front, upstream: RecordingUpstream, name: str
) -> None:
    answer = front.ask("/public", f"{name}: forged-value")
    assert answer.status in (200, 400)
    assert len(upstream.requests) == (1 if answer.status == 200 else 0)
    for request in upstream.requests:
        assert b"forged-value" not in request.head


def test_a_foreign_forwarded_host_changes_nothing(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    assert front.ask("/x", cookie, "X-Forwarded-Host: evil.example").status == 200
    assert all("evil" not in value for value in upstream.requests[-1].all("x-forwarded-host"))
    assert front.ask("/x", "X-Forwarded-Host: evil.example", "Accept: text/html").status == 303


def test_two_session_cookies_are_nobodys_and_reach_nobody(front: Front, upstream: RecordingUpstream) -> None:
    own = sign_in(front).removeprefix("Cookie: ")
    other = f"{COOKIE}={'a' * 43}"
    for lines in ([f"Cookie: a=1; {own}; {other}; b=2"], [f"Cookie: a=1; {own}", f"Cookie: {other}; b=2"]):
        assert front.ask("/x", *lines).status == 401
        assert upstream.requests == []
        assert front.ask("/public", *lines).status == 200
        assert [value for value in upstream.requests.pop().all("cookie") if value] == ["a=1; b=2"]


@pytest.mark.parametrize(
    ("method", "path", "lines", "status"),
    [
        ("GET", "/x%00", (), 400),
        ("GET", "/x/%2e%2e/admin", (), 400),
        ("TRACE", "/public", (), 405),
        ("COPY", "/x", ("Destination: https://evil.example/x",), 400),
        ("COPY", "/x", ("Destination: /y", "Destination: /z"), 400),
        ("COPY", "/x", (), 403),
        ("MOVE", "/x", ("Destination: /admin/x",), 403),
        ("PROPFIND", "/", (), 403),
        ("PROPFIND", "/", ("Depth: 2",), 400),
        ("DELETE", "/", ("Depth: 0",), 403),
        ("BIND", "/x", ("Content-Length: 0",), 403),
        ("LINK", "/x", ("Link: </admin>",), 403),
        ("PUT", "/x", ("If: </admin/x> (<urn:1>)",), 403),
        ("GET", "/x", ("X-Otium-Status: 303",), (200, 400)),
        ("GET", "/x", (f"X-Long: {'a' * 7000}",), 200),
    ],
)  # fmt: skip
def test_a_refusal_is_one_in_the_clients_eyes(
    front: Front,
    upstream: RecordingUpstream,
    method: str,
    path: str,
    lines: tuple[str, ...],
    status: int | tuple[int, ...],
) -> None:
    answer = front.ask(path, sign_in(front), *lines, method=method)
    assert answer.status in ((status,) if isinstance(status, int) else status), answer.body
    assert len(upstream.requests) == (answer.status == 200)


@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "LOCK", "REPORT", "MOVE", "MKCALENDAR", "PROPPATCH"])
def test_webdav_is_decided_as_it_is_by_the_gateway(front: Front, upstream: RecordingUpstream, method: str) -> None:
    lines = ("Destination: https://app.example.com/y", "Depth: infinity", "Overwrite: T")
    assert front.ask("/x", *lines, method=method).status == 401
    assert upstream.requests == []
    assert front.ask("/x", sign_in(front), *lines, method=method).status == 200
    (request,) = upstream.requests
    assert request.head.startswith(f"{method} /x HTTP/1.1\r\n".encode())
    for line in lines:
        name, _, value = line.partition(": ")
        assert request.all(name) == [value]


def test_a_large_cookie_of_the_applications_comes_through(front: Front, upstream: RecordingUpstream) -> None:
    cookies = f"{sign_in(front)}; " + "; ".join(f"{name}{'n' * 250}=1" for name in "abcdefghijklmn")
    assert front.ask("/x", cookies).status == 200
    assert len("; ".join(upstream.requests[-1].all("cookie"))) > 3_500


def test_what_is_public_is_open_and_says_nobody(front: Front, upstream: RecordingUpstream) -> None:
    assert front.ask("/public", "Remote-User: admin", "X-Otium-Role: admin").status == 200
    told = {name: upstream.requests[-1].all(name) for name in IDENTITY}
    assert all(values in ([], [""]) for values in told.values()), told


def test_who_may_not_pass_does_not(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    for path in ("/admin", "/admin;x", "/admin//x", "/%61dmin"):
        assert front.ask(path, cookie).status == 403
    assert upstream.requests == []


def test_the_client_can_not_ask_in_the_proxys_name(front: Front, upstream: RecordingUpstream) -> None:
    for line in ("X-Original-URI: /public", "X-Forwarded-Uri: /public", "X-Original-Method: GET"):
        assert front.ask("/x", line).status >= 400
    assert front.ask("/_gateway/auth", "X-Original-URI: /public", "X-Original-Method: GET").status in (
        400,
        401,
        403,
        404,
    )
    assert upstream.requests == []


def test_an_api_token_reaches_no_application_and_another_authorization_does(
    front: Front, upstream: RecordingUpstream
) -> None:
    """That of nobody: what the shipped files do with the answer is the same for every token."""
    token = "otw_pat_" + "0" * 32 + "2HiVXZ"
    for value in (f"Bearer {token}", "Basic " + base64.b64encode(f"erin@acme.example:{token}".encode()).decode()):
        refused = front.ask("/x", f"Authorization: {value}", "Accept: text/html")
        assert refused.status == 401
        assert "Basic" in ",".join(refused.all("www-authenticate"))
        assert upstream.requests == []
        assert front.ask("/public", f"Authorization: {value}").status == 200
        assert [given for given in upstream.requests.pop().all("authorization") if given] == []
    for value in ("Bearer eyJ.x.y", "Basic YTpi"):
        assert front.ask("/x", sign_in(front), f"Authorization: {value}").status == 200
        assert upstream.requests.pop().all("authorization") == [value]
    assert front.ask("/x", sign_in(front)).status == 200
    assert [given for given in upstream.requests.pop().all("authorization") if given] == []


@pytest.mark.parametrize(
    "name", ["nginx-auth-request.conf", "Caddyfile.forward-auth", "traefik-forward-auth.yml", "ingress-nginx.yaml"]
)
def test_each_shipped_file_says_that_it_replaces_authorization_and_does(name: str) -> None:
    written = (Path("config") / name).read_text()
    assert "/_gateway/auth?replaces=authorization" in written
    assert re.search(
        r"proxy_set_header Authorization \$otium_authorization;|copy_headers Cookie Authorization |- Authorization\n"
        r"|response-headers: Cookie,Authorization,",
        written,
    )


def test_a_body_reaches_the_application(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    assert front.ask("/x", cookie, method="POST", body=b"hello").status == 200
    assert upstream.requests[-1].body == b"hello"


def test_the_client_can_not_take_a_part_of_the_identity_away(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    front.ask("/x", cookie, f"Connection: close, {', '.join(IDENTITY)}, X-Forwarded-For")
    request = upstream.requests[-1]
    for name in (*IDENTITY, "x-forwarded-for"):
        assert [value for value in request.all(name) if value] != [], name


def test_the_application_sees_no_cookie_of_the_gateways(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front).removeprefix("Cookie: ")
    for cookies in (
        f"a=1; {cookie}; b=2",
        f"{ATTEMPT}=x; a=1; {cookie};b=2",
        f"{cookie}; a=1; b=2",
        f"a=1; b=2; {cookie}",
    ):
        assert front.ask("/x", f"Cookie: {cookies}").status == 200
        seen = "; ".join(upstream.requests[-1].all("cookie"))
        assert "__Host-otium" not in seen
        assert [pair.strip() for pair in seen.split(";") if pair.strip()] == ["a=1", "b=2"]
    assert front.ask("/x", f"Cookie: {cookie}").status == 200
    assert all(value == "" for value in upstream.requests[-1].all("cookie"))


def test_a_websocket_is_opened_by_pages_of_this_site_only(front: Front, upstream: RecordingUpstream) -> None:
    cookie = sign_in(front)
    upstream.scripts["/ws"] = accept
    assert front.ask("/ws", cookie, *UPGRADE, f"Origin: {ORIGIN}").status == 101
    upstream.requests.clear()
    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
        assert front.ask("/ws", cookie, *UPGRADE, f"Origin: {origin}").status == 403
    assert upstream.requests == []


def test_an_ended_session_is_dead_on_the_next_request(front: Front, gateway: Gateway) -> None:
    cookie = sign_in(front)
    assert front.ask("/x", cookie).status == 200
    front.ask(
        "/logout",
        cookie,
        "Origin: https://app.example.com",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=b"x=1",
    )
    assert front.ask("/x", cookie).status == 401


SERVED = serve(ROUTES, Settings()).values()
PAGES = [route for route in SERVED if route.name not in ("auth", "signup", "signup_confirm")]


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.name)
def test_every_page_of_the_gateway_is_answered_by_the_gateway(
    front: Front, upstream: RecordingUpstream, route: Route
) -> None:
    cookie = sign_in(front)
    upstream.requests.clear()
    front.ask(re.sub(r"\{[a-z]+\}", "none", route.path), cookie, "Accept: text/html", "Sec-Fetch-Mode: navigate")
    assert upstream.requests == []
