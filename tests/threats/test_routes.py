"""Every route of the gateway, with every method, for everybody: who gets to it, from where, and who may keep the answer.

New routes are tested here from the moment that they stand in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.policy.decision import Need
from gateway.web.routes import Route
from tests.support.gateway import ORIGIN, PASSWORD, PEOPLE, Gateway, cookie_of
from tests.support.person import Person
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FORM = "Content-Type: application/x-www-form-urlencoded"
KEPT = ("static", "jwks")  # the same for everybody
TOKENS = ("a" * 43, "a", ".", "-" * 200, "%C3%A9", "eyJ.a.b")
FOREIGN = [
    [], ["Origin: null"], ["Origin: https://evil.example"], [f"Origin: {ORIGIN}.evil"], [f"Origin: {ORIGIN}/"], [f"Origin: {ORIGIN}:443"],
    ["Origin: http://app.example.com"], [f"Origin: {ORIGIN.upper()}"], [f"Origin: {ORIGIN}", f"Origin: {ORIGIN}"],
    [f"Origin: {ORIGIN}", "Sec-Fetch-Site: cross-site"], [f"Origin: {ORIGIN}", "Sec-Fetch-Site: same-site"],
    [f"Origin: {ORIGIN}", "Sec-Fetch-Site: none"], [f"Origin: {ORIGIN}", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    [f"Referer: {ORIGIN}/login"], ["X-Forwarded-Host: app.example.com", "X-Forwarded-Proto: https"],
]  # fmt: skip
NEEDS = {
    "nobody": {Need.NOBODY, Need.LEAVING},
    "employee": {Need.NOBODY, Need.LEAVING, Need.SESSION},
    "admin": {Need.NOBODY, Need.LEAVING, Need.SESSION, Need.ADMIN},
}


def path_of(route: Route, token: str = TOKENS[0]) -> str:
    return route.path.replace("{token}", token).replace("{name}", "gateway.css").replace("{tenant}", token)


def ask(gateway: Gateway, method: str, path: str, *lines: str, body: bytes = b"") -> Response:
    framing = [f"Content-Length: {len(body)}"] if body else []
    return gateway.exchange(get(path, *(line for line in lines if line), *framing, method=method) + body)


@pytest.fixture(scope="module")
def gateway(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that serves the pages of single sign-on as well, which are off by default."""
    folder = tmp_path_factory.mktemp("routes")
    changes = {"SSO__ON": "true", "HOSTS": '["www.example.com"]'}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def cookies(gateway: Gateway) -> dict[str, str]:
    """People of this module's own: among the forms is one that signs them out everywhere else."""
    found = {"nobody": ""}
    for who, email in (("employee", "crowd48@acme.example"), ("admin", PEOPLE["admin"][0])):
        person = Person(gateway, email)
        person.sign_in()
        found[who] = person.cookie_line
    return found


@pytest.mark.parametrize("route", [route for route in ROUTES if route.name not in ("signup", "signup_confirm")])
def test_a_route_is_for_whom_it_is_and_never_for_the_upstream(
    gateway: Gateway, upstream: RecordingUpstream, cookies: dict[str, str], route: Route
) -> None:
    """THREATS 19, 28, 38: every answer about somebody is kept by nobody, and nothing ends in an error of ours."""
    for who, cookie in cookies.items():
        for method in METHODS if route.name != "logout" else ("GET", "HEAD", "PUT", "OPTIONS"):
            body = b"email=a@b.example&account=x&do=role" if method == "POST" else b""
            answer = ask(gateway, method, path_of(route), cookie, f"Origin: {ORIGIN}", FORM, body=body)
            asked = (who, method, answer.status)
            assert answer.status < 500, asked
            assert route.need in NEEDS[who] or answer.status in (401, 403), asked
            assert route.name in KEPT or "no-store" in (answer.get("cache-control") or ""), asked
    assert upstream.requests == []


@pytest.mark.parametrize("route", [route for route in ROUTES if route.name not in ("signup", "signup_confirm")])
def test_no_page_takes_a_form_of_another_site(gateway: Gateway, cookies: dict[str, str], route: Route) -> None:
    """THREATS 33, for every page there is."""
    for who, cookie in cookies.items():
        for lines in FOREIGN:
            answer = ask(gateway, "POST", path_of(route), cookie, FORM, *lines, body=b"email=a@b.example&password=x")
            refusals = (400, 401, 403) if route.takes_foreign else (401, 403, 405)  # programs say who they are
            assert answer.status in refusals, (who, lines, answer.status)
            assert answer.all("set-cookie") == []


@pytest.mark.parametrize("route", [route for route in ROUTES if "{token}" in route.path and "signup" not in route.path])
def test_a_made_up_token_opens_nothing(gateway: Gateway, upstream: RecordingUpstream, route: Route) -> None:
    for token in TOKENS:
        for method in ("GET", "POST"):
            lines = (f"Origin: {ORIGIN}", FORM)
            answer = ask(
                gateway, method, path_of(route, token), *lines, body=b"password=x" if method == "POST" else b""
            )
            leads_home = answer.get("location") == "/login?signed-out=1"  # whose way out is over
            assert leads_home or answer.status in (400, 401, 404, 405, 410), (token, method, answer.status)
    assert upstream.requests == []


def test_all_pages_below_a_prefix_and_their_old_addresses_the_applications(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"PAGES__PREFIX": "/_gateway"}).seed().start()
    try:
        sent_away = own.exchange(get("/x", "Sec-Fetch-Mode: navigate", "Accept: text/html"))
        assert sent_away.get("location") == "/_gateway/login?next=/x"
        signed_in = own.post("/_gateway/login", {"email": PEOPLE["employee"][0], "password": PASSWORD, "next": "/x"})
        cookie = "Cookie: " + cookie_of(signed_in)
        page = own.exchange(get("/_gateway/me/security", cookie, "Accept: text/html"))
        assert page.status == 200
        links = set(re.findall(r'(?:href|action)="(/[^"]*)"', page.body.decode()))
        assert len(links) > 5
        assert {link for link in links if not link.startswith("/_gateway/")} <= {"/"}
        for path in ("/login", "/me/security", "/ops"):
            assert own.exchange(get(path, cookie)).body == b"ok"
        for target, way in (
            ("/_gateway/login", "/"),
            ("/_gateway/login/totp", "/"),
            ("/_gateway/logout", "/"),
            ("/_gateway/me/security", "/_gateway/me/security"),
            ("/login", "/login"),
        ):
            fields = {"email": PEOPLE["employee"][0], "password": PASSWORD, "next": target}
            assert own.post("/_gateway/login", fields).get("location") == way
    finally:
        own.stop()
