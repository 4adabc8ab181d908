"""THREATS 20 to 40: guessing, sessions, forms, redirects."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import quote

import pytest

from tests.support.gateway import COOKIE, PASSWORD, PEOPLE, PROXY, Gateway, cookie_of
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream

EMAIL = PEOPLE["employee"][0]
addresses = (f"203.0.{n // 200}.{n % 200 + 1}" for n in range(1, 40_000))


@pytest.fixture
def address() -> Iterator[str]:
    """An address that no test has used; told by the trusted proxy."""
    return next(addresses)  # type: ignore[return-value]


def attempt(gateway: Gateway, email: str, password: str, address: str, **fields: str) -> Response:
    body = {"email": email, "password": password, "next": "/", **fields}
    return gateway.post("/login", body, f"X-Forwarded-For: {address}", source=PROXY)


def events(gateway: Gateway, event: str) -> list[tuple[str, str, str]]:
    path = gateway.store_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT identifier, address, details FROM audit WHERE event = ? ORDER BY id", (event,)
        )
        return list(rows)


def test_the_sixth_wrong_password_is_not_even_checked(gateway: Gateway, address: str) -> None:
    for _ in range(5):
        began = time.monotonic()
        assert attempt(gateway, EMAIL, "wrong", address).status == 422
    locked = attempt(gateway, EMAIL, PASSWORD, address)
    assert locked.status == 429
    assert 898 - (time.monotonic() - began) < int(locked.get("retry-after") or 0) <= 900
    assert "15 minutes" in locked.body.decode()
    assert [row for row in events(gateway, "login_lockout") if row[1] == address] == [
        (EMAIL, address, '{"minutes": 15}')
    ]
    assert len([row for row in events(gateway, "login_failed") if row[1] == address]) == 6


def test_sign_ins_that_are_locked_are_counted_and_not_listed(gateway: Gateway, address: str) -> None:
    for _ in range(5):
        attempt(gateway, EMAIL, "wrong", address)
    assert {attempt(gateway, EMAIL, "wrong", address).status for _ in range(30)} == {429}
    rows = [details for _, seen, details in events(gateway, "login_failed") if seen == address]
    assert rows.count('{"reason": "wrong"}') == 5
    assert rows.count('{"reason": "locked"}') in (1, 2)  # a minute may end meanwhile


def test_a_success_clears_the_count(gateway: Gateway, address: str) -> None:
    for _ in range(3):
        for _n in range(4):
            assert attempt(gateway, EMAIL, "wrong", address).status == 422
        assert attempt(gateway, EMAIL, PASSWORD, address).status == 303


def test_another_address_or_another_email_is_another_count(gateway: Gateway, address: str) -> None:
    for _ in range(5):
        attempt(gateway, EMAIL, "wrong", address)
    assert attempt(gateway, EMAIL, PASSWORD, next(addresses)).status == 303
    assert attempt(gateway, PEOPLE["manager"][0], PASSWORD, address).status == 303


def test_spellings_of_an_email_fill_one_count(gateway: Gateway, address: str) -> None:
    spellings = [EMAIL.upper(), f" {EMAIL} ", f"{EMAIL}.", EMAIL.replace("e", "E", 1), EMAIL.replace("@", "＠")]
    for spelling in spellings:
        assert attempt(gateway, spelling, "wrong", address).status == 422
    assert attempt(gateway, EMAIL, PASSWORD, address).status == 429


def test_an_ipv6_client_is_its_64_bit_network(gateway: Gateway) -> None:
    for n in range(5):
        assert attempt(gateway, EMAIL, "wrong", f"2001:db8:0:1::{n + 1:x}").status == 422
    assert attempt(gateway, EMAIL, PASSWORD, "2001:db8:0:1:ffff::1").status == 429
    assert attempt(gateway, EMAIL, PASSWORD, "2001:db8:0:2::1").status == 303


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP"]
)
def test_an_untrusted_peer_can_not_change_its_address(gateway: Gateway, header: str) -> None:
    email = f"victim-{header.lower()}@acme.example"
    for n in range(5):
        line = f"{header}: {'for=' if header == 'Forwarded' else ''}198.51.100.{n}"
        assert gateway.post("/login", {"email": email, "password": "x"}, line).status == 422
    assert gateway.post("/login", {"email": email, "password": "x"}, f"{header}: 198.51.100.99").status == 429


def test_claims_left_of_the_trusted_hop_are_only_claims(gateway: Gateway, address: str) -> None:
    for n in range(5):
        assert attempt(gateway, EMAIL, "wrong", f"127.0.0.{n}, {address}").status == 422
    assert attempt(gateway, EMAIL, PASSWORD, f"10.9.8.7, {address}").status == 429


def test_guesses_sent_at_once_are_counted_before_they_are_checked(gateway: Gateway, address: str) -> None:
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda n: attempt(gateway, EMAIL, f"wrong {n}", address).status, range(30)))
    assert statuses.count(422) == 5
    assert statuses.count(429) == 25


def test_one_person_signing_in_many_times_at_once_is_not_locked_out(gateway: Gateway, address: str) -> None:
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: attempt(gateway, EMAIL, PASSWORD, address).status, range(30)))
    assert set(statuses) == {303}


def test_the_lock_outlives_a_restart(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    for _ in range(5):
        attempt(gateway, EMAIL, "wrong", "203.0.113.5")
    gateway.stop()
    gateway.log.unlink()
    gateway.start()
    try:
        assert attempt(gateway, EMAIL, PASSWORD, "203.0.113.5").status == 429
    finally:
        gateway.stop()


def test_the_audit_log_says_that_an_account_is_disabled_and_calls_no_password_wrong(
    gateway: Gateway, address: str
) -> None:
    assert attempt(gateway, PEOPLE["disabled"][0], PASSWORD, address).status == 422
    rows = [details for _, seen, details in events(gateway, "login_failed") if seen == address]
    assert rows == ['{"reason": "disabled"}']


def test_known_unknown_and_disabled_look_the_same(gateway: Gateway, address: str) -> None:
    def shown(email: str) -> tuple[int, str]:
        response = attempt(gateway, email, "wrong", next(addresses))
        return response.status, response.body.decode().replace(email, "")

    known = shown(EMAIL)
    for email in (
        "nobody@acme.example",
        PEOPLE["disabled"][0],
        PEOPLE["owner"][0],
        "not an email",
        "a@b@c.example",
        "",
    ):
        assert shown(email)[0] == known[0]
        if email:
            assert shown(email)[1] == known[1]
    assert attempt(gateway, PEOPLE["disabled"][0], PASSWORD, address).status == 422


def test_known_and_unknown_take_the_same_time(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """A coarse net for a missing dummy hash; the hash takes most of the time at this cost."""
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LIMITS__HASHING_ITERATIONS": "100000"})
    gateway.seed().start()
    try:
        attempt(gateway, EMAIL, PASSWORD, "203.0.113.1")  # renews the hash to the configured cost
        spent = {EMAIL: 0.0, "nobody@acme.example": 0.0}  # seconds of the workers
        for n in range(20):
            for email in spent:
                began = gateway.processor_seconds()
                attempt(gateway, email, "wrong", f"198.51.{n}.7")
                spent[email] += gateway.processor_seconds() - began
        known, unknown = spent.values()
        assert 0.6 < known / unknown < 1.6
    finally:
        gateway.stop()


def test_three_hundred_unknown_names_change_nothing_for_known_ones(gateway: Gateway, address: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: attempt(gateway, f"nobody{n}@acme.example", "x", address), range(300)))
    assert attempt(gateway, EMAIL, PASSWORD, address).status == 303


def test_requests_stay_quick_while_many_sign_in(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LIMITS__HASHING_ITERATIONS": "150000"})
    gateway.seed().start()
    try:
        cookie = gateway.sign_in()
        stop, meanwhile = threading.Event(), list[float]()  # seconds that workers computed during each request

        def ask() -> None:
            while not stop.is_set():
                began = gateway.processor_seconds()
                assert gateway.exchange(get("/x", cookie)).status == 200
                meanwhile.append(gateway.processor_seconds() - began)

        thread = threading.Thread(target=ask)
        thread.start()
        statuses, rounds = set[int](), list[float]()
        while len(meanwhile) < 10 and thread.is_alive():
            began = gateway.processor_seconds()
            with ThreadPoolExecutor(50) as pool:
                statuses |= set(
                    pool.map(lambda n: attempt(gateway, EMAIL, PASSWORD, f"198.51.100.{n}").status, range(50))
                )
            rounds.append(gateway.processor_seconds() - began)
        stop.set()
        thread.join()
        assert statuses <= {303, 503}
        assert len(meanwhile) >= 10
        assert median(meanwhile) < median(rounds) / 4  # most requests waited for some of fifty hashes, at most
    finally:
        gateway.stop()


def test_an_owner_is_not_let_in_with_a_password_alone(gateway: Gateway, address: str) -> None:
    response = attempt(gateway, PEOPLE["owner"][0], PASSWORD, address)
    assert response.status == 303
    assert (response.get("location") or "").startswith("/login/link?next=/")
    assert [value.split("=")[0] for value in response.all("set-cookie")] == ["__Host-otium_attempt"]


def test_each_sign_in_has_a_new_session_and_ends_the_old_one(gateway: Gateway, upstream: RecordingUpstream) -> None:
    first = gateway.sign_in("manager")
    response = gateway.post("/login", {"email": PEOPLE["manager"][0], "password": PASSWORD, "next": "/x"}, first)
    second = "Cookie: " + cookie_of(response)
    assert second != first
    assert gateway.exchange(get("/x", first)).status == 401
    assert gateway.exchange(get("/x", second)).status == 200


def test_a_session_id_that_the_client_brings_is_never_taken(gateway: Gateway) -> None:
    chosen = f"Cookie: {COOKIE}={'a' * 43}"
    response = gateway.post("/login", {"email": EMAIL, "password": PASSWORD, "next": "/"}, chosen)
    assert cookie_of(response) != f"{COOKIE}={'a' * 43}"
    assert gateway.exchange(get("/x", chosen)).status == 401


def test_the_cookie_can_be_read_by_nobody_else(gateway: Gateway) -> None:
    response = gateway.post("/login", {"email": EMAIL, "password": PASSWORD, "next": "/"})
    (cookie,) = [value for value in response.all("set-cookie") if value.startswith(COOKIE)]
    assert re.fullmatch(
        r"__Host-otium_session=[A-Za-z0-9_-]{43}; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax", cookie
    )


def test_signing_out_ends_the_session_and_leaves_nothing_in_the_browser(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    cookie = gateway.sign_in("manager")
    assert gateway.exchange(get("/logout", cookie, "Accept: text/html")).status == 200
    assert gateway.exchange(get("/x", cookie)).status == 200  # asking is not signing out
    response = gateway.post("/logout", {}, cookie + "; session=app; theme=dark")
    assert response.status == 303
    assert response.get("location") == "/login?signed-out=1"
    assert response.get("clear-site-data") == '"cache", "cookies", "storage"'
    expired = {value.partition("=")[0] for value in response.all("set-cookie") if "Max-Age=0" in value}
    assert expired == {COOKIE, "session", "theme"}
    assert gateway.exchange(get("/x", cookie)).status == 401
    assert any(row[0] == PEOPLE["manager"][0] for row in events(gateway, "logout"))


def test_the_apps_own_cookies_do_not_survive_a_change_of_person(gateway: Gateway) -> None:
    first = gateway.sign_in("manager")
    fields = {"email": EMAIL, "password": PASSWORD, "next": "/"}
    other = gateway.post("/login", fields, first + "; session=app")
    assert any(value.startswith("session=;") for value in other.all("set-cookie"))
    same = gateway.post("/login", fields, "Cookie: " + cookie_of(other) + "; session=app")
    assert not any(value.startswith("session=") for value in same.all("set-cookie"))


def test_fifty_people_signing_in_at_once_stay_apart(gateway: Gateway, upstream: RecordingUpstream) -> None:
    def journey(n: int) -> bool:
        email = f"crowd{n}@acme.example"
        response = gateway.post("/login", {"email": email, "password": PASSWORD, "next": "/"})
        assert response.status == 303
        assert gateway.exchange(get(f"/who/{n}", "Cookie: " + cookie_of(response))).status == 200
        (request,) = [request for request in upstream.requests if request.target == f"/who/{n}"]
        return request.all("remote-email") == [email]

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(journey, range(50)))


def test_a_change_of_role_holds_from_the_next_request_on(gateway: Gateway, upstream: RecordingUpstream) -> None:
    cookie = gateway.sign_in("other")
    assert gateway.exchange(get("/team", cookie)).status == 403
    assert gateway.cli("account", "set-role", PEOPLE["other"][0], "manager").returncode == 0
    assert gateway.exchange(get("/team", cookie)).status == 200
    assert upstream.requests[-1].all("x-otium-role") == ["manager"]
    assert gateway.cli("account", "set-role", PEOPLE["other"][0], "employee").returncode == 0
    assert gateway.exchange(get("/team", cookie)).status == 403


def test_a_new_password_ends_the_sessions_of_the_old_one(gateway: Gateway) -> None:
    cookie = gateway.sign_in("other")
    result = gateway.cli("account", "set-password", PEOPLE["other"][0], "--password-stdin", stdin="another long one\n")
    assert result.returncode == 0, result.stderr
    assert gateway.exchange(get("/x", cookie)).status == 401
    gateway.cli("account", "set-password", PEOPLE["other"][0], "--password-stdin", stdin=PASSWORD + "\n")
    assert gateway.sign_in("other")


EVIL_TARGETS = [
    "/\\evil", "//evil", "/%09/evil", "/%0a/evil", "/%2f%2fevil", "\\/evil", "https:evil", "https://app@evil", "https://app.evil", "javascript:alert(1)",
    "///evil", "/\t/evil", " /x", "/%5cevil", "/./evil/..", "/x\r\nSet-Cookie: a=b", "http:///evil", "//app.example.com@evil", "/logout", "", "x",
]  # fmt: skip


@pytest.mark.parametrize("target", EVIL_TARGETS)
def test_nobody_is_sent_anywhere_else_after_signing_in(gateway: Gateway, target: str) -> None:
    response = gateway.post("/login", {"email": EMAIL, "password": PASSWORD, "next": target})
    assert response.status == 303
    assert response.all("location") == ["/"]
    page = gateway.exchange(get(f"/login?next={quote(target, safe='')}"))
    assert 'name="next" value="/"' in page.body.decode()


def test_a_target_given_twice_is_none(gateway: Gateway) -> None:
    body = f"email={quote(EMAIL)}&password={quote(PASSWORD)}&next=/a&next=/b".encode()
    assert gateway.post("/login", body).all("location") == ["/"]
    assert 'value="/"' in gateway.exchange(get("/login?next=/a&next=/b")).body.decode()


def test_each_tab_lands_on_its_own_target(gateway: Gateway) -> None:
    pages = [gateway.exchange(get(f"/login?next=/tab/{n}%3Fx=1")).body.decode() for n in range(5)]
    targets = [re.search(r'name="next" value="([^"]*)"', page)[1] for page in pages]  # type: ignore[index]
    cookie: list[str] = []
    for target in reversed(targets):
        response = gateway.post("/login", {"email": EMAIL, "password": PASSWORD, "next": target}, *cookie)
        assert response.get("location") == target
        cookie = ["Cookie: " + cookie_of(response)]


@pytest.mark.parametrize("origin", ["https://app.example.com:8443", "http://app.example.com"])
def test_a_form_of_this_site_at_another_address_is_told_the_right_one(gateway: Gateway, origin: str) -> None:
    """The page itself is served: proxies put a port of their own into Host."""
    fields = {"email": EMAIL, "password": PASSWORD}
    refused = gateway.post("/login", fields, origin=origin)
    assert refused.status == 403
    assert refused.all("set-cookie") == []
    assert 'href="https://app.example.com/login"' in refused.body.decode()
    assert "/login" not in gateway.post("/login", fields, origin="https://evil.example").body.decode()


FOREIGN = [
    ["Origin: https://evil.example"], ["Origin: null"], ["Origin: https://app.example.com.evil"], ["Origin: http://app.example.com"],
    ["Origin: https://app.example.com:8443"], ["Origin: https://APP.example.com.:443"], [], ["Origin: https://app.example.com", "Origin: https://evil"],
    ["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"], ["Origin: https://app.example.com", "Sec-Fetch-Site: same-site"],
    ["Origin: https://app.example.com", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    ["Origin: null", "Sec-Fetch-Site: cross-site"], ["Origin: null", "Sec-Fetch-Site: same-site"], ["Origin: null", "Sec-Fetch-Site: none"],
    ["Origin: null", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"], ["Origin: null", "Origin: null", "Sec-Fetch-Site: same-origin"],
    ["Sec-Fetch-Site: same-origin"], ["Origin: https://evil.example", "Sec-Fetch-Site: same-origin"], ["Origin: https://www.example.com.evil"],
    ["Origin: http://www.example.com"], ["Origin: https://evil.example", "Connection: Origin"],
    ["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site", "Connection: close, Sec-Fetch-Site"],
]  # fmt: skip


@pytest.mark.parametrize("lines", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_form_of_another_site_does_nothing(gateway: Gateway, path: str, lines: list[str]) -> None:
    cookie = gateway.sign_in("admin")
    body = f"email={quote(EMAIL)}&password={quote(PASSWORD)}".encode()
    head = get(
        path,
        cookie,
        *lines,
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        method="POST",
    )
    response = gateway.exchange(head + body)
    assert response.status == 403
    assert response.all("set-cookie") == []
    assert gateway.exchange(get("/x", cookie)).status == 200


OWN = [
    ("app.example.com", ["Origin: null", "Sec-Fetch-Site: same-origin"]),  # under Referrer-Policy: no-referrer
    ("app.example.com", ["Origin: https://app.example.com", "Connection: Origin, Content-Type, Cookie, Host"]),
    ("www.example.com", ["Origin: https://www.example.com"]),
    ("WWW.example.com:443", ["Origin: https://www.example.com", "Sec-Fetch-Site: same-origin"]),
    ("www.example.com", ["Origin: null", "Sec-Fetch-Site: same-origin"]),
]


@pytest.mark.parametrize(("host", "lines"), OWN, ids=str)
def test_a_form_of_our_own_page_is_ours_by_every_name_of_the_site(
    gateway: Gateway, host: str, lines: list[str]
) -> None:
    body = f"email={quote(EMAIL)}&password={quote(PASSWORD)}&next=/x".encode()
    sent = (*lines, "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}")
    response = gateway.exchange(get("/login", *sent, method="POST", host=host) + body)
    assert (response.status, response.get("location")) == (303, "/x")
    cookie = "Cookie: " + cookie_of(response)
    assert gateway.exchange(get("/x", cookie, host=host)).status == 200
    sent = (*lines, cookie, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0")
    assert gateway.exchange(get("/logout", *sent, method="POST", host=host)).status == 303
    assert gateway.exchange(get("/x", cookie, host=host)).status == 401


def test_what_people_type_is_shown_as_text(gateway: Gateway, address: str) -> None:
    response = attempt(gateway, '"><svg onload=alert(1)>@x.example', "wrong", address)
    page = response.body.decode()
    assert "<svg" not in page
    assert "&lt;svg" in page
    policy = response.get("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


NOWHERE = "camera=(), microphone=(), geolocation=(), payment=(), publickey-credentials-create=(), publickey-credentials-get=()"
NO_SUCH_PAGE = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
FRAMED = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/logout", (), 303),
        ("/forgot-password", (), 200),
        ("/login?again=1", ("as employee",), 200),
        ("/login", ("as employee",), 200),
        ("/me/security", ("as employee",), 200),
        ("/admin/accounts", ("as admin",), 200),
        ("/admin/accounts", ("as employee",), 403),
        ("/widget", FRAMED, 401),
        ("/_gateway/static/gateway.css", (), 200),
        (NO_SUCH_PAGE, (), 404),
    ],
)
def test_a_page_without_a_form_for_passkeys_can_ask_for_none(
    gateway: Gateway, path: str, lines: tuple[str, ...], status: int
) -> None:
    given = [gateway.sign_in(line.removeprefix("as ")) if line.startswith("as ") else line for line in lines]
    response = gateway.exchange(get(path, "Accept: text/html", *given))
    assert response.status == status
    assert response.all("permissions-policy") == [NOWHERE]


def test_the_sign_in_page_can_use_passkeys_and_make_none(gateway: Gateway, address: str) -> None:
    asking = NOWHERE.replace("get=()", "get=(self)")
    shown = gateway.exchange(get("/login", "Accept: text/html"))
    refused = attempt(gateway, "nobody@acme.example", "wrong", address)
    for response, status in ((shown, 200), (refused, 422)):
        assert (response.status, response.all("permissions-policy")) == (status, [asking])


@pytest.mark.parametrize("path", ["/login", "/logout", "/x"])
def test_personal_answers_are_kept_by_no_cache(gateway: Gateway, path: str) -> None:
    for lines in ([], [gateway.sign_in()]):
        response = gateway.exchange(get(path, "Accept: text/html", *lines))
        assert "no-store" in (response.get("cache-control") or "")


@pytest.mark.parametrize(
    "path", ["/metrics", "/debug", "/config", "/alive", "/ready", "/_gateway/config", "/_gateway/metrics"]
)
def test_nothing_for_operators_is_on_the_public_listener(gateway: Gateway, path: str) -> None:
    assert gateway.exchange(get(path)).status in (303, 401)


def test_a_form_that_is_too_large_or_broken_is_refused(gateway: Gateway) -> None:
    def send(kind: str, body: bytes) -> int:
        head = get(
            "/login",
            "Origin: https://app.example.com",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            method="POST",
        )
        return gateway.exchange(head + body).status

    urlencoded = "application/x-www-form-urlencoded"
    assert send(urlencoded, b"email=" + b"a" * 70_000) == 413
    assert send("multipart/form-data; boundary=x", b"--y\r\nbroken") == 400
    assert send("multipart/form-data", b"--y\r\nbroken") == 400
    assert send(urlencoded, b"email=%ff%fe&password=x") == 400
    assert send(urlencoded, b"email=\xff\xfe&password=x") == 400
    assert send("text/plain", b"email=a&password=b") == 400
    assert send("application/json", b"{}") == 400


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//etc/passwd",
        "..\\..\\etc\\passwd",
        "nothing.css",
        ".htaccess",
    ],
)
def test_static_files_are_those_that_there_are(gateway: Gateway, name: str) -> None:
    assert gateway.exchange(get(f"/_gateway/static/{name}")).status in (400, 401, 404)


@pytest.mark.parametrize("path", ["/login", "/_gateway/static/gateway.css", "/.well-known/otium-gateway/jwks.json"])
def test_pages_answer_head_as_they_answer_get(gateway: Gateway, path: str) -> None:
    with gateway.connect() as connection:
        connection.send(get(path, method="HEAD") + get(path))
        head, page = connection.response("HEAD"), connection.response()
    assert head is not None
    assert page is not None
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-length") == str(len(page.body))


def test_a_static_file_may_be_kept(gateway: Gateway) -> None:
    for name, kind in (("gateway.css", "text/css"), ("login.js", "text/javascript")):
        response = gateway.exchange(get(f"/_gateway/static/{name}"))
        assert response.status == 200
        assert (response.get("content-type") or "").startswith(kind)
        assert (response.get("cache-control") or "").startswith("public")


def test_logs_hold_no_secret_and_no_forged_line(gateway: Gateway, address: str) -> None:
    """THREATS 9 and 52; everything that other tests did is in this log as well."""
    attempt(gateway, EMAIL, "a very secret wrong password", address)
    cookie = gateway.sign_in("admin")
    gateway.exchange(get("/x%0aFAKE", cookie))
    gateway.exchange(get("/public/%1b[2J", "User-Agent: x"))
    gateway.exchange(get("/public", "X-Forwarded-For: \x1b[2J"))
    gateway.exchange(get("/public?token=very-secret-query", cookie))
    time.sleep(1.2)
    logged = gateway.logged()
    value = cookie.partition("=")[2]
    for secret in ("a very secret wrong password", PASSWORD, value, "very-secret-query", "Gateway-Ticket"):
        assert secret not in logged
    assert "\x1b" not in logged
    assert not any(line.startswith("FAKE") for line in logged.splitlines())
    path = gateway.store_url.removeprefix("sqlite:///")
    stored = Path(path).read_bytes() + Path(path + "-wal").read_bytes()
    assert value.encode() not in stored
    assert PASSWORD.encode() not in stored


def test_without_the_store_nobody_is_anybody(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """THREATS 8: 503, and the upstream is not reached."""
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__WORKERS": "1"}).seed().start()
    try:
        cookie = gateway.sign_in()
        path = Path(gateway.store_url.removeprefix("sqlite:///"))
        for file in path.parent.iterdir():
            file.unlink()
        while gateway.exchange(get("/x", cookie)).status != 503:  # a session is remembered until the next look
            time.sleep(0.1)
        upstream.reset()
        response = gateway.exchange(get("/x", cookie))
        assert response.status == 503
        assert gateway.exchange(get("/public", cookie)).status == 503
        assert upstream.requests == []
        assert gateway.exchange(get("/public")).status == 200
        assert gateway.post("/login", {"email": EMAIL, "password": PASSWORD}).status == 503
    finally:
        gateway.stop()
