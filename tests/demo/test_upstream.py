"""The stand-in application under gunicorn, asked directly: it believes its headers, as OtiumWork does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import aiohttp
import pytest

from gateway.demo.upstream import DESKTOP_TOKEN, REPORT
from tests.support.raw import Connection, Response, exchange, get
from tests.support.servers import application

ERIN = ("Remote-Email: erin@acme.example", "Remote-Name: Erin%20Zo%C3%AB", "X-Otium-Role: employee")
PAGES = ["/", "/help", "/timesheets", "/live", "/chat", "/team", "/company", "/platform", "/whoami"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of the socket that the application listens on."""
    server, address = application(tmp_path_factory.mktemp("app"))
    yield address.removeprefix("unix:")
    server.stop()


def ask(app: str, path: str, *lines: str, method: str = "GET", body: bytes = b"") -> Response:
    more = [*lines, f"Content-Length: {len(body)}"] if body else lines
    response = exchange(app, get(path, *more, method=method) + body)
    assert response is not None
    return response


@pytest.mark.parametrize("path", PAGES)
def test_a_page_greets_who_is_signed_in_and_lets_them_out(app: str, path: str) -> None:
    response = ask(app, path, *ERIN)
    assert response.status == 200
    assert '<span id="name">Erin Zoë</span>' in response.body.decode()
    assert 'href="/logout"' in response.body.decode()
    assert "Erin" not in ask(app, path).body.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_works_under_a_strict_content_security_policy(app: str, path: str) -> None:
    text = ask(app, path, *ERIN).body.decode()
    assert re.findall(r"<script(?! src=\"/static/)|<style|\sstyle=|\son[a-z]+=|href=\"javascript:", text) == []
    for address in re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", text):
        assert ask(app, address).status == 200


def test_a_name_is_text_and_not_markup(app: str) -> None:
    text = ask(app, "/whoami", "Remote-Name: %3Csvg%20onload=x%3E", "Remote-Email: <svg onload=x>").body.decode()
    assert "<svg" not in text
    assert "&lt;svg onload=x&gt;" in text


def test_an_upload_arrives_whole(app: str) -> None:
    content = bytes(range(256)) * 4_000
    fields = b'--x\r\nContent-Disposition: form-data; name="project"\r\n\r\nAcme <rollout>\r\n'
    file = (
        b'--x\r\nContent-Disposition: form-data; name="receipt"; filename="a.bin"\r\n\r\n' + content + b"\r\n--x--\r\n"
    )
    response = ask(
        app, "/timesheets", "Content-Type: multipart/form-data; boundary=x", method="POST", body=fields + file
    )
    text = response.body.decode()
    assert f'<span id="size">{len(content)}</span>' in text
    assert hashlib.sha256(content).hexdigest() in text
    assert "a.bin" in text
    assert "Acme &lt;rollout&gt;" in text


def test_the_app_counts_visits_in_a_cookie_of_its_own(app: str) -> None:
    first = ask(app, "/timesheets")
    cookie = (first.get("set-cookie") or "").partition(";")[0]
    assert "opened this page 1 times" in first.body.decode()
    assert "opened this page 2 times" in ask(app, "/timesheets", f"Cookie: {cookie}").body.decode()


def test_a_download_has_ranges_and_is_not_sent_twice(app: str) -> None:
    whole = ask(app, "/timesheets/report.csv")
    assert whole.body.decode() == REPORT
    assert "attachment" in (whole.get("content-disposition") or "")
    part = ask(app, "/timesheets/report.csv", "Range: bytes=5-11")
    assert (part.status, part.body) == (206, whole.body[5:12])
    assert ask(app, "/timesheets/report.csv", f"If-None-Match: {whole.get('etag')}").status == 304


@pytest.mark.parametrize(("size", "length"), [("0", 0), ("65537", 65_537), ("-5", 0), ("x", 1_000_000)])
def test_a_generated_download_is_as_long_as_it_says(app: str, size: str, length: int) -> None:
    response = ask(app, f"/timesheets/archive.bin?size={size}")
    assert response.get("content-length") == str(length)
    assert (len(response.body), response.is_complete) == (length, True)


def test_events_come_one_by_one_with_who_receives_them(app: str) -> None:
    with Connection(app) as connection:
        connection.send(get("/live/stream", *ERIN))
        head = connection.read_until(b"\r\n\r\n")
        assert b"text/event-stream" in head
        for number in range(2):
            event = connection.read_until(b"\n\n").rpartition(b"data: ")[2]
            assert json.loads(event) == {"tick": number, "who": "erin@acme.example"}


async def test_the_chat_answers_with_who_says_it(app: str) -> None:
    headers = {"Remote-Email": "erin@acme.example"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(app)) as client,
        client.ws_connect("http://app.example.com/chat/socket", headers=headers) as socket,
    ):
        assert await socket.receive_str(timeout=120) == "Hello erin@acme.example"
        await socket.send_str("good morning")
        assert await socket.receive_str(timeout=120) == "erin@acme.example: good morning"


def test_every_header_about_the_person_is_shown_and_a_doubled_one_is_seen(app: str) -> None:
    lines = [
        "Remote-User: a",
        "Remote-User: b",
        "X-Otium-Role: admin",
        "X-Forwarded-For: 192.0.2.1",
        "Accept-Language: en",
    ]
    told = json.loads(ask(app, "/whoami.json", *lines).body)
    assert sorted(map(tuple, told)) == [
        ("Remote-User", "a,b"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Otium-Role", "admin"),
    ]
    assert json.loads(ask(app, "/whoami", "Accept: application/json", *lines).body) == told
    text = ask(app, "/whoami", "Accept: text/html,*/*;q=0.8", *lines).body.decode()
    assert re.search(r"<th scope=\"row\">Remote-User</th>\s*<td>a,b</td>", text)


@pytest.mark.parametrize(
    ("token", "status"),
    [(f"Bearer {DESKTOP_TOKEN}", 200), ("Bearer wrong", 401), ("Bearer wröng", 401), (DESKTOP_TOKEN, 401)],
)
def test_the_desktop_client_needs_the_apps_own_token(app: str, token: str, status: int) -> None:
    assert ask(app, "/api/desktop/status", f"Authorization: {token}").status == status
    assert ask(app, "/api/desktop/status", *ERIN).status == 401


def test_a_payment_is_received_by_post_only(app: str) -> None:
    assert json.loads(ask(app, "/webhooks/payment", method="POST", body=b"paid!").body) == {"received": 5}
    assert ask(app, "/webhooks/payment").status == 405


def test_robots_and_static_files_are_there_and_nothing_beside_them(app: str) -> None:
    assert b"Disallow: /" in ask(app, "/robots.txt").body
    assert ask(app, "/static/app.css").get("content-type") == "text/css; charset=utf-8"
    assert ask(app, "/static/../upstream.py").status == 404
    assert ask(app, "/static/%2e%2e/upstream.py").status == 404
