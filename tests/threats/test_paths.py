"""THREATS 10 to 19: an allowlist opens what it names and nothing else, however it is spelled."""

from __future__ import annotations

import json

import pytest

from tests.support.gateway import PROXY, Gateway
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream


def assert_not_authorised(response: Response) -> None:
    """NOAUTH: a redirect to sign-in, or 401."""
    assert response.status in (303, 401), response.status
    if response.status == 303:
        assert (response.get("location") or "").startswith("/login?")
    assert response.get("cache-control") == "no-store"


NOT_PUBLIC = [
    "/admin?x=/public", "/admin?/public", "/admin%23/public", "/admin%3f/public", "/publicity", "/public.bak", "/public-x", "/public~", "/PUBLIC", "/Public",
    "/x/public", "/exact/below", "/exact.html", "/exactly", "//public", "/public;x", "/public%2fx", "/public%3bx", "/;/public",
    "/admin", "/admin/", "/%61dmin", "/admin%2f", "/admin%3b", "/admin;x", "//admin", "///admin", "/admin//", "/./admin"[2:], "/api/desktopx", "/api//desktop",
    "/api/desktop;x/../..", "/.well-known/otium-gateway", "/login/", "/login/x", "/_gateway/", "/_gateway/static", "/_gateway/static/a/b", "/LOGIN", "/%6cogin",
]  # fmt: skip
REFUSED = [
    "/public/../admin", "/public/%2e%2e/admin", "/public/%2E%2E/admin", "/public/..%2fadmin", "/public/..%2Fadmin", "/public/%252e%252e/admin",
    "/public/./../admin", "/public%2f..%2fadmin", "/public/.%2e/admin", "/public/..;/admin", "/public;/../admin", "/public/..\\admin", "/public\\..\\admin",
    "/public/%5c..%5cadmin", "/public/%00", "/public%00/admin", "/public/%0a", "/public/%0d", "/public/%09", "/public/%c0%ae%c0%ae/admin", "/public/%ff",
    "/public/%u002e", "/public/%", "/public/%2", "/public/%zz", "/public/%252f..", "/public/%255c", "/public/%2500", "/public/.", "/public/..", "/..", "/.",
    "/../public", "/admin/../public", "/admin/%2e%2e/public", "/public/%252e%252e/admin", "/public/%25252f", "/public/%25252e%25252e/admin",
    "//", "//public", "//admin", "///admin", "//admin/x", "//x/admin", "//gw:80/admin", "//public/admin", "/%2fx/admin", "/%2F/admin", "/;/admin",
    "/;//x/admin", "/%3b/x/admin", "/%252fx/admin", "/.//x/admin", "/%2e//admin",
]  # fmt: skip


@pytest.mark.parametrize("path", NOT_PUBLIC)
def test_nothing_but_the_entry_itself_is_public(gateway: Gateway, upstream: RecordingUpstream, path: str) -> None:
    response = gateway.exchange(get(path))
    if response.status != 400:
        assert_not_authorised(response)
    assert upstream.requests == []


@pytest.mark.parametrize("path", REFUSED)
@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
def test_a_path_that_climbs_or_hides_is_refused(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, path: str, signed_in: bool
) -> None:
    assert gateway.exchange(get(path, *([employee] if signed_in else []))).status == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/%61dmin",
        "/admin%2f",
        "/admin%3b",
        "/admin;x",
        "/admin//",
        "/admin/x",
        "/admin;/x",
        "/%2561dmin",
        "/admin%252f",
        "/admin%253b",
        "/admin%252Fx",
    ],
)
def test_every_spelling_of_a_protected_path_is_protected(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, path: str
) -> None:
    response = gateway.exchange(get(path, employee))
    assert response.status == 403
    assert upstream.requests == []


def test_an_escape_within_an_escape_is_granted_only_what_each_reading_is(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    for path in ("/public/a%252Fb", "/public/C%2523.pdf", "/public/100%2525"):
        assert gateway.exchange(get(path)).status == 200
        assert upstream.requests[-1].target == path
    for path in ("/public%252Fx", "/%2570ublic", "/exact%252f"):
        assert_not_authorised(gateway.exchange(get(path)))


def test_the_same_bytes_are_forwarded(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    for target in (
        "/a%20b/%C3%A9?x=%2F..&y=1%0a",
        "/files/a%2Fb",
        "/files/a%252Fb",
        "/a//b",
        "/x;v=1?q",
        "/x?",
        "/x?a[]=1|2^{}",
    ):
        assert gateway.exchange(get(target, employee)).status == 200
        assert upstream.requests[-1].target == target


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-Uri: /public", "X-Original-URL: /public", "X-Original-URI: /public", "X-Rewrite-URL: /public", "X-Forwarded-Path: /public",
        "X-Forwarded-Prefix: /public", "SCRIPT_NAME: /public", "PATH_INFO: /public", "X-HTTP-Method-Override: OPTIONS", "User-Agent: GoogleHC/1.0",
        "User-Agent: kube-probe/1.28", "User-Agent: ELB-HealthChecker/2.0", "X-Forwarded-Host: app.example.com", "Authorization: Basic YWRtaW46YWRtaW4=",
        "Authorization: Bearer x", "Referer: https://app.example.com/public",
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["127.0.0.1", PROXY])
def test_no_header_opens_a_path(gateway: Gateway, upstream: RecordingUpstream, line: str, source: str) -> None:
    assert_not_authorised(gateway.exchange(get("/admin", line), source=source))
    assert upstream.requests == []


@pytest.mark.parametrize("lines", [[], ["Origin: https://evil", "Access-Control-Request-Method: GET"]])
def test_options_passes_only_where_it_is_named_and_never_with_identity(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, lines: list[str]
) -> None:
    for path in ("/admin", "/public", "/x"):
        for cookie in ([], [employee]):
            assert_not_authorised(gateway.exchange(get(path, *lines, *cookie, method="OPTIONS")))
            response = gateway.exchange(get(path, *lines, *cookie, "Accept: text/html", method="OPTIONS"))
            told = json.loads(response.body)
            assert (response.status, told["error"]) == (401, "options_not_listed")
            assert "access.toml" in told["message"]
    assert upstream.requests == []
    assert gateway.exchange(get("/cors", *lines, employee, method="OPTIONS")).status == 200
    assert upstream.requests[0].all("remote-user") == []


def test_methods_of_an_entry_are_the_only_ones(gateway: Gateway, upstream: RecordingUpstream) -> None:
    assert gateway.exchange(get("/webhooks/payment", "Content-Length: 0", method="POST")).status == 200
    assert_not_authorised(gateway.exchange(get("/webhooks/payment")))
    assert_not_authorised(gateway.exchange(get("/webhooks/payment", "Content-Length: 0", method="PUT")))
    assert gateway.exchange(get("/cors", method="HEAD")).status == 200


@pytest.mark.parametrize(
    "path",
    ["/public", "/public/", "/public/x/y", "/exact", "/exact/", "/exact?x=/admin", "/api/desktop", "/api/desktop/v1"],
)
def test_what_an_entry_names_is_open(gateway: Gateway, upstream: RecordingUpstream, path: str) -> None:
    assert gateway.exchange(get(path)).status == 200
    assert upstream.requests[0].target == path


def test_the_target_never_chooses_the_upstream(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    for target in ("//evil.example/a", "/@evil/a", "/http://evil/", "/:80/a", "http://evil.example/a"):
        gateway.exchange(get(target, employee))
    assert all(request.all("host") == ["app.example.com"] for request in upstream.requests)


ROLES = [
    ("employee", {"/x": 200, "/team": 403, "/admin": 403, "/beta": 403, "/platform": 403}),
    ("manager", {"/x": 200, "/team": 200, "/admin": 403, "/beta": 403, "/platform": 403}),
    ("admin", {"/x": 200, "/team": 200, "/admin": 200, "/beta": 403, "/platform": 403}),
    ("other", {"/x": 200, "/team": 403, "/admin": 403, "/beta": 200, "/platform": 403}),
]


@pytest.mark.parametrize(("who", "expected"), ROLES)
def test_rules_let_through_whom_they_name(
    gateway: Gateway, upstream: RecordingUpstream, who: str, expected: dict[str, int]
) -> None:
    cookie = gateway.sign_in(who)
    assert {path: gateway.exchange(get(path, cookie)).status for path in expected} == expected


# Forward-auth


def ask(gateway: Gateway, *lines: str, source: str = PROXY) -> Response:
    return gateway.exchange(get("/_gateway/auth", *lines), source=source)


def test_forward_auth_answers_what_the_gate_decides(gateway: Gateway, employee: str) -> None:
    def lines(uri: str, *more: str) -> tuple[str, ...]:
        return ("X-Original-Method: GET", f"X-Original-URI: {uri}", *more)

    allowed = ask(gateway, *lines("/x", employee))
    assert allowed.status == 204
    assert allowed.all("remote-email") == ["erin@acme.example"]
    assert ask(gateway, *lines("/public")).status == 204
    assert ask(gateway, *lines("/public")).all("remote-email") == [""]
    assert ask(gateway, *lines("/admin", employee)).status == 403
    refused = ask(gateway, *lines("/x?y=1"))
    assert refused.status == 401
    assert refused.get("location") == "https://app.example.com/login?next=/x%3Fy%3D1"
    assert ask(gateway, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /x", employee).status == 204


@pytest.mark.parametrize(
    "lines",
    [
        [], ["X-Original-URI: /public"], ["X-Original-Method: GET"], ["X-Original-Method: GET", "X-Original-URI: public"],
        ["X-Original-Method: GET", "X-Original-URI: /public/../admin"], ["X-Original-Method: GET", "X-Original-URI: /public#x"],
        ["X-Original-Method: GET", "X-Original-URI: http://evil/public"], ["X-Original-Method: GET", "X-Original-URI: /public", "X-Original-URI: /public"],
        ["X-Original-Method: GET", "X-Original-URI: /public x"], ["X-Original-Method: get", "X-Original-URI: /public"],
        ["X-Original-Method: CONNECT", "X-Original-URI: /public"], ["X-Original-Method: GET", "X-Original-URI: /public", "X-Forwarded-Uri: /admin"],
        ["X-Original-Method: GET", "X-Original-URI: /public", "X-Forwarded-Method: POST"], ["X-Original-Method: GET", "X-Original-URI: "],
        ["X-Original-Method: GET", "X-Original-URI: /public", "X-Forwarded-Host: evil"],
        ["X-Original-Method: GET HTTP/1.1", "X-Original-URI: /public"],
        *(["X-Forwarded-Method: GET", f"X-Forwarded-Uri: {path}"] for path in REFUSED if " " not in path),
    ],
)  # fmt: skip
def test_a_malformed_question_is_never_answered_with_yes(gateway: Gateway, employee: str, lines: list[str]) -> None:
    for cookie in ([], [employee]):
        response = ask(gateway, *lines, *cookie)
        assert 400 <= response.status < 500
        assert response.all("remote-user") == []


def test_a_question_is_heard_from_configured_proxies_only(gateway: Gateway, employee: str) -> None:
    lines = ["X-Original-Method: GET", "X-Original-URI: /public", employee]
    assert ask(gateway, *lines, source="127.0.0.1").status == 403


def test_forward_auth_says_no_for_the_gateways_own_pages(gateway: Gateway, employee: str) -> None:
    for path in ("/login", "/logout", "/_gateway/auth"):
        assert ask(gateway, "X-Original-Method: GET", f"X-Original-URI: {path}", employee).status == 403
