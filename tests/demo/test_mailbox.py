"""The mail catcher as a process of its own: mails go in over SMTP and are looked at over HTTP."""

from __future__ import annotations

import json
import smtplib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest

from gateway.demo.mailbox import KEPT, MAX_MAIL_BYTES, SANDBOX
from tests.support.gateway import free_port
from tests.support.raw import Response, exchange, get
from tests.support.servers import Server

SVG = "<svg onload=alert(1)>"


@dataclass(frozen=True, slots=True)
class Catcher:
    smtp_port: int
    web_port: int

    def send(self, *contents: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=120) as smtp:
            for content in contents:
                smtp.sendmail("from@otium.example", ["to@acme.example"], content)

    def ask(self, path: str) -> Response:
        response = exchange(self.web_port, get(path))
        assert response is not None
        return response

    def mails(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask("/api/messages").body)
        return found

    def shown(self) -> str:
        """Return the page of the latest mail."""
        response = self.ask(f"/mail/{self.mails()[0]['number']}")
        assert response.status == 200, response.body
        return response.body.decode()


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catcher]:
    found = Catcher(free_port(), free_port())
    command = [
        sys.executable, "-m", "gateway.demo.mailbox",
        "--smtp-port", str(found.smtp_port), "--web-port", str(found.web_port),
    ]  # fmt: skip
    server = Server(tmp_path_factory.mktemp("mail"), "mailbox", command, found.web_port)
    yield found
    server.stop()


def compose(subject: str, text: str, document: str = "") -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "OtiumWork <from@otium.example>"
    message["Message-ID"] = "<one@otium.example>"
    message.set_content(text)
    if document:
        message.add_alternative(document, subtype="html")
    return message.as_bytes()


def test_a_mail_is_listed_and_shown_with_everything_in_it(catcher: Catcher) -> None:
    catcher.send(compose("Grüße", "Plain wörds", "<p>Rich words</p>"))
    mail = catcher.mails()[0]
    assert mail["subject"] == "Grüße"
    assert (mail["from"], mail["to"]) == ("from@otium.example", ["to@acme.example"])
    assert mail["message_id"] == "<one@otium.example>"
    assert (mail["text"].strip(), mail["html"].strip()) == ("Plain wörds", "<p>Rich words</p>")
    assert f'<a href="/mail/{mail["number"]}">Grüße</a>' in catcher.ask("/").body.decode()
    shown = catcher.shown()
    assert "<th>From</th><td>OtiumWork &lt;from@otium.example&gt;</td>" in shown
    assert "Plain wörds" in shown


def test_links_of_both_parts_can_be_followed_once_each(catcher: Catcher) -> None:
    text = "Open https://app.example/login/link/abc?x=1&y=2. Or (http://localhost:8000/b)!"
    document = (
        '<a href="https://app.example/login/link/abc?x=1&amp;y=2">Sign in</a> <A HREF=" http://c.example/ ">C</A>'
        '<a href="javascript:alert(1)">No</a> <a href>No</a>'
    )
    catcher.send(compose("Links", text, document))
    assert catcher.mails()[0]["links"] == [
        "https://app.example/login/link/abc?x=1&y=2",
        "http://localhost:8000/b",
        "http://c.example/",
    ]
    assert '<a href="https://app.example/login/link/abc?x=1&amp;y=2">' in catcher.shown()
    assert 'href="javascript:' not in catcher.shown()


def test_what_a_mail_says_is_never_part_of_the_inbox_itself(catcher: Catcher) -> None:
    hostile = (
        f"Subject: {SVG}\r\nFrom: {SVG} <a@b.example>\r\nX-{SVG}: {SVG}\r\n\r\n{SVG}\r\nhttps://x.example/?{SVG}\"'"
    )
    catcher.send(hostile.encode())
    assert catcher.mails()[0]["subject"] == SVG
    for text in (catcher.ask("/").body.decode(), catcher.shown()):
        assert "<svg" not in text
        assert "&lt;svg onload" in text


def test_the_html_part_is_shown_where_it_can_do_nothing(catcher: Catcher) -> None:
    catcher.send(compose("Active", "text", f"{SVG}<script>top.location='https://evil.example'</script>"))
    number = catcher.mails()[0]["number"]
    assert f'<iframe sandbox="{SANDBOX}" src="/mail/{number}/html"' in catcher.shown()
    assert "<script" not in catcher.shown()
    policy = catcher.ask(f"/mail/{number}/html").get("content-security-policy") or ""
    assert [part.strip() for part in policy.split(";")][:2] == [f"sandbox {SANDBOX}", "default-src 'none'"]
    assert not {"allow-scripts", "allow-forms", "allow-same-origin", "allow-top-navigation"} & set(SANDBOX.split())


def test_a_link_of_the_html_part_opens_in_a_tab_of_its_own(catcher: Catcher) -> None:
    catcher.send(
        compose("Button", "text", '<html><head></head><body><a href="https://app.example/">Go</a></body></html>')
    )
    shown = catcher.ask(f"/mail/{catcher.mails()[0]['number']}/html").body
    assert b'<head><base target="_blank">' in shown


MALFORMED = [
    b"Message-ID: <>\r\n\r\nhello",
    b'From: "\r\nTo: <a@[\r\n\r\nhello',
    b"From: =?utf-8?q?=0d=0aX:1?=\r\n\r\nhello",
    b"Subject: \xff\xfe\r\n\r\nhello",
    b"Content-Type: text/plain; charset=nope\r\n\r\nhello",
    b'Content-Type: text/html; charset="utf-8\r\n\r\nhello',
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\nhello",
    b"Content-Type: text/html\r\n\r\n<![hello<a href='http://[x'>",
    b"hello",
    b"",
]


@pytest.mark.parametrize("content", MALFORMED)
def test_a_malformed_mail_is_shown_and_hides_no_other(catcher: Catcher, content: bytes) -> None:
    catcher.send(compose("Before", "text"), content)
    assert catcher.mails()[1]["subject"] == "Before"
    assert catcher.ask("/").status == 200
    assert catcher.shown()
    assert catcher.ask(f"/mail/{catcher.mails()[0]['number']}/html").status == 200


def test_text_in_an_unknown_charset_is_still_readable(catcher: Catcher) -> None:
    catcher.send(b"Content-Type: text/plain; charset=nope\r\n\r\nyour code is 123456")
    assert "your code is 123456" in catcher.shown()


def test_memory_is_bounded(catcher: Catcher) -> None:
    with pytest.raises(smtplib.SMTPException):
        catcher.send(b"Subject: Large\r\n\r\n" + b"large\r\n" * (MAX_MAIL_BYTES // 7 + 1))
    catcher.send(*[compose(f"Number {number}", "text") for number in range(KEPT + 5)])
    subjects = [mail["subject"] for mail in catcher.mails()]
    assert subjects == [f"Number {number}" for number in range(KEPT + 4, 4, -1)]


@pytest.mark.parametrize("path", ["/mail/999999", "/mail/0", "/mail/x", "/mail/%C2%B2", "/mail/999999/html"])
def test_a_mail_that_is_not_there_is_not_found(catcher: Catcher, path: str) -> None:
    assert catcher.ask(path).status == 404
