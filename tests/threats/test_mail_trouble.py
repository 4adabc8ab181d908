"""Mail servers that do not take the mail, now or ever; and what people are told meanwhile."""

from __future__ import annotations

import html
import re
import shlex
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import PEOPLE, Gateway
from tests.support.owner import path_of
from tests.support.person import Person, key_on
from tests.support.smtp import SMTPServer
from tests.support.upstream import RecordingUpstream

OWNER = PEOPLE["owner"][0]
LINK = re.compile(r"https://[^\s<>\"]+/login/link/[\w-]+")


@pytest.fixture(scope="module")
def server() -> Iterator[SMTPServer]:
    running = SMTPServer().start()
    yield running
    running.stop()


@pytest.fixture
def own(recorder: RecordingUpstream, server: SMTPServer, tmp_path: Path) -> Iterator[Gateway]:
    server.received.clear()
    server.refusals.clear()
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", mail_port=server.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def store(own: Gateway, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        return connection.execute(statement).fetchall()


def test_a_link_that_is_put_off_is_tried_again_and_the_page_says_so(own: Gateway, server: SMTPServer) -> None:
    server.refusals[OWNER] = "450 4.2.0 Greylisted, try again later"
    owner = Person(own, "owner")
    page = owner.give_password("/platform").body.decode()
    assert "couldn’t send the email yet" in page
    assert "more minutes" in page
    ((tries, due),) = store(own, "SELECT tries, due_at - created_at FROM outbox")
    assert (tries, 30 <= due <= 60) == (1, True)  # type: ignore[operator]
    assert "couldn’t send the email yet" in owner.open("/login/link?next=/platform").body.decode()
    server.refusals.clear()
    with server.arrival():
        store(own, "UPDATE outbox SET due_at = 0")
    until = time.monotonic() + 120
    while "Open it in this browser" not in owner.open("/login/link?next=/platform").body.decode():
        assert time.monotonic() < until
    link = LINK.search(server.received[0].message.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert link
    assert key_on(owner.send(path_of(link[0]), {}, follow=True))


def test_a_link_that_is_refused_for_good_is_not_tried_again(own: Gateway, server: SMTPServer) -> None:
    server.refusals[OWNER] = "550 5.1.1 No such mailbox"
    page = Person(own, "owner").give_password("/platform").body.decode()
    assert "couldn’t send the email" in page
    assert "We’ll keep trying" not in page
    assert store(own, "SELECT abandoned_at IS NOT NULL FROM outbox") == [(1,)]


def test_asking_for_another_link_takes_back_the_mail_that_waits(own: Gateway, server: SMTPServer) -> None:
    server.refusals[OWNER] = "451 Later"
    owner = Person(own, "owner")
    owner.give_password("/platform")
    owner.submit("/login/link", resend="1")
    assert store(own, "SELECT count(*) FROM outbox WHERE template = 'sign_in_link'") == [(1,)]


def test_the_command_on_the_page_works_when_it_is_pasted(own: Gateway, server: SMTPServer) -> None:
    server.refusals[OWNER] = "550 No"
    owner = Person(own, "owner")
    page = owner.give_password("/platform").body.decode()
    program, *arguments = shlex.split(html.unescape(page.partition('class="command"><code>')[2].partition("<")[0]))
    assert program == "otium-gateway"
    made = own.cli(*arguments)
    assert made.returncode == 0, made.stderr
    link = LINK.search(made.stdout)
    assert link
    assert key_on(owner.send(path_of(link[0]), {}, follow=True))
