"""A hundred times a worker is killed while people sign in, end sessions and change factors.

What is in the audit log happened, and what happened is in the audit log: neither without the other.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream

KILLS = 100
WORKERS = 4
ALIVE_SECONDS = 0.27  # between two kills: each worker lives for a second, and is replaced at once


@pytest.fixture
def own(recorder: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    changes = {"LISTEN__WORKERS": str(WORKERS)}
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


class Accepted:
    """What somebody was told had been done."""

    def __init__(self) -> None:
        self.signed_in: list[str] = []  # addresses
        self.revoked = 0
        self.enrolled: list[str] = []  # emails
        self.reset: list[str] = []


def keep_doing(stop: threading.Event, turns: Callable[[int], None]) -> None:
    for turn in itertools.count():
        if stop.is_set():
            return
        with contextlib.suppress(OSError, AssertionError):  # a worker was killed under it
            turns(turn)


@pytest.mark.timeout(300)
def test_no_action_without_its_row_and_no_row_without_its_action(own: Gateway) -> None:
    accepted, stop = Accepted(), threading.Event()

    def sign_in(turn: int) -> None:
        person = Person(own, f"crowd{turn % 20}@acme.example", source=f"127.1.{turn // 250}.{turn % 250 + 1}")
        person.send("/login", {"email": person.email, "password": "correct horse battery staple", "next": "/"})
        if person.cookies:
            accepted.signed_in.append(person.source)

    def revoke(turn: int) -> None:
        one, other = (Person(own, "manager", source=f"127.{n}.{turn // 250}.{turn % 250 + 1}") for n in (2, 3))
        for person in (one, other):
            person.send("/login", {"email": person.email, "password": "correct horse battery staple", "next": "/"})
        done = one.send("/me/sessions/others", {})
        accepted.revoked += (done.get("location") or "").startswith("/me/sessions?done=")

    def enrol(turn: int) -> None:
        person = Person(own, f"crowd{20 + turn % 30}@acme.example", source=f"127.4.{turn // 250}.{turn % 250 + 1}")
        person.sign_in()
        person.enrol()
        accepted.enrolled.append(person.email)

    threads = [threading.Thread(target=keep_doing, args=(stop, what), daemon=True) for what in (sign_in, revoke, enrol)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for _ in range(KILLS):
        victims = own.workers()
        own.kill_worker(victims[0])  # the oldest: children are listed in the order of their birth
        while len(own.workers()) < WORKERS:
            assert time.monotonic() - began < 250, own.logged().count('"worker_died"')
            time.sleep(0.01)
        stop.wait(ALIVE_SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    assert own.logged().count('"worker_died"') >= KILLS

    with contextlib.closing(sqlite3.connect(own.store_url.removeprefix("sqlite:///"))) as store:

        def all_of(query: str) -> list[str]:
            return sorted(row[0] for row in store.execute(query))

        assert len(accepted.signed_in) > 20
        assert accepted.revoked > 3
        assert len(accepted.enrolled) > 3
        # Signing in: a session for each row, a row for each session; and what was accepted is there.
        assert all_of("SELECT session FROM audit WHERE event = 'login'") == all_of("SELECT id FROM sessions")
        rows = set(all_of("SELECT address FROM audit WHERE event = 'login'"))
        assert set(accepted.signed_in) <= rows
        # Ending the others: as many as the rows say, of nobody else.
        manager = "(SELECT id FROM accounts WHERE identifier = 'mara@acme.example')"
        told = all_of("SELECT details FROM audit WHERE event = 'session_revoked_all'")
        assert len(told) >= accepted.revoked
        ended = all_of(f"SELECT id FROM sessions WHERE ended_at IS NOT NULL AND account = {manager}")
        assert sum(
            int(row.partition('"sessions_ended": ')[2].partition("}")[0].partition(",")[0]) for row in told
        ) == len(ended)
        # Setting TOTP up: a secret, eight codes and a row, or none of them.
        enabled = set(all_of("SELECT account FROM audit WHERE event = '2fa_enabled'"))
        assert enabled == set(all_of("SELECT account FROM totp WHERE secret IS NOT NULL"))
        assert enabled == set(all_of("SELECT DISTINCT account FROM backup_codes"))
        emails = set(all_of("SELECT identifier FROM audit WHERE event = '2fa_enabled'"))
        assert set(accepted.enrolled) <= emails
        assert store.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
