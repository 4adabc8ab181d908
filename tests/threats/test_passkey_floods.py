"""Floods of answers that are no passkey's: an address sends a limited number, and then costs the store nothing."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.throttle.address_limit import REMEMBERED_SECONDS
from tests.support.authenticator import Authenticator
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream
from tests.threats.test_passkeys import Holder, events_of

ONE_WORKER = {"LISTEN__WORKERS": "1", "LIMITS__CODE_FAILURES": "1"}  # so ten failures of an address


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("floods")
    address = f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, address, mail_port=mailbox.port, changes=ONE_WORKER).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture
def person(own: Gateway) -> Holder:
    return Holder(own).add()


def stranger_to(person: Holder) -> Holder:
    stranger = person.elsewhere()
    stranger.authenticator = Authenticator(credential=b"stranger" * 4)
    return stranger


@contextlib.contextmanager
def nobody_writing(own: Gateway) -> Iterator[None]:
    """Keep the only writer's turn until the block ends."""
    path = own.folder / "store" / "gateway.db"
    with contextlib.closing(sqlite3.connect(path, timeout=120, isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        yield
        store.execute("ROLLBACK")


def rows_of(own: Gateway, address: str) -> list[tuple[str, str]]:
    found = own.write("SELECT event, details FROM audit WHERE address = :address ORDER BY id", address=address)
    return [(event, details) for event, details in found]


def test_an_address_sends_ten_wrong_answers_and_then_waits(own: Gateway, person: Holder) -> None:
    stranger = stranger_to(person)
    assert [stranger.enter().status for _ in range(10)] == [422] * 10
    stranger.authenticator = person.authenticator
    answer = stranger.enter()
    assert answer.status == 429
    assert 0 < int(answer.get("retry-after")) <= 900
    assert "Try again in 15 minutes, or sign in with your password." in answer.body.decode()
    assert [event for event, _ in rows_of(own, stranger.source)].count("login_lockout") == 1
    assert person.enter().get("location") == "/probe"


def test_the_person_may_still_give_the_password_from_there(person: Holder) -> None:
    stranger = stranger_to(person)
    assert [stranger.enter().status for _ in range(11)][-1] == 429
    stranger.authenticator = person.authenticator
    stranger.give_password()
    assert stranger.prove().get("location") == "/probe"


def test_what_succeeds_does_not_count(person: Holder) -> None:
    for _ in range(12):
        assert person.enter().get("location") == "/probe"
        person.cookies.clear()


def test_answers_that_no_browser_sends_are_counted_and_audited_a_few_times(own: Gateway, person: Holder) -> None:
    stranger = stranger_to(person)
    statuses = []
    for _ in range(30):
        asked = stranger.ask("/login/passkey/first-options")
        fields = {"challenge": asked["challenge"], "answer": '{"type":"public-key"}'}
        statuses.append(stranger.send("/login/passkey/first", fields).status)
    assert statuses == [422] * 10 + [429] * 20
    told = [details for event, details in rows_of(own, stranger.source) if event == "login_failed"]
    assert len(told) in (11, 12)  # a minute may end meanwhile
    assert all("malformed" in details for details in told[:10])
    assert all("locked" in details for details in told[10:])


def test_a_flood_from_a_locked_address_does_not_wait_for_the_store(own: Gateway, person: Holder) -> None:
    stranger = stranger_to(person)
    assert [stranger.enter().status for _ in range(10)] == [422] * 10
    asked = stranger.ask("/login/passkey/first-options")
    for _ in range(5):  # a busy machine may take so long that the worker has to look again
        learned = time.monotonic()
        assert stranger.enter(asked=asked).status == 429
        before = len(rows_of(own, stranger.source))
        with nobody_writing(own):  # whoever would wait for a turn waits for ten seconds, and gets a 503
            statuses = {stranger.enter(asked=asked).status for _ in range(10)}
        if time.monotonic() < learned + REMEMBERED_SECONDS - 1:
            break
        time.sleep(REMEMBERED_SECONDS)
    else:
        pytest.fail("ten refusals from memory never came within the time for which it holds")
    assert statuses == {429}
    assert len(rows_of(own, stranger.source)) == before
    assert "login_lockout" not in events_of(own, person)


def test_what_has_no_challenge_of_ours_does_not_wait_for_the_store_either(own: Gateway, person: Holder) -> None:
    stranger = stranger_to(person)
    asked = {**stranger.ask("/login/passkey/first-options"), "challenge": "00" * 60}
    with nobody_writing(own):
        assert {stranger.enter(asked=asked).status for _ in range(30)} == {422}
