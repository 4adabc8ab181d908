"""Signed-in devices: seen, ended, told about by mail; and never anybody else's."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import select
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.app import chores
from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import COOKIE, HOST, ORIGIN, PASSWORD, PEOPLE, Gateway
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

FIREFOX = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def away(mailbox: Mailbox) -> Iterator[Mailbox]:
    """A mail server that doesn't listen; for the next test it does, however this one ends."""
    mailbox.stop()
    yield mailbox
    mailbox.stop()
    mailbox.start()


def path_of(link: str) -> str:
    assert link.startswith(f"https://{HOST}/"), link
    return link.removeprefix(f"https://{HOST}")


def stream(talk: Talk, _: Recorded) -> None:
    """Answer with a stream that never ends by itself."""
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    while talk.read_more():
        pass
    talk.close()


def sessions_on(page: str) -> list[str]:
    return re.findall(r'name="session" value="(ses_[0-9a-f]+)"', page)


def two_devices(own: Gateway) -> tuple[Person, Person]:
    first = Person(own)
    second = Person(own, source="127.0.0.7", browser=FIREFOX)
    first.sign_in()
    second.sign_in()
    return first, second


def test_every_device_is_listed_with_what_it_is(own: Gateway) -> None:
    first, _ = two_devices(own)
    page = first.open("/me/sessions").body.decode()
    assert page.count('class="panel"') == 2
    assert "Chrome on Linux" in page
    assert "Firefox on Windows" in page
    assert "127.0.0.7" in page
    assert page.count("This device") == 1
    assert len(sessions_on(page)) == 1


def test_one_is_ended_and_no_other(own: Gateway, mailbox: Mailbox) -> None:
    first, second = two_devices(own)
    (wanted,) = sessions_on(first.open("/me/sessions").body.decode())
    done = first.send("/me/sessions/revoke", {"session": wanted})
    assert (done.status, done.get("location")) == (303, "/me/sessions?done=revoked")
    assert not second.is_signed_in
    assert first.is_signed_in
    mailbox.wait_for(first.email, "signed out", said="Firefox on Windows")
    assert "session_revoked" in own.cli("audit", "list").stdout


def test_signing_out_everywhere_else_leaves_this_one(own: Gateway, mailbox: Mailbox) -> None:
    first, second = two_devices(own)
    third = Person(own, source="127.0.0.8")
    third.sign_in()
    first.send("/me/sessions/others", {})
    assert first.is_signed_in
    assert not second.is_signed_in
    assert not third.is_signed_in
    mailbox.wait_for(first.email, "signed out")
    assert "session_revoked_all" in own.cli("audit", "list").stdout


def test_nobody_ends_the_session_of_somebody_else(own: Gateway) -> None:
    first, second = two_devices(own)
    stranger = Person(own, "manager")
    stranger.sign_in()
    for wanted in sessions_on(first.open("/me/sessions").body.decode()):
        assert stranger.send("/me/sessions/revoke", {"session": wanted}).get("location") == "/me/sessions"
    assert first.is_signed_in
    assert second.is_signed_in


def test_a_new_device_is_told_by_mail_with_a_link_that_ends_it_and_no_other(own: Gateway, mailbox: Mailbox) -> None:
    first, second = two_devices(own)
    mail = mailbox.wait_for(first.email, "New sign-in to your account from Firefox on Windows")
    text = text_of(mail)
    assert "127.0.0.7" in text
    assert "UTC" in text
    assert f"{ORIGIN}/me/sessions" in text
    link = path_of(next(link for link in links_in(mail) if "/devices/revoke/" in link))
    anyone = Person(own, source="127.0.0.9")
    assert "Firefox on Windows" in anyone.open(link).body.decode()
    assert own.exchange(get(link, method="HEAD")).status == 200
    assert second.is_signed_in
    assert "Device signed out" in anyone.send(link, {}).body.decode()
    assert not second.is_signed_in
    assert first.is_signed_in
    second.sign_in()
    assert "already" in anyone.send(link, {}).body.decode()
    assert second.is_signed_in


def test_a_new_network_of_a_known_browser_is_told_as_that_and_a_stolen_cookie_elsewhere_as_a_new_device(
    own: Gateway, mailbox: Mailbox
) -> None:
    person = Person(own)
    person.sign_in()
    mailbox.wait_for(person.email, "New sign-in")
    thief = Person(own, source="127.0.0.8", browser=FIREFOX)
    for somebody in (person, thief):
        somebody.cookies = {name: value for name, value in person.cookies.items() if "browser" in name}
    assert len(person.cookies) == 1
    person.source = "127.0.0.7"
    person.sign_in()
    mail = mailbox.wait_for(person.email, "Sign-in to your account from a new network")
    assert "127.0.0.7" in text_of(mail)
    assert "with a browser that you have used before" in text_of(mail)
    link = path_of(next(link for link in links_in(mail) if "/devices/revoke/" in link))
    thief.sign_in()
    assert "on a new device" in text_of(mailbox.wait_for(person.email, "New sign-in to your account from Firefox"))
    assert "Device signed out" in thief.send(link, {}).body.decode()
    assert not person.is_signed_in
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        told = [json.loads(row[0]) for row in connection.execute("SELECT details FROM audit WHERE event = 'login'")]
    assert [[name for name in details if name.startswith("new_")] for details in told] == [
        ["new_device"], ["new_network"], ["new_device"],
    ]  # fmt: skip


def test_the_same_device_again_is_not_told(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    mailbox.wait_for(person.email, "New sign-in")
    newer = Person(own, browser=person.browser.replace("142", "143"))
    newer.sign_in()
    assert newer.is_signed_in
    Person(own, source="127.0.0.7").sign_in()
    mailbox.wait_for(person.email, "New sign-in", 2)
    assert len(mailbox.to(person.email, "New sign-in")) == 2


@pytest.mark.parametrize("token", ["a", "a" * 43, "InNlc18xIg.Zzzzzz.AAAA", "%00", "..%2f..%2fx"])
def test_a_made_up_link_ends_nothing(own: Gateway, token: str) -> None:
    person = Person(own)
    person.sign_in()
    assert own.exchange(get(f"/devices/revoke/{token}", "Accept: text/html")).status in (400, 410, 401, 303)
    assert own.post(f"/devices/revoke/{token}", {}).status in (400, 410, 401, 303)
    assert person.is_signed_in


def test_a_device_name_is_text_and_not_markup(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, browser="User-Agent: <svg/onload=alert(1)>")
    person.sign_in()
    page = person.open("/me/sessions").body.decode()
    assert "<svg" not in page.partition("<main")[2]
    mail = mailbox.wait_for(person.email, "New sign-in")
    html = mail.get_body(("html",))
    assert html is not None
    assert "<svg" not in str(html.get_content())


def test_an_admin_signs_a_member_out_and_nobody_of_another_tenant(own: Gateway) -> None:
    member, admin, other = Person(own), Person(own, "admin", source="127.0.0.3"), Person(own, "other")
    for person in (member, admin, other):
        person.sign_in()
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        known = dict(connection.execute("SELECT identifier, id FROM accounts"))
    page = admin.open(f"/admin/accounts/member?account={known[member.email]}").body.decode()
    assert f"/admin/accounts/sign-out?account={known[member.email]}" in page
    assert admin.open(f"/admin/accounts/member?account={known[other.email]}").status == 404
    admin.open(f"/admin/accounts/sign-out?account={known[member.email]}")
    admin.submit("/admin/accounts/sign-out")
    assert not member.is_signed_in
    for who in ("other", "owner"):
        wanted = known[PEOPLE[who][0]]
        assert admin.send("/admin/accounts/sign-out", {"account": wanted}).status == 404
    assert other.is_signed_in


def test_the_shell_ends_a_whole_tenant(own: Gateway) -> None:
    member, other = Person(own), Person(own, "other")
    member.sign_in()
    other.sign_in()
    assert own.cli("session", "revoke", "--tenant", "acme", "--confirm").returncode == 0
    assert not member.is_signed_in
    assert other.is_signed_in
    assert own.cli("session", "revoke", "--tenant", "acme", "--email", member.email).returncode == 1


def test_what_is_open_is_judged_again_every_second() -> None:
    """So it ends soon after what allowed it; the tests below wait for that, on a machine that may do other things."""
    assert chores.SWEEP_SECONDS <= 1


def test_a_role_that_changed_ends_what_is_open(own: Gateway, upstream: RecordingUpstream) -> None:
    """The path is open to both roles; but the application was told another one when the socket opened."""
    upstream.scripts["/ws"] = accept
    person = Person(own)
    person.sign_in()
    with open_socket(own, person.cookie_line) as connection:
        assert connection.response() is not None
        assert connection.read_exactly(5) == b"hello"
        assert own.cli("account", "set-role", person.email, "manager").returncode == 0
        assert connection.read_to_end() == b"\x88\x02\x03\xf0"
    assert person.is_signed_in


@pytest.mark.parametrize("way", ["idle", "absolute"])
def test_a_session_that_expires_ends_what_is_open(
    recorder: RecordingUpstream, upstream: RecordingUpstream, tmp_path: Path, way: str
) -> None:
    """A socket that only listens is no use of the session; and the absolute limit holds however much it is used."""
    upstream.scripts["/ws"], upstream.scripts["/stream"] = accept, stream
    absolute = "900" if way == "idle" else "10"  # seconds
    changes = {
        "SESSIONS__MEMBERS__IDLE_SECONDS": "10",
        "SESSIONS__MEMBERS__ABSOLUTE_SECONDS": absolute,
        "LISTEN__WORKERS": "1",  # the clock of another may be a tick behind, and a request before it is a use
    }
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    try:
        person = Person(own)
        person.sign_in()
        with open_socket(own, person.cookie_line) as socket, own.connect() as connection:
            connection.send(get("/stream", person.cookie_line))
            assert connection.read_until(b"hi\r\n").endswith(b"hi\r\n")
            assert socket.response() is not None
            assert socket.read_exactly(5) == b"hello"
            while not select.select([socket.sock], [], [], 0.3)[0]:
                if way == "absolute":
                    person.open("/x", follow=False)
            assert socket.read_to_end() == b"\x88\x02\x03\xf0"
            assert connection.read_to_end() == b"0\r\n\r\n"  # a whole answer: the page is not told of an error
        assert not person.is_signed_in
    finally:
        assert own.stop() == 0


@pytest.mark.parametrize("way", ["signed out", "another password", "revoked by a link in a mail"])
def test_whatever_ends_a_session_ends_what_it_has_open(
    own: Gateway, mailbox: Mailbox, upstream: RecordingUpstream, way: str
) -> None:
    upstream.scripts["/ws"], upstream.scripts["/stream"] = accept, stream
    person = Person(own)
    person.sign_in()
    with open_socket(own, person.cookie_line) as socket, own.connect() as connection:
        connection.send(get("/stream", person.cookie_line))
        assert connection.read_until(b"hi\r\n").endswith(b"hi\r\n")
        assert socket.response() is not None
        assert socket.read_exactly(5) == b"hello"
        match way:
            case "signed out":
                person.send("/logout", {})
            case "another password":
                new = "an entirely other password"
                done = own.cli("account", "set-password", person.email, "--password-stdin", stdin=f"{new}\n")
                assert done.returncode == 0, done.stderr
            case _:
                told = links_in(mailbox.wait_for(person.email, "New sign-in"))
                Person(own, source="127.0.0.9").send(path_of(next(link for link in told if "/revoke/" in link)), {})
        assert socket.read_to_end() == b"\x88\x02\x03\xf0"
        assert connection.read_to_end() == b""
    assert not person.is_signed_in


def test_a_thousand_revocations_under_load_leave_no_stale_answer(own: Gateway, away: Mailbox) -> None:
    """The cookies are made in the store, so that a thousand need no thousand hashes. The mails are not what this is about."""
    path = own.store_url.removeprefix("sqlite:///")
    now = int(time.time())
    tokens = [base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=") for _ in range(1_000)]
    with sqlite3.connect(path) as connection:
        account = connection.execute(
            "SELECT id FROM accounts WHERE identifier = ?", (PEOPLE["employee"][0],)
        ).fetchone()[0]
        connection.executemany(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, '127.0.0.1', 'x', ?, ?, NULL)",
            [
                (f"ses_{n:020x}", hashlib.sha256(token.encode()).digest(), account, f'[["password",{now}]]', now, now)
                for n, token in enumerate(tokens)
            ],
        )
    person = Person(own)
    person.sign_in()
    stop, turns = threading.Event(), (threading.Semaphore(0), threading.Semaphore(0))

    def load(turn: threading.Semaphore) -> int:
        """Send a request beside each revocation."""
        count = 0
        with own.connect() as connection:
            while turn.acquire() and not stop.is_set():
                connection.send(get("/load", person.cookie_line))
                response = connection.response()
                assert response is not None
                assert response.status == 200
                count += 1
        return count

    def revoke(chunk: range) -> int:
        stale = 0
        with own.connect() as mine, own.connect() as theirs:
            for n in chunk:
                line = f"Cookie: {COOKIE}={tokens[n]}"
                theirs.send(get("/x", line))
                assert (theirs.response() or pytest.fail("no answer")).status == 200
                body = f"session=ses_{n:020x}".encode()
                head = "\r\n".join(
                    ["POST /me/sessions/revoke HTTP/1.1", f"Host: {HOST}", f"Origin: {ORIGIN}", person.cookie_line,
                     "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", "", ""]
                )  # fmt: skip
                for turn in turns:
                    turn.release()
                mine.send(head.encode() + body)
                answer = mine.response()
                assert answer is not None
                assert answer.get("location") == "/me/sessions?done=revoked"
                theirs.send(get("/x", line))
                after = theirs.response()
                assert after is not None
                stale += after.status == 200
        return stale

    with ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(load, turn) for turn in turns]
        try:
            stale = sum(pool.map(revoke, [range(n, n + 250) for n in range(0, 1_000, 250)]))
        finally:
            stop.set()
            for turn in turns:
                turn.release()
        assert all(future.result() > 0 for future in loads)
    assert stale == 0


def test_killed_workers_and_a_mail_server_that_is_away_lose_no_mail_and_no_row(own: Gateway, away: Mailbox) -> None:
    """Twenty times a worker is killed while people sign in from ever new addresses and mails are being sent."""
    accepted: list[str] = []
    for turn in range(20):
        if turn == 10:
            away.start()
        victims = own.workers()
        sources = [f"127.0.{turn + 1}.{n}" for n in range(1, 5)]

        def sign_in(source: str) -> str:
            try:
                answer = own.post(
                    "/login", {"email": PEOPLE["employee"][0], "password": PASSWORD, "next": "/"}, source=source
                )
            except (AssertionError, OSError):
                return ""
            return source if any(value.startswith(COOKIE + "=") for value in answer.all("set-cookie")) else ""

        with ThreadPoolExecutor(4) as pool:
            results = [pool.submit(sign_in, source) for source in sources]
            own.kill_worker(victims[turn % len(victims)])
            accepted += [source for source in (result.result() for result in results) if source]
        until = time.monotonic() + 120
        while len(own.workers()) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert len(accepted) > 20
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        rows = [row[0] for row in connection.execute("SELECT address FROM audit WHERE event = 'login'")]
        opened = [row[0] for row in connection.execute("SELECT address FROM sessions")]
        connection.execute("UPDATE outbox SET due_at = 0 WHERE sent_at IS NULL")  # do not wait for leases to end
    assert sorted(rows) == sorted(opened)
    assert set(accepted) <= set(rows)
    until = time.monotonic() + 240
    told: dict[str, set[str]] = {}
    while len(told) < len(opened):
        assert time.monotonic() < until, (len(told), len(opened))
        told = {}
        for mail in away.to(PEOPLE["employee"][0], "New sign-in"):
            address = re.search(r"127\.0\.\d+\.\d+", text_of(mail))
            assert address
            told.setdefault(address[0], set()).add(str(mail["Message-ID"]))
        time.sleep(0.1)
    assert set(told) == set(opened)
    assert all(len(ids) == 1 for ids in told.values())  # sent twice after a crash, it is still the same mail
