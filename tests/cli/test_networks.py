"""Network rules in the shell: what is shown, set and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.gateway import Gateway

ERIN, OTTO = "erin@acme.example", "otto@otium.example"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """A store with people; nothing runs."""
    folder: Path = tmp_path_factory.mktemp("networks")
    return Gateway(folder, "127.0.0.1:1").seed()


@pytest.fixture(autouse=True)
def empty(shell: Gateway) -> None:
    for table in ("tenants", "accounts"):
        shell.write(f"UPDATE {table} SET networks = ''")


def done(shell: Gateway, *arguments: str) -> str:
    result = shell.cli("networks", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


FAILURES = [
    (["show"], "say either --tenant or --account"),
    (["show", "--tenant", "acme", "--account", ERIN], "say either --tenant or --account"),
    (["clear", "--confirm"], "say either --tenant or --account"),
    (["show", "--tenant", "acmee"], "no tenant acmee"),
    (["clear", "--account", "erinn@acme.example"], "no account with the email erinn@acme.example"),
    (["exempt", "erinn@acme.example"], "no account with the email erinn@acme.example"),
    (["set", "office", "--tenant", "acme"], "This isn’t an IP address or a network: office"),
    (["set", "10.0.0.1 until 2999-01-01", "--account", ERIN], "At least one line must have no “until”"),
    (["set", "10.0.0.1", "10.0.0.2 until 2020-01-01", "--account", ERIN], "This date is past"),
    (["set", "10.0.0.1", "--account", ERIN, "--role", "admin"], "--role goes with --tenant"),
    (["set", "10.0.0.1", "--tenant", "acme", "--role", "boss"], "employee, manager, admin"),
]


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_what_can_t_be_done_is_one_line(shell: Gateway, arguments: list[str], said: str) -> None:
    result = shell.cli("networks", *arguments)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert shell.write("SELECT slug FROM tenants WHERE networks <> ''") == []


def test_lists_are_set_shown_and_cleared(shell: Gateway) -> None:
    asked = done(shell, "set", "10.0.0.0/8 Office", "10.9.0.1 VPN until 2999-12-31", "--tenant", "acme")
    assert asked.startswith("would set the networks of acme, which refuses 0 sessions of 0 people from now on")
    assert done(shell, "show", "--tenant", "acme") == "none"
    done(shell, "set", "10.0.0.0/8 Office", "10.9.0.1 VPN until 2999-12-31", "--tenant", "acme", "--confirm")
    done(shell, "set", "::ffff:192.0.2.1", "--tenant", "acme", "--role", "admin", "--confirm")
    assert json.loads(done(shell, "show", "--tenant", "acme", "--json")) == [
        {"list": "everyone", "network": "10.0.0.0/8", "name": "Office", "until": "always"},
        {"list": "everyone", "network": "10.9.0.1/32", "name": "VPN", "until": "2999-12-31"},
        {"list": "admin", "network": "192.0.2.1/32", "name": "", "until": "always"},
    ]
    assert done(shell, "show", "--tenant", "beta") == "none"
    assert done(shell, "clear", "--tenant", "acme", "--confirm") == "the networks of acme are changed"
    assert done(shell, "clear", "--tenant", "acme", "--confirm") == "the networks of acme were so already"
    assert done(shell, "show", "--tenant", "acme") == "none"


def test_an_accounts_lists_are_cleared_and_it_stays_exempt(shell: Gateway) -> None:
    shell.write("UPDATE accounts SET networks = '10.0.0.1 Mine' WHERE identifier = :who", who=ERIN)
    done(shell, "set", "192.0.2.0/24", "--account", ERIN)
    done(shell, "exempt", ERIN)
    assert [row["list"] for row in json.loads(done(shell, "show", "--account", ERIN, "--json"))] == [
        "their own", "administrator", "exempt from the tenant's",
    ]  # fmt: skip
    done(shell, "clear", "--account", ERIN)
    assert shell.write("SELECT networks FROM accounts WHERE identifier = :who", who=ERIN) == [("[exempt]",)]
    done(shell, "exempt", ERIN, "--end")
    assert shell.write("SELECT networks FROM accounts WHERE identifier = :who", who=ERIN) == [("",)]


def test_it_is_audited_and_mailed(shell: Gateway) -> None:
    done(shell, "set", "10.0.0.0/8 Office", "--tenant", "beta", "--confirm")
    done(shell, "set", "10.0.0.1", "--account", OTTO)
    rows = shell.write("SELECT tenant, outcome, details, personal FROM audit WHERE event = 'networks_changed'")
    told = [row for row in rows if row[0] in ("beta", "otium")]
    assert [row[:2] for row in told] == [("beta", "success"), ("otium", "success")]
    assert "10.0.0.0/8 Office" in str(told[0])
    assert shell.write(
        "SELECT recipient FROM outbox WHERE template = 'networks_changed' AND recipient = :who", who=OTTO
    )


def test_explain_says_that_there_is_a_list_and_which_refuses(shell: Gateway) -> None:
    done(shell, "set", "10.0.0.0/8", "--tenant", "acme", "--confirm")
    without = shell.cli("explain", "GET", "/x", "--as", ERIN).stdout
    assert "forwarded with identity" in without
    assert "say from which with --address" in without
    assert "forwarded with identity" in shell.cli("explain", "GET", "/x", "--as", ERIN, "--address", "10.1.1.1").stdout
    refused = shell.cli("explain", "GET", "/x", "--as", ERIN, "--address", "::ffff:192.0.2.1").stdout
    assert "refused with 403" in refused
    assert "is in none of the networks of the tenant, for everyone" in refused
    wrong = shell.cli("explain", "GET", "/x", "--as", ERIN, "--address", "here")
    assert (wrong.returncode, "'here' is no IP address" in wrong.stderr) == (1, True)
