"""Booting: a new Python that loads what it needs, and ends by itself. All other tests fork (tests.support.forks)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ANEW, Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream


@pytest.fixture
def own(upstream: RecordingUpstream, store_url: str, tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=store_url)
    gateway.program = ANEW
    yield gateway
    assert gateway.stop() == 0, gateway.logged()[-3000:]


def test_a_boot_serves_signs_in_and_ends(own: Gateway) -> None:
    own.seed().start()
    assert own.exchange(get("/x", own.sign_in())).status == 200


def test_a_boot_makes_the_store_that_is_not_there(upstream: RecordingUpstream, empty_url: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=empty_url)
    gateway.program = ANEW
    gateway.start()
    assert gateway.exchange(get("/public")).status == 200
    assert gateway.stop() == 0


def test_a_boot_is_followed_by_a_reload(own: Gateway) -> None:
    own.seed().start().reload('{ path = "/exact" }', '{ path = "/other" }')
    assert own.exchange(get("/other")).status == 200


COMMANDS = [
    ["account", "list"],
    ["tenant", "list"],
    ["session", "list"],
    ["audit", "verify"],
    ["block", "list"],
    ["mail", "status"],
    ["config", "nginx"],
    ["check-config"],
    ["explain", "GET", "/", "--as", "erin@acme.example"],
    ["migrate", "--dry-run"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_boots_and_ends(tmp_path: Path, command: list[str]) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    gateway.program = ANEW
    result = gateway.cli(*command)
    assert result.returncode == 0, result.stderr
    assert result.stdout
