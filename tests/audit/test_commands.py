"""`otium-gateway audit`: what it says, what it changes, how it fails."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.gateway import Gateway


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with people and some rows, which is only ever copied."""
    shell = Gateway(tmp_path_factory.mktemp("filled"), "127.0.0.1:1").seed()
    for command in ("disable", "enable"):
        assert shell.cli("account", command, "erin@acme.example").returncode == 0
    assert shell.cli("account", "set-role", "mara@acme.example", "employee").returncode == 0
    return file_of(shell)


@pytest.fixture
def shell(filled: Path, tmp_path: Path) -> Gateway:
    """Nothing runs."""
    shell = Gateway(tmp_path, "127.0.0.1:1", changes={"AUDIT__CHECKPOINT_FILE": str(tmp_path / "checkpoints")})
    file_of(shell).parent.mkdir(mode=0o700)
    shutil.copy(filled, file_of(shell))
    return shell


def file_of(shell: Gateway) -> Path:
    return Path(shell.store_url.removeprefix("sqlite:///"))


def meddle(shell: Gateway, statement: str) -> None:
    connection = sqlite3.connect(file_of(shell))
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_whole_log_is_verified(shell: Gateway) -> None:
    result = shell.cli("audit", "verify")
    assert result.returncode == 0
    assert result.stdout.startswith("OK: 3 entries verified, 1 to 3 (")
    assert result.stderr == ""
    assert json.loads(shell.cli("audit", "verify", "--json").stdout)["whole"] is True


def test_the_first_bad_row_is_named_and_the_exit_code_is_1(shell: Gateway) -> None:
    meddle(shell, "UPDATE audit SET outcome = 'failure' WHERE id = 2")
    result = shell.cli("audit", "verify")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "otium-gateway: audit log verification failed: row 2 was changed\n"
    told = json.loads(shell.cli("audit", "verify", "--json").stdout)
    assert told == {"whole": False, "row": 2, "what": "row 2 was changed"}


def test_a_cut_tail_shows_by_the_checkpoints_in_a_file(shell: Gateway, tmp_path: Path) -> None:
    line = shell.cli("audit", "checkpoint").stdout
    file = tmp_path / "checkpoints"
    assert file.read_text() == line
    assert json.loads(line)["number"] == 3
    assert shell.cli("audit", "verify", "--checkpoint", str(file)).returncode == 0
    meddle(shell, "DELETE FROM audit WHERE id = 3")
    meddle(shell, "DELETE FROM audit_marks")
    meddle(shell, "UPDATE audit_head SET number = 2, hash = (SELECT hash FROM audit WHERE id = 2)")
    assert shell.cli("audit", "verify").returncode == 0
    result = shell.cli("audit", "verify", "--checkpoint", str(file))
    assert result.returncode == 1
    assert "row 3 is missing" in result.stderr


def test_a_file_without_checkpoints_is_said_to_have_none(shell: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "other"
    for text, said in (("nothing", "there is no checkpoint in"), ("{}", "a line that is no checkpoint")):
        file.write_text(text)
        result = shell.cli("audit", "verify", "--checkpoint", str(file))
        assert result.returncode == 1
        assert said in result.stderr


def test_a_file_that_can_not_be_written_is_said_and_the_store_has_the_checkpoint(shell: Gateway) -> None:
    shell.environ["GATEWAY_AUDIT__CHECKPOINT_FILE"] = "/nowhere/checkpoints"
    result = shell.cli("audit", "checkpoint")
    assert result.returncode == 1
    assert "not in /nowhere/checkpoints: No such file" in result.stderr
    assert "1 checkpoint checked" in shell.cli("audit", "verify").stdout


def test_the_public_key_is_shown(shell: Gateway) -> None:
    assert shell.cli("audit", "checkpoint", "--key").stdout.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_the_log_is_exported_and_that_is_in_the_log(shell: Gateway) -> None:
    lines = [json.loads(line) for line in shell.cli("audit", "export").stdout.splitlines()]
    assert [line["event"] for line in lines] == [
        "audit_exported", "account_role_changed", "account_enabled", "account_disabled",
    ]  # fmt: skip
    assert lines[-1]["email"] == "erin@acme.example"
    table = list(
        csv.DictReader(shell.cli("audit", "export", "--format", "csv", "--tenant", "acme").stdout.splitlines())
    )
    assert [row["event"] for row in table] == [  # and the tenant sees that it was taken out
        "audit_exported", "account_role_changed", "account_enabled", "account_disabled",
    ]  # fmt: skip
    assert shell.cli("audit", "export", "--format", "xml").returncode == 1


def test_a_person_is_erased_only_when_that_is_confirmed(shell: Gateway) -> None:
    assert "nothing changed; add --confirm" in shell.cli("audit", "erase", "Erin@acme.example").stdout
    assert "erin@" in shell.cli("audit", "list").stdout
    result = shell.cli("audit", "erase", "Erin@acme.example", "--confirm")
    assert result.stdout == "erased: 2 rows about the person, and the name in 0 rows about others\n"
    assert "erin@" not in shell.cli("audit", "export").stdout
    assert "mara@" in shell.cli("audit", "list").stdout
    assert "personal data erased 2 times" in shell.cli("audit", "verify").stdout


def test_rotating_the_secret_signs_the_checkpoints_anew(shell: Gateway) -> None:
    assert shell.cli("audit", "checkpoint").returncode == 0
    old = shell.environ["GATEWAY_SECRET"]
    new = base64.b64encode(os.urandom(48)).decode()
    shell.environ["GATEWAY_SECRET"] = f"{new}\n{old}"
    assert "1 checkpoints of the audit log re-signed" in shell.cli("keys", "rotate", "--confirm").stdout
    shell.environ["GATEWAY_SECRET"] = new
    assert shell.cli("audit", "verify").returncode == 0


def test_a_network_is_blocked_and_let_in_again_from_the_shell(shell: Gateway) -> None:
    assert (
        "203.0.113.0/24 is blocked for 2 hours"
        in shell.cli("block", "add", "203.0.113.9/24", "--hours", "2", "--confirm").stdout
    )
    (block,) = json.loads(shell.cli("block", "list", "--json").stdout)
    assert block["network"] == "203.0.113.0/24"
    assert shell.cli("block", "remove", "203.0.113.0/24").returncode == 0
    assert shell.cli("block", "list").stdout == "none\n"
    assert "is not blocked" in shell.cli("block", "remove", "203.0.113.0/24").stderr
    assert "larger than /16" in shell.cli("block", "add", "10.0.0.0/8").stderr
    events = [row["event"] for row in json.loads(shell.cli("audit", "list", "--json").stdout)]
    assert events[:2] == ["address_unblocked", "address_blocked"]
