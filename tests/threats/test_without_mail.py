"""A site without a mail server: what needs mail says so, and nothing is tried without end."""

from __future__ import annotations

import html
import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.owner import path_of
from tests.support.person import Person, key_on
from tests.support.upstream import RecordingUpstream

CHANGES = {"MAIL__HOST": "", "SIGNUP__MODE": "open", "SIGNUP__TENANT": "acme", "ADMIN__READY_OUTBOX_SECONDS": "1"}


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("without-mail")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=CHANGES).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.mark.parametrize("path", ["/forgot-password", "/signup"])
def test_pages_that_need_mail_say_what_to_do_instead(own: Gateway, path: str) -> None:
    person = Person(own)
    page = person.open(path)
    assert (page.status, "no mail server" in page.body.decode()) == (200, True)
    fields = {"email": person.email, "name": "N", "password": "seven green kettles on a raft"}
    assert person.send(path, fields).status == 503


def test_an_admin_is_told_that_nobody_can_be_invited(own: Gateway) -> None:
    admin = Person(own, "admin")
    admin.sign_in()
    for path in ("/admin/accounts/invite", "/admin/accounts/import"):
        assert "no mail server" in admin.open(path).body.decode()


def test_an_email_that_can_not_be_confirmed_is_not_asked_for(own: Gateway) -> None:
    person = Person(own, "manager", source="127.0.0.10")
    person.sign_in()
    page = person.open("/me/email")
    assert (page.status, "no mail server" in page.body.decode()) == (200, True)
    assert person.send("/me/email", {"email": "other@acme.example"}).status == 503


def test_nothing_is_kept_of_a_change_that_an_admin_asks_for(own: Gateway) -> None:
    admin, person = Person(own, "admin"), Person(own, "manager")
    admin.sign_in()
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        query = "SELECT id FROM accounts WHERE identifier = ?"
        (account,) = connection.execute(query, (person.email,)).fetchone()
        admin.send("/admin/accounts/member", {"account": account, "do": "saved", "email": "other@acme.example"})
        assert connection.execute("SELECT count(*) FROM email_changes").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_an_owner_goes_on_with_the_link_from_the_shell(own: Gateway) -> None:
    owner = Person(own, "owner")
    page = owner.give_password("/platform").body.decode()
    assert "no mail server" in page
    _, *arguments = shlex.split(html.unescape(page.partition('class="command"><code>')[2].partition("<")[0]))
    made = own.cli(*arguments)
    assert made.returncode == 0, made.stderr
    link = path_of(re.findall(r"https://\S+", made.stdout)[0])
    assert key_on(owner.send(link, {}, follow=True))


def test_nothing_waits_to_be_sent(own: Gateway) -> None:
    person = Person(own, "manager", source="127.0.0.9")
    person.sign_in()
    assert person.is_signed_in
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM magic_links WHERE used_at IS NULL").fetchone() == (0,)


def test_it_is_ready_and_says_that_there_is_no_mail(own: Gateway) -> None:
    answer = own.ask_admin("/ready")
    assert answer.status == 200
    assert "no mail server" in json.loads(answer.body)["mail"]


def test_check_config_says_what_does_not_work(own: Gateway) -> None:
    said = own.cli("check-config")
    assert said.returncode == 0, said.stderr
    advice = [line for line in said.stdout.splitlines() if line.startswith("advice: ")]
    assert {"mail.host", "signup.mode"} <= {line.split(": ")[1] for line in advice}
    assert "no mail server" in own.cli("mail", "test", "a@acme.example").stderr
    assert "no mail server" in own.cli("mail", "status").stdout
