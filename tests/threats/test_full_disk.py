"""The disk of the store is full: nothing is accepted without its row, who is signed in goes on, and it heals by itself."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import PASSWORD, Gateway
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

SIZE = "4m"
CHUNK = bytes(4096)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of our own."""
    assert os.geteuid() == 0, "mounting needs root: run the tests as root, as in a container"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest.fixture
def own(recorder: RecordingUpstream, disk: Path, tmp_path: Path) -> Iterator[Gateway]:
    url = f"sqlite:///{disk / 'gateway.db'}"
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", store_url=url).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    file = disk / "full"
    with file.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(CHUNK)
    assert os.statvfs(disk).f_bavail == 0
    return file


def wait_until(is_so: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def post_sign_in(own: Gateway, number: int) -> int:
    fields = {"email": f"crowd{number % 50}@acme.example", "password": PASSWORD, "next": "/"}
    return own.post("/login", fields, source=f"127.9.{number // 250}.{number % 250 + 1}").status


def rows_of(own: Gateway, query: str) -> list[tuple[object, ...]]:
    path = own.store_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return sorted(connection.execute(query).fetchall())


def test_a_full_disk_takes_nothing_unwritten_and_heals_by_itself(own: Gateway, disk: Path) -> None:
    person, other = Person(own), Person(own, "manager")
    person.sign_in()
    other.sign_in()
    filler = fill(disk)
    # The WAL may have some room left in itself: sign in until it has not.
    accepted = 0
    for number in range(2_000):
        status = post_sign_in(own, number)
        if status == 503:
            break
        assert status in (303, 429)
        accepted += status == 303
    assert status == 503

    # Nothing more is accepted, and who is signed in goes on.
    before = rows_of(own, "SELECT id FROM sessions")
    for number in range(3_000, 3_020):
        assert post_sign_in(own, number) == 503
        assert own.exchange(get("/x", person.cookie_line)).status == 200
    refused = person.send("/me/sessions/others", {})
    assert refused.status in (303, 503)  # nobody else is signed in as this person, so there may be nothing to write
    assert other.send("/logout", {}).status == 503
    assert other.is_signed_in  # not told otherwise
    assert own.cli("session", "revoke", "--email", person.email).returncode == 1
    assert person.is_signed_in
    assert rows_of(own, "SELECT id FROM sessions") == before
    assert own.ask_admin("/alive").status == 200
    assert (ready := own.ask_admin("/ready")).status == 503
    assert json.loads(ready.body)["store"].startswith(f"the disk is full: {disk}")
    assert len(before) == accepted + 2

    # The disk has room again, and nobody restarts anything.
    filler.unlink()
    wait_until(lambda: post_sign_in(own, 4_000) == 303)
    assert own.cli("session", "revoke", "--email", person.email).returncode == 0
    assert not person.is_signed_in
    assert other.send("/logout", {}).status == 303
    assert not other.is_signed_in
    assert rows_of(own, "SELECT session FROM audit WHERE event = 'login'") == rows_of(own, "SELECT id FROM sessions")
    assert rows_of(own, "PRAGMA integrity_check") == [("ok",)]
    assert json.loads(own.ask_admin("/ready").body)["ready"] is True
    assert "Traceback" not in own.logged()
    assert '"worker_died"' not in own.logged()
