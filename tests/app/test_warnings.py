"""A gateway that runs sends the mails that are due before something expires. Its hourly jobs are hurried here."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.clock import DAY
from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream

HURRIED = """
from gateway.app import chores
chores.PURGE_SECONDS = 0.2
from gateway.__main__ import main
main()
"""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


def test_tokens_that_expire_soon_are_mailed_while_the_gateway_runs(
    recorder: RecordingUpstream, mailbox: Mailbox, tmp_path: Path
) -> None:
    changes = {"TOKENS__ON": "true", "SSO__ON": "true"}
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed()
    made, until = int(time.time()) - 80 * DAY, int(time.time()) + 6 * DAY
    own.write(
        "INSERT INTO api_tokens (id, account, digest, kind, name, role, methods, paths, networks, created_at,"
        " expires_at, used_at) SELECT 'tok_1', id, :digest, 'pat', 'Calendar', 'employee', '', '', '', :made,"
        " :until, :made FROM accounts WHERE identifier = 'erin@acme.example'",
        digest=b"d" * 32, made=made, until=until,
    )  # fmt: skip
    own.write(
        "INSERT INTO scim_tokens (id, tenant, key, hint, created_at, created_by, expires_at, used_at)"
        " VALUES ('sct_1', 'acme', :key, 'otw_scim_abcd', :made, 'adam@acme.example', :until, :made)",
        key=b"k" * 32, made=made, until=until,
    )  # fmt: skip
    own.program = [sys.executable, "-c", HURRIED]
    own.start()
    to_erin = mailbox.wait_for("erin@acme.example", "expires soon")
    to_adam = mailbox.wait_for("adam@acme.example", "expires soon")
    assert own.stop() == 0, own.logged()[-3000:]
    assert "Traceback" not in own.logged()
    assert (to_erin["Subject"], to_adam["Subject"]) == (
        "Your API token expires soon",
        "A provisioning token expires soon",
    )
    assert [mail["Subject"] for mail in mailbox.mails].count("Your API token expires soon") == 1
