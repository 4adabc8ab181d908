"""`otium-gateway mail`, as an operator uses it."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from gateway.app.nouns import MAILS
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail import outbox as rows
from gateway.mail.outbox import Outbox
from gateway.model.secret import Secret
from gateway.store import Store
from tests.mail.conftest import make_composer
from tests.support.gateway import SECRET, Gateway, free_port
from tests.support.smtp import SMTPServer


@pytest.fixture
def shell(tmp_path: Path, server: SMTPServer) -> Gateway:
    changes = {"MAIL__PORT": str(server.port), "MAIL__SECURITY": "none"}
    return Gateway(tmp_path, "127.0.0.1:1", changes=changes).seed()


def abandon_one(url: str) -> None:
    """Post three mails, of which one is given up."""

    async def work() -> None:
        outbox = Outbox(make_composer(), Sealer((Secret(base64.b64decode(SECRET)),)), Readers())
        store = Store.open(url)
        async with store.transaction() as tx:
            for _ in range(3):
                await outbox.post(tx, "test", "erin@acme.example", account=None, now=1_800_000_000)
            mail, *_ = await rows.claim(tx, 1_800_000_000, 1, 1)
            await rows.mark_failed(tx, mail, "550 no", is_permanent=True, now=1_800_000_000)
        await store.close()

    asyncio.run(work())


def test_a_test_mail_is_sent_and_the_servers_answer_told(shell: Gateway, server: SMTPServer) -> None:
    result = shell.cli("mail", "test", "Erin@acme.example")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"127.0.0.1:{server.port} accepted the email: Taken\n"
    assert server.received[0].recipients == ["erin@acme.example"]


def test_a_test_mail_that_is_refused_says_why_in_one_line(shell: Gateway, server: SMTPServer) -> None:
    server.refusals["erin@acme.example"] = "550 No such person"
    result = shell.cli("mail", "test", "erin@acme.example")
    assert result.returncode == 1
    assert result.stderr == f"otium-gateway: 127.0.0.1:{server.port}: 550 No such person\n"
    shell.environ["GATEWAY_MAIL__PORT"] = str(free_port())
    assert "Connect call failed" in shell.cli("mail", "test", "erin@acme.example").stderr
    assert "Enter a valid email address" in shell.cli("mail", "test", "erin").stderr


def test_what_waits_and_what_was_given_up_is_told_and_sent_again(shell: Gateway) -> None:
    abandon_one(shell.store_url)
    assert "2 queued, the oldest for" in (told := shell.cli("mail", "status").stdout)
    assert told.endswith("; 0 sent; 1 failed\n")
    status = json.loads(shell.cli("mail", "status", "--json").stdout)
    assert (status["waiting"], status["sent"], status["abandoned"]) == (2, 0, 1)
    assert shell.cli("mail", "retry").stdout.splitlines() == [
        "would queue 1 failed email again, also those of people whose links have expired",
        "nothing changed; add --confirm to apply",
    ]
    assert shell.cli("mail", "retry", "--confirm").stdout == "emails queued again: 1\n"
    assert json.loads(shell.cli("mail", "status", "--json").stdout)["waiting"] == 3


def test_a_mail_can_be_looked_at_in_text_and_html(shell: Gateway) -> None:
    text = shell.cli("mail", "preview", "new_device").stdout
    assert text.startswith("Subject: New sign-in to your account from Chrome on Windows\n\nHello Erin Zoë,\n")
    assert shell.cli("mail", "preview", "new_device", "--html").stdout.startswith("<!doctype html>")


def test_a_mail_that_is_none_is_answered_with_those_that_are(shell: Gateway) -> None:
    result = shell.cli("mail", "preview", "../login")
    assert result.returncode == 1
    assert all(name in result.stderr for name in MAILS)
