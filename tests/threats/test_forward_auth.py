"""What proxies that ask by forward-auth are answered: the questions of Traefik, Caddy, nginx and ingress-nginx.

Each question is spelled as that proxy sends it. tests/journeys/test_forward_auth.py has nginx and Caddy themselves.
"""

from __future__ import annotations

import json

import pytest

from gateway.wire.names import FORGED, SAID_BY_PROXIES
from tests.support.gateway import HOST, ORIGIN, PROXY, Gateway
from tests.support.raw import Response, get

NAVIGATION = ("Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate")
OLD_SAFARI = ("Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",)
PROXIES = ("traefik", "caddy", "nginx", "ingress-nginx", "ingress-nginx with auth-method")


def question(proxy: str, method: str = "GET", path: str = "/x", host: str = HOST) -> tuple[str, list[str]]:
    """Return the Host and the lines in which `proxy` asks about a request."""
    match proxy:
        case "traefik":
            return "10.0.0.5:8000", [
                f"X-Forwarded-Method: {method}", f"X-Forwarded-Uri: {path}", f"X-Forwarded-Host: {host}", "X-Forwarded-Proto: https",
                "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Port: 443", "X-Forwarded-Server: traefik-0", "X-Real-Ip: 198.51.100.7",
                "Accept-Encoding: gzip",
            ]  # fmt: skip
        case "caddy":
            return host, [
                f"X-Forwarded-Method: {method}", f"X-Forwarded-Uri: {path}", f"X-Forwarded-Host: {host}", "X-Forwarded-Proto: https",
                "X-Forwarded-For: 198.51.100.7",
            ]  # fmt: skip
        case "nginx":
            return host, [f"X-Original-Method: {method}", f"X-Original-URI: {path}", "X-Forwarded-For: 198.51.100.7"]
        case _:
            more = [f"X-Original-URI: {path}", "X-Scheme: https"] if "auth-method" in proxy else []
            return "otium-gateway.default.svc.cluster.local", [
                f"X-Original-URL: https://{host}{path}", f"X-Original-Method: {method}", "X-Sent-From: nginx-ingress-controller",
                "X-Real-IP: 198.51.100.7", "X-Forwarded-For: 198.51.100.7", f"X-Auth-Request-Redirect: {path}", *more,
            ]  # fmt: skip


def ask(
    gateway: Gateway,
    proxy: str,
    *lines: str,
    method: str = "GET",
    path: str = "/x",
    host: str = HOST,
    as_method: str = "GET",
) -> Response:
    at, described = question(proxy, method, path, host)
    return gateway.exchange(get("/_gateway/auth", *described, *lines, host=at, method=as_method), source=PROXY)


def is_nginx(proxy: str) -> bool:
    return "nginx" in proxy


@pytest.mark.parametrize("proxy", PROXIES)
def test_whoever_may_pass_is_told_of(gateway: Gateway, employee: str, proxy: str) -> None:
    answer = ask(gateway, proxy, f"{employee}; theme=dark", "Remote-Email: forged", path="/x?a=1&b=%2F")
    assert answer.status == 204
    assert answer.all("remote-email") == ["erin@acme.example"]
    assert answer.all("cookie") == ["theme=dark"]
    nobody = ask(gateway, proxy, path="/public")
    assert nobody.status == 204
    assert nobody.all("remote-email") == [""]
    assert nobody.all("cookie") == [""]


@pytest.mark.parametrize("lines", [NAVIGATION, OLD_SAFARI])
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_person_is_taken_to_sign_in(gateway: Gateway, proxy: str, lines: tuple[str, ...]) -> None:
    answer = ask(gateway, proxy, *lines, path="/x?y=1")
    assert answer.status == (401 if is_nginx(proxy) else 303)
    assert answer.get("location") == f"{ORIGIN}/login?next=/x%3Fy%3D1"
    assert answer.get("x-otium-status") == ("303" if is_nginx(proxy) else None)
    assert answer.get("cache-control") == "no-store"


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_person_signs_in_under_the_name_that_they_came_by(gateway: Gateway, proxy: str) -> None:
    location = ask(gateway, proxy, *NAVIGATION, host="www.example.com").get("location") or ""
    is_told = proxy != "nginx"  # asks in its own words only, and what it puts into Host may be its own
    assert location == f"{'https://www.example.com' if is_told else ORIGIN}/login?next=/x"


@pytest.mark.parametrize("proxy", PROXIES)
def test_options_is_told_what_decides(gateway: Gateway, employee: str, proxy: str) -> None:
    for lines in ((), (employee,), (employee, *NAVIGATION)):
        answer = ask(gateway, proxy, *lines, method="OPTIONS")
        assert (answer.status, answer.get("location")) == (401, None)
        assert json.loads(answer.body)["error"] == "options_not_listed"


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_program_is_told_to_sign_in(gateway: Gateway, proxy: str) -> None:
    for lines in (("Accept: application/json",), ("Sec-Fetch-Mode: cors", "Accept: text/html"), ()):
        answer = ask(gateway, proxy, *lines)
        assert answer.status == 401
        assert (answer.get("www-authenticate") or "").startswith("Session")
        if is_nginx(proxy):
            assert answer.get("x-otium-status") == "401"
        else:
            assert json.loads(answer.body)["sign_in"] == f"{ORIGIN}/login?next=/x"


SENSELESS = [
    *((proxy, method, path, HOST) for proxy in PROXIES for method, path in (
        ("GET", "/x%00"), ("GET", "/x/../admin"), ("GET", "x"), ("GET", "//evil.example/x"), ("GET", "/a b"),
        ("BREW", "/x"), ("TRACE", "/public"), ("CONNECT", "/x"), ("get", "/x"), ("", "/x"),
    )),
    # Caddy, and nginx as shipped, ask under the name that the client used.
    *((proxy, "GET", "/public", host) for proxy in ("traefik", "ingress-nginx") for host in (
        "evil.example", f"{HOST}.evil.example", f"x@{HOST}", "",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("proxy", "method", "path", "host"), SENSELESS)
def test_what_makes_no_sense_is_refused_in_words_that_the_proxy_knows(
    gateway: Gateway, employee: str, proxy: str, method: str, path: str, host: str
) -> None:
    answer = ask(gateway, proxy, employee, method=method, path=path, host=host)
    assert answer.status == 403 if is_nginx(proxy) else answer.status in (400, 405)
    assert answer.all("remote-email") == []
    assert answer.get("x-otium-status") == ("400" if is_nginx(proxy) else None)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_claim_that_the_proxy_would_forward_is_refused(gateway: Gateway, employee: str, proxy: str) -> None:
    names = [name.decode() for name in FORGED - SAID_BY_PROXIES]
    assert len(names) > 10
    for name in (*names, "X-Auth-Request-User", "X-Forwarded-User", "X_Remote_User", "SCRIPT_NAME", "X-Otium-Status"):
        answer = ask(gateway, proxy, employee, f"{name}: admin")
        assert answer.status == (403 if is_nginx(proxy) else 400), name


@pytest.mark.parametrize("proxy", PROXIES)
def test_what_clients_say_in_the_proxys_place_opens_nothing(gateway: Gateway, employee: str, proxy: str) -> None:
    """Each proxy passes on what another one would have said."""
    for line in ("X-Original-URI: /public", "X-Forwarded-Uri: /public", f"X-Original-URL: https://{HOST}/public"):
        for more in ((), ("X-Original-Method: GET", "X-Forwarded-Method: GET")):
            answer = ask(gateway, proxy, employee, line, *more, path="/admin")
            assert answer.status in (400, 401, 403), line


@pytest.mark.parametrize("proxy", PROXIES)
def test_what_the_method_reaches_is_asked_for_as_well(gateway: Gateway, employee: str, proxy: str) -> None:
    there = (f"Destination: {ORIGIN}/y",)
    assert ask(gateway, proxy, employee, *there, method="MOVE").status == 204
    assert ask(gateway, proxy, employee, *there, method="MOVE", as_method="MOVE").status == 204  # preserveRequestMethod
    for method, path, lines in (
        ("MOVE", "/x", (f"Destination: {ORIGIN}/admin/y",)),
        ("MOVE", "/x", ()),
        ("COPY", "/", there),
        ("PROPFIND", "/", ()),
        ("PROPFIND", "/", ("Depth: 0", "Connection: Depth")),
        ("DELETE", "/", ("Depth: 0",)),
        ("LINK", "/x", ("Link: </admin>",)),
        ("SEARCH", "/x", ()),
        ("BIND", "/x", ()),
    ):
        assert ask(gateway, proxy, employee, *lines, method=method, path=path).status == 403, (method, path)
        assert ask(gateway, proxy, *lines, method=method, path=path).status == 401, (method, path)
    assert ask(gateway, proxy, employee, "Depth: 1", method="PROPFIND", path="/").status == 204


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_websocket_of_another_sites_page_is_refused_also_where_the_proxy_keeps_upgrade_to_itself(
    gateway: Gateway, employee: str, proxy: str
) -> None:
    key, version = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    for origin in ("https://evil.example", f"https://other.{HOST}", "null"):
        for lines in ((key, version), (key,), (version,), (*upgrade, key, version)):
            assert ask(gateway, proxy, employee, *lines, f"Origin: {origin}").status == 403, (origin, lines)
    for lines in ((key, version), (*upgrade, key, version)):
        assert ask(gateway, proxy, employee, *lines, f"Origin: {ORIGIN}").status == 204
        assert ask(gateway, proxy, employee, *lines).status == 204  # no browser, and so no page of another site


def test_another_name_is_ours_only_to_a_proxy_that_asks(gateway: Gateway, employee: str) -> None:
    at, lines = question("traefik")
    assert gateway.exchange(get("/_gateway/auth", employee, *lines, host=at)).status == 421
    assert gateway.exchange(get("/x", employee, *lines, host=at), source=PROXY).status == 421
    assert gateway.exchange(get("/_gateway/auth/x", employee, *lines, host=at), source=PROXY).status == 421
    assert gateway.exchange(get("/_gateway/auth", employee, *lines), source="127.0.0.1").status == 403
