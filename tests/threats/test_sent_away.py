"""Where people are sent who have to sign in, or already have: nothing is lost in silence, and nobody goes in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.gateway import ACCESS, HOST, ORIGIN, PASSWORD, PEOPLE, Gateway
from tests.support.person import CHROME, Person
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream

PAID = {"reference": "inv-7", "status": "paid & done", "signature": "c2lnbmVk"}
CROSS_SITE = ("Origin: https://pay.example", "Sec-Fetch-Site: cross-site", "Referer: https://pay.example/pay")
LOST = "Another website sent you here with a form."
NAVIGATION = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    access = ACCESS.replace("rules = [", 'rules = [\n  { path = "/checkout/return", cross_site_post = true },')
    folder: Path = tmp_path_factory.mktemp("own")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", access=access).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture
def person(own: Gateway) -> Person:
    person = Person(own)
    person.sign_in()
    return person


def send_from_elsewhere(
    person: Person, path: str, *lines: str, body: bytes = b"", source: str = "127.0.0.1"
) -> Response:
    """Send a form as a browser does for a page of another site: without the Lax cookies."""
    content = body or urlencode(PAID).encode()
    head = "\r\n".join(
        [f"POST {path} HTTP/1.1", f"Host: {HOST}", "Content-Type: application/x-www-form-urlencoded", CHROME,
         f"Content-Length: {len(content)}", *NAVIGATION, *(lines or CROSS_SITE), "", ""]
    )  # fmt: skip
    return person._arrive(person.gateway.exchange(head.encode("latin-1") + content, source=source), False)


@pytest.mark.parametrize(
    "lines",
    [CROSS_SITE, ("Origin: null", "Sec-Fetch-Site: cross-site"), ("Origin: https://pay.example",)],
    ids=["named", "hidden", "older browser"],
)
def test_who_was_sent_here_with_a_form_is_told_that_it_did_not_arrive(
    person: Person, upstream: RecordingUpstream, lines: tuple[str, ...]
) -> None:
    sent = send_from_elsewhere(person, "/orders/return", *lines)
    assert sent.status == 303
    page = person.open(sent.get("location") or "", follow=False)
    assert page.status == 200
    assert LOST in page.body.decode()
    assert person.email in page.body.decode()
    nobody = Person(person.gateway).open(sent.get("location") or "")
    assert LOST in nobody.body.decode()
    assert upstream.requests == []


def test_a_form_of_another_site_is_sent_by_its_receiver_where_a_rule_says_so(
    person: Person, upstream: RecordingUpstream
) -> None:
    kept = send_from_elsewhere(person, "/checkout/return?order=7")
    where = kept.get("location") or ""
    assert where.startswith("/login/form/")
    page = person.open(where).body.decode()
    for text in ("https://pay.example", "/checkout/return?order=7", "inv-7", "paid &amp; done", "c2lnbmVk"):
        assert text in page
    assert upstream.requests == []
    assert person.send(where, {}).status == 200
    (request,) = upstream.requests
    assert request.head.startswith(b"POST /checkout/return?order=7 HTTP/1.1\r\n")
    assert request.body == urlencode(PAID).encode()
    assert request.all("remote-email") == [person.email]
    # The application sees whose form it is, and not ours, on whose page the button stands.
    assert request.all("origin") == ["https://pay.example"]
    assert request.all("sec-fetch-site") == ["cross-site"]
    assert request.all("referer") == ["https://pay.example/pay"]
    assert person.send(where, {}).status == 303
    assert len(upstream.requests) == 1


def test_a_form_of_another_site_waits_for_a_sign_in(own: Gateway, upstream: RecordingUpstream) -> None:
    person = Person(own, "manager")
    where = send_from_elsewhere(person, "/checkout/return").get("location") or ""
    assert person.open(where, follow=False).get("location") == f"/login?next={where}"
    person.open(where)
    page = person.submit("/login", email=person.email, password=PASSWORD)
    assert "inv-7" in page.body.decode()
    assert upstream.requests == []


def test_a_form_of_another_site_is_seen_in_no_other_browser(person: Person, upstream: RecordingUpstream) -> None:
    where = send_from_elsewhere(Person(person.gateway, source="127.0.0.8"), "/checkout/return").get("location") or ""
    page = person.open(where)
    assert page.status == 410
    assert "inv-7" not in page.body.decode()
    person.send(where, {})
    assert upstream.requests == []


@pytest.mark.parametrize("body", [b"a=%00", b"a=" + b"x" * 70_000, b"&".join([b"a=1"] * 200)])
def test_a_form_of_another_site_that_can_not_be_shown_is_not_kept(person: Person, body: bytes) -> None:
    sent = send_from_elsewhere(person, "/checkout/return", body=body)
    assert "not-kept=other-site" in str(sent.get("location"))


def test_one_address_leaves_a_bounded_number_of_forms(own: Gateway) -> None:
    person = Person(own)
    answers = [send_from_elsewhere(person, "/checkout/return", source="127.0.0.77") for _ in range(12)]
    kept = [answer for answer in answers if str(answer.get("location")).startswith("/login/form/")]
    assert len(kept) == 10


def test_a_script_of_another_site_leaves_no_form(own: Gateway, upstream: RecordingUpstream) -> None:
    answer = own.post(
        "/checkout/return", PAID, "Sec-Fetch-Mode: no-cors", *CROSS_SITE[1:], origin="https://pay.example"
    )
    assert answer.status == 401
    assert upstream.requests == []


# An application with a page for signing in of its own.


def test_whom_the_application_sends_to_sign_in_is_asked_and_never_goes_in_a_circle(
    person: Person, upstream: RecordingUpstream
) -> None:
    upstream.answers("/app", b"HTTP/1.1 303 See Other\r\nLocation: /login?next=/app\r\nContent-Length: 0\r\n\r\n")
    page = person.open("/app")  # follows until there is a page
    assert page.status == 200
    text = page.body.decode()
    assert "Continue, or sign out to use a different account." in text
    assert person.email in text
    assert 'href="/app"' in text
    assert 'action="/logout"' in text
    assert len(upstream.requests) == 1


def test_nobody_goes_in_a_circle_right_after_signing_in(own: Gateway, upstream: RecordingUpstream) -> None:
    upstream.answers("/app", b"HTTP/1.1 303 See Other\r\nLocation: /login?next=/app\r\nContent-Length: 0\r\n\r\n")
    person = Person(own)
    person.open("/app")
    page = person.submit("/login", email=person.email, password=PASSWORD)
    assert "Continue, or sign out to use a different account." in page.body.decode()
    assert [request.target for request in upstream.requests] == ["/app"]


@pytest.mark.parametrize(
    "address", ["/login", "/login?next=/login", "/login?next=/login?next=/x", "/login?next=//evil"]
)
def test_a_page_to_sign_in_without_a_way_on_leads_home(person: Person, address: str) -> None:
    page = person.open(address, follow=False)
    assert page.status == 200
    assert 'href="/"' in page.body.decode()


def test_who_signed_in_in_another_tab_goes_on_at_once(own: Gateway, upstream: RecordingUpstream) -> None:
    person = Person(own)
    first = person.open("/first?x=1", follow=False).get("location") or ""
    second = person.open("/second?x=1", follow=False).get("location") or ""
    person.open(first)
    person.submit("/login", email=person.email, password=PASSWORD)
    went = person.open(second, follow=False)
    assert (went.status, went.get("location")) == (303, "/second?x=1")
    assert person.open(second, follow=False).status == 200  # once


def test_an_application_keeps_its_own_sign_in_page_where_ours_was_moved(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    moved = {"PAGES__PATHS": '{ login = "/sign-in", logout = "/sign-out" }'}
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=moved).seed().start()
    try:
        for target, way in (
            ("/login", "/login"), ("/logout?all=1", "/logout?all=1"), ("/me/security", "/me/security"),
            ("/sign-in?next=/x", "/"), ("/sign-out", "/"), ("/login/totp", "/"),
        ):  # fmt: skip
            fields = {"email": PEOPLE["employee"][0], "password": PASSWORD, "next": target}
            assert own.post("/sign-in", fields).get("location") == way
        # The gate notes the same way as the page: who signed in meanwhile, in another tab, goes on at once.
        person = Person(own)
        sent = person.open("/login", follow=False).get("location") or ""
        assert sent == "/sign-in?next=/login"
        person.open("/sign-in?next=/x")
        person.submit("/sign-in", email=person.email, password=PASSWORD)
        assert person.open(sent, follow=False).get("location") == "/login"
    finally:
        own.stop()


# What is no page of a window.


def ask(own: Gateway, path: str, *lines: str, method: str = "GET") -> Response:
    return own.exchange(get(path, "Sec-Fetch-Site: same-origin", f"Referer: {ORIGIN}/board?x=1", *lines, method=method))


def test_a_download_without_a_session_saves_no_page_as_the_file(own: Gateway) -> None:
    answer = ask(own, "/report.pdf", "Accept: text/html,*/*", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty")
    assert answer.status == 401
    assert answer.get("location") is None


def test_what_a_service_worker_fetches_for_a_page_is_a_page(own: Gateway) -> None:
    answer = ask(own, "/whoami", "Accept: text/html,*/*", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: empty")
    assert answer.status == 401
    assert (answer.get("content-type") or "").startswith("text/html")
    assert 'href="/login?next=/whoami"' in answer.body.decode()


def test_a_failure_that_a_service_worker_shows_is_a_page(own: Gateway) -> None:
    line = own.sign_in("manager")
    answer = ask(own, "/admin", line, "Accept: text/html,*/*", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: empty")
    assert (answer.status, answer.get("content-type")) == (403, "text/html; charset=utf-8")


@pytest.mark.parametrize("dest", ["iframe", "frame", "object", "embed"])
def test_a_frame_of_this_site_shows_a_way_to_sign_in(own: Gateway, dest: str) -> None:
    answer = ask(own, "/widget", "Accept: text/html", "Sec-Fetch-Mode: navigate", f"Sec-Fetch-Dest: {dest}")
    assert answer.status == 401
    assert "frame-ancestors 'self'" in (answer.get("content-security-policy") or "")
    assert answer.all("x-frame-options") == ["SAMEORIGIN"]
    assert 'href="/login?next=/board%3Fx%3D1" target="_top"' in answer.body.decode()  # the page around the frame


def test_a_form_in_a_frame_is_not_kept_and_the_frame_says_so(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    assert own.cli("session", "revoke", "--email", person.email).returncode == 0
    lines = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Site: same-origin")
    answer = own.post("/widget", {"a": "1"}, person.cookie_line, f"Referer: {ORIGIN}/widget", *lines)
    assert answer.status == 401
    assert "we couldn’t save it" in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "lines", "way"),
    [
        ("GET", (f"HX-Current-URL: {ORIGIN}/board?x=1",), "/board%3Fx%3D1"),
        ("POST", (f"HX-Current-URL: {ORIGIN}/board",), "/board&not-kept=1"),
        ("GET", (f"HX-Current-URL: {ORIGIN}/board", "HX-Boosted: true"), "/part"),
        ("GET", ("HX-Current-URL: https://evil.example/board",), "/"),
        ("GET", (f"HX-Current-URL: {ORIGIN}//evil.example/board",), "//evil.example/board"),  # refused at the end
    ],
)
def test_htmx_is_told_where_to_sign_in(own: Gateway, method: str, lines: tuple[str, ...], way: str) -> None:
    answer = ask(own, "/part", "HX-Request: true", "Accept: */*", "Sec-Fetch-Mode: cors", *lines, method=method)
    assert answer.status == 401
    assert answer.all("hx-redirect") == [f"/login?next={way}"]


def test_a_script_is_told_in_json_as_before(own: Gateway) -> None:
    answer = ask(own, "/api", "Accept: application/json", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
    assert (answer.status, answer.get("content-type")) == (401, "application/json")
    assert answer.all("set-cookie") == answer.all("hx-redirect") == []


# Deep links.


@pytest.mark.parametrize(
    "target",
    [
        "/proj/group%2Fname/-/tree", "/x;jsessionid=1", "/x;a=1/y;b=2?c=%26", "/a//b", "/caf%C3%A9?q=%C3%BC+%2B",
        "/long?q=" + "a" * 5_000, "/long?" + "&".join(f"f{n}=%C3%A9" for n in range(500)), "/longest?q=" + "a" * 8_180,
    ],
    ids=lambda target: target[:30],
)  # fmt: skip
def test_whatever_the_gate_admits_comes_back(own: Gateway, upstream: RecordingUpstream, target: str) -> None:
    person = Person(own)
    asked = person.open(target, follow=False).get("location") or ""
    assert parse_qs(urlsplit(asked).query)["next"] == [target]
    assert person.open(asked).status == 200
    person.submit("/login", email=person.email, password=PASSWORD)
    assert [request.target for request in upstream.requests] == [target]


def test_a_target_that_the_gate_refuses_is_refused_before_signing_in(own: Gateway) -> None:
    assert own.exchange(get("/x?q=" + "a" * 8_190, *NAVIGATION)).status == 414
    assert own.exchange(get("/login?next=/" + "a" * 16_000, *NAVIGATION)).status == 414
