"""The real gateway records page views: of which requests, for which tenants, and what a crash loses."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.page_views import batches
from gateway.page_views.record import read_views
from gateway.store import Store
from tests.support.gateway import PROXY, Gateway, form, free_port
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.raw import Response, get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

REASON = "We look into a leak"
SECONDS = 120  # a view is written within half a second; machines may be slow
SWITCHED_101 = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
OPENING = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
ALL = """SELECT v.views FROM page_views v JOIN accounts a ON a.id = v.account
          WHERE a.identifier = :email ORDER BY v.at, v.number"""
View = tuple[str, str, int, str]


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    changes = {"LISTEN__WORKERS": "1", "TOKENS__ON": "true"}
    folder = tmp_path_factory.mktemp("views")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(scope="module")
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    return enrol_owner(own, mailbox, source="127.0.5.17")[0]


@pytest.fixture(scope="module")
def on(own: Gateway) -> Gateway:
    done = own.cli("page-views", "on", "acme", "--reason", REASON, "--confirm")
    assert "the page views of acme are recorded, and kept for 30 days" in done.stdout
    return own


async def move_batches(own: Gateway) -> None:
    store = Store.open(own.store_url)
    await batches.move(store)
    await store.close()


def views_of(own: Gateway, email: str) -> list[View]:
    asyncio.run(move_batches(own))
    read = [view for row in own.write(ALL, email=email) for view in read_views(row[0])]
    return [(view.method, view.path, view.status, view.address) for view in read]


def recorded(own: Gateway, person: Person, path: str, count: int = 1) -> list[View]:
    """Wait until as many views of a path are in the store, and return them."""
    until = time.monotonic() + SECONDS
    while True:
        found = [view for view in views_of(own, person.email) if view[1] == path]
        if len(found) >= count or time.monotonic() > until:
            return found


def text_of(page: Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.body.decode())))


def signed_in(own: Gateway, who: str, source: str) -> Person:
    person = Person(own, who, source=source)
    person.sign_in(target="/signed-in")
    return person


def test_nothing_is_written_while_it_is_off(own: Gateway) -> None:
    person = signed_in(own, "other", "127.0.5.1")
    assert person.open("/secret").status == 200
    own.cli("page-views", "on", "beta", "--reason", REASON, "--confirm")
    assert person.open("/later").status == 200
    assert recorded(own, person, "/later") == [("GET", "/later", 200, "127.0.5.1")]
    own.cli("page-views", "off", "beta")
    assert person.open("/after").status == 200
    own.cli("page-views", "on", "beta", "--reason", REASON, "--confirm")
    person.open("/last")
    assert recorded(own, person, "/last") != []
    assert [view[1] for view in views_of(own, person.email)] == ["/later", "/last"]
    own.cli("page-views", "off", "beta")


def test_a_request_is_recorded_without_query_and_static_files_not_at_all(
    on: Gateway, recorder: RecordingUpstream
) -> None:
    recorder.answers("/gone", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    person = signed_in(on, "crowd1@acme.example", "127.0.5.2")
    for path in ("/report?salary=1", "/static/app.js", "/a/logo.svg", "/gone"):
        person.open(path)
    person.send("/x.css", {"a": "secret"})
    person.open("/admin")
    assert recorded(on, person, "/admin") == [("GET", "/admin", 403, "127.0.5.2")]
    assert [view[:3] for view in views_of(on, person.email)] == [
        ("GET", "/signed-in", 200),
        ("GET", "/report", 200),
        ("GET", "/gone", 404),
        ("POST", "/x.css", 200),
        ("GET", "/admin", 403),
    ]


def test_tokens_in_the_paths_of_our_own_pages_are_left_out(on: Gateway) -> None:
    person = signed_in(on, "crowd2@acme.example", "127.0.5.3")
    for path in ("/reset-password/abc123", "/invite//abc123", "/%69nvite/abc123", "/me/security"):
        person.open(path, follow=False)
    assert recorded(on, person, "/me/security") == [("GET", "/me/security", 200, "127.0.5.3")]
    paths = [view[1] for view in views_of(on, person.email)]
    assert paths[1:] == ["/reset-password/…", "/invite/…", "/invite/…", "/me/security"]


def test_a_websocket_is_recorded_at_its_opening_and_once(on: Gateway, recorder: RecordingUpstream) -> None:
    def script(talk: Talk, _: Recorded) -> None:
        talk.send(SWITCHED_101 + ACCEPT + b"\r\n\r\n")
        talk.read_more()
        talk.close()

    recorder.scripts["/chat"] = script
    person = signed_in(on, "crowd3@acme.example", "127.0.5.4")
    with on.connect(source=person.source) as connection:
        connection.send(get("/chat", person.cookie_line, person.browser, *OPENING, "Origin: https://app.example.com"))
        connection.read_until(b"\r\n\r\n")
        assert recorded(on, person, "/chat") == [("GET", "/chat", 101, "127.0.5.4")]
        connection.send(b"bye")
        connection.read_to_end()
    person.open("/after")
    recorded(on, person, "/after")
    assert recorded(on, person, "/chat") == [("GET", "/chat", 101, "127.0.5.4")]


def test_a_stream_is_recorded_when_it_begins_and_once(on: Gateway, recorder: RecordingUpstream) -> None:
    def begin(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        talk.read_more()

    recorder.scripts["/stream"] = begin
    person = signed_in(on, "crowd16@acme.example", "127.0.5.21")
    with on.connect(source=person.source) as connection:
        connection.send(get("/stream", person.cookie_line, person.browser))
        connection.read_until(b"data: 1")
        assert recorded(on, person, "/stream") == [("GET", "/stream", 200, "127.0.5.21")]
    person.open("/after")
    recorded(on, person, "/after")
    assert recorded(on, person, "/stream") == [("GET", "/stream", 200, "127.0.5.21")]


def test_a_request_whose_client_leaves_before_the_answer_is_recorded(on: Gateway, recorder: RecordingUpstream) -> None:
    def wait(talk: Talk, _: Recorded) -> None:
        talk.read_more()

    recorder.scripts["/slow"] = wait
    person = signed_in(on, "crowd4@acme.example", "127.0.5.5")
    with on.connect(source=person.source) as connection:
        connection.send(get("/slow", person.cookie_line, person.browser))
        until = time.monotonic() + SECONDS
        while all(request.target != "/slow" for request in recorder.requests) and time.monotonic() < until:
            pass
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset
    assert recorded(on, person, "/slow") == [("GET", "/slow", 499, "127.0.5.5")]


def test_a_form_whose_body_comes_later_is_one_view(on: Gateway) -> None:
    person = signed_in(on, "crowd14@acme.example", "127.0.5.20")
    head, _, body = form("/slow-form", {"a": "b"}, person.cookie_line, person.browser).partition(b"\r\n\r\n")
    with on.connect(source=person.source) as connection:
        connection.send(head + b"\r\n\r\n")
        person.open("/meanwhile")
        connection.send(body)
        assert connection.response() is not None
    person.open("/after")
    recorded(on, person, "/after")
    assert recorded(on, person, "/slow-form") == [("POST", "/slow-form", 200, "127.0.5.20")]


def test_forward_auth_records_the_request_that_it_is_asked_about(on: Gateway) -> None:
    person = signed_in(on, "crowd5@acme.example", "127.0.5.6")

    def ask(path: str) -> int:
        lines = ("X-Forwarded-Method: PUT", f"X-Forwarded-Uri: {path}", "X-Forwarded-Host: app.example.com")
        asked = get("/_gateway/auth", *lines, "X-Forwarded-For: 198.51.100.7", person.cookie_line, person.browser)
        return on.exchange(asked, source=PROXY).status

    assert (ask("/files/1?x=2"), ask("/admin")) == (204, 403)
    assert recorded(on, person, "/admin") == [("PUT", "/admin", 403, "198.51.100.7")]
    assert views_of(on, person.email)[1:] == [
        ("PUT", "/files/1", 0, "198.51.100.7"),
        ("PUT", "/admin", 403, "198.51.100.7"),
    ]


def test_requests_with_an_api_token_are_recorded_under_the_token(on: Gateway) -> None:
    person = signed_in(on, "crowd6@acme.example", "127.0.5.7")
    page = person.send("/me/tokens", {"name": "Calendar", "access": "read", "days": "7"}).body.decode()
    secret = re.search(r"otw_pat_[0-9A-Za-z]{38}", page)
    assert secret is not None
    answer = on.exchange(get("/calendar", f"Authorization: Bearer {secret[0]}"), source="127.0.5.8")
    assert answer.status == 200
    assert recorded(on, person, "/calendar") == [("GET", "/calendar", 200, "127.0.5.8")]
    assert "API token: Calendar" in text_of(person.open("/me/sessions/views"))
    assert secret[0] not in str(on.write("SELECT * FROM page_views"))


def test_people_are_told_and_see_their_own_devices_only(on: Gateway) -> None:
    person = signed_in(on, "crowd7@acme.example", "127.0.5.9")
    person.open("/mine/<script>")
    recorded(on, person, "/mine/<script>")
    told = text_of(person.open("/me/sessions"))
    assert "Your company records which pages you open." in told
    assert REASON in told
    assert "30 days" in told
    (session,) = {row[0] for row in on.write(
        "SELECT s.id FROM sessions s JOIN accounts a ON a.id = s.account WHERE a.identifier = :email",
        email=person.email,
    )}  # fmt: skip
    page = person.open(f"/me/sessions/views?session={session}")
    assert "GET /mine/<script>" in text_of(page)
    assert "<script>" not in page.body.decode().split("<main")[1].split("</main")[0]
    stranger = signed_in(on, "crowd8@acme.example", "127.0.5.10")
    assert "Nothing has been recorded" in text_of(stranger.open(f"/me/sessions/views?session={session}"))
    exported = person.send("/me/sessions/views/export", {})
    rows = list(csv.DictReader(io.StringIO(exported.body.decode())))
    assert {row["session"] for row in rows} == {session}
    assert "/mine/<script>" in [row["path"] for row in rows]


def test_an_administrator_reads_a_persons_views_and_each_look_is_audited(on: Gateway) -> None:
    person, admin = signed_in(on, "crowd9@acme.example", "127.0.5.11"), signed_in(on, "admin", "127.0.5.12")
    person.open("/seen")
    recorded(on, person, "/seen")
    ((account,),) = on.write("SELECT id FROM accounts WHERE identifier = :email", email=person.email)
    link = f"/admin/accounts/views?account={account}"
    assert link in admin.open(f"/admin/accounts/member?account={account}").body.decode()
    page = admin.open(link)
    assert "Chrome on Linux" in text_of(page)
    (session,) = set(re.findall(r"session=(\w+)", page.body.decode()))
    assert "GET /seen" in text_of(admin.open(f"{link}&session={session}"))
    exported = admin.send("/admin/accounts/views/export", {"account": account})
    assert exported.get("content-type") == "text/csv; charset=utf-8"
    assert "/seen" in exported.body.decode()
    events = "SELECT event, actor FROM audit WHERE account = :id AND event LIKE 'page_views%' ORDER BY id"
    assert on.write(events, id=account) == [
        ("page_views_read", "adam@acme.example"),
        ("page_views_read", "adam@acme.example"),
        ("page_views_exported", "adam@acme.example"),
    ]


def test_no_other_tenant_and_no_ordinary_person_reads_them(on: Gateway, owner: Person) -> None:
    person = signed_in(on, "crowd10@acme.example", "127.0.5.13")
    person.open("/inside")
    recorded(on, person, "/inside")
    ((account,),) = on.write("SELECT id FROM accounts WHERE identifier = :email", email=person.email)
    on.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    others = [signed_in(on, "other", "127.0.5.14"), signed_in(on, "crowd11@acme.example", "127.0.5.15"), owner]
    asked = 0
    for other in others:
        for answer in (
            other.open(f"/admin/accounts/views?account={account}"),
            other.send("/admin/accounts/views/export", {"account": account}),
        ):
            assert answer.status in (403, 404), answer.status
            assert "/inside" not in answer.body.decode()
            asked += 1
    assert asked == 6
    assert on.write("SELECT 1 FROM audit WHERE account = :id AND event LIKE 'page_views%'", id=account) == []


def test_an_owners_views_are_read_by_owners_only_since_they_tell_of_other_tenants(on: Gateway, owner: Person) -> None:
    on.write("UPDATE accounts SET tenant = 'otium', role = 'admin' WHERE identifier = 'crowd40@acme.example'")
    on.write("UPDATE tenants SET page_views_since = 1, page_views_reason = 'x' WHERE slug = 'otium'")
    colleague = signed_in(on, "crowd40@acme.example", "127.0.5.40")
    owner.open("/beta/inside")
    recorded(on, owner, "/beta/inside")
    ((account,),) = on.write("SELECT id FROM accounts WHERE identifier = :email", email=owner.email)
    link = f"/admin/accounts/views?account={account}"
    assert link not in colleague.open(f"/admin/accounts/member?account={account}").body.decode()
    assert colleague.open(link).status == 404
    assert colleague.send("/admin/accounts/views/export", {"account": account}).status == 404
    assert owner.open(link).status == 200
    on.write("UPDATE tenants SET page_views_since = NULL, page_views_reason = '' WHERE slug = 'otium'")


def test_the_owner_switches_it_on_with_a_reason_after_being_asked(own: Gateway, owner: Person) -> None:
    assert "/ops/page-views" in owner.open("/ops").body.decode()
    assert owner.send("/ops/page-views", {"do": "on", "tenant": "otium", "reason": " "}).status == 422
    asked = owner.send("/ops/page-views", {"do": "on", "tenant": "otium", "reason": REASON})
    assert "Record page views of otium?" in text_of(asked)
    fields = {"do": "on", "tenant": "otium", "reason": REASON, "confirmed": "yes"}
    assert "Page views are recorded from now on." in text_of(owner.send("/ops/page-views", fields, follow=True))
    assert owner.send("/ops/page-views", fields).status == 422
    owner.open("/platform")
    assert recorded(own, owner, "/platform") != []
    assert owner.send("/ops/page-views", {"do": "off", "tenant": "otium"}).status == 303
    events = own.write(
        "SELECT event, identifier FROM audit WHERE tenant = 'otium' AND event LIKE 'page_views%' ORDER BY id"
    )
    assert events == [("page_views_enabled", "otto@otium.example"), ("page_views_disabled", "otto@otium.example")]
    assert "no longer records which pages you open" in text_of(owner.open("/me/sessions"))


def test_the_shell_exports_and_erasing_a_person_deletes_their_views(on: Gateway) -> None:
    person = signed_in(on, "crowd12@acme.example", "127.0.5.18")
    person.open("/erase-me")
    recorded(on, person, "/erase-me")
    exported = on.cli("page-views", "export", person.email, "--format", "csv").stdout
    assert "/erase-me,200,127.0.5.18" in exported
    assert '"path": "/erase-me"' in on.cli("page-views", "export", person.email).stdout
    listed = on.cli("page-views", "list").stdout
    assert REASON in listed
    assert " of page_views\n" in on.cli("audit", "erase", person.email, "--confirm").stdout
    assert views_of(on, person.email) == []


def test_a_killed_worker_loses_at_most_its_last_second(on: Gateway) -> None:
    """On a machine that is busy with others, twice as long as it took to write a view before."""
    person = signed_in(on, "crowd13@acme.example", "127.0.5.19")
    person.open("/first")
    began = time.monotonic()
    recorded(on, person, "/first")
    last = max(1, 2 * (time.monotonic() - began))
    answered: list[tuple[float, str]] = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:  # until views were written twice, and answers came for more than a second
        path = f"/busy/{len(answered)}"
        assert person.open(path).status == 200
        answered.append((time.monotonic(), path))
        if len(answered) % 50 == 0 and answered[-1][0] - answered[0][0] > last + 1:
            break
    killed = time.monotonic()
    (worker,) = on.workers()
    on.kill_worker(worker)
    kept = {view[1] for view in views_of(on, person.email)}
    safe = [path for at, path in answered if at < killed - last]
    assert len(safe) > 10
    assert [path for path in safe if path not in kept] == []


def test_a_worker_that_stops_writes_the_rest(recorder: RecordingUpstream, tmp_path: Path) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}").seed().start()
    own.cli("page-views", "on", "acme", "--reason", REASON, "--confirm")
    line = own.sign_in("employee")
    for number in range(30):
        own.exchange(get(f"/last/{number}", line))
    assert own.stop() == 0
    paths = [view[1] for view in views_of(own, "erin@acme.example")]
    assert sorted(path for path in paths if path.startswith("/last/")) == sorted(f"/last/{n}" for n in range(30))
