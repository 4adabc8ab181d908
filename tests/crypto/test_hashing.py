"""Hashing steps back for everything else, and yet nobody waits for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from gateway.crypto.hashing import SMALL_SHARE, Hasher, Verdict
from gateway.model.secret import Secret

PASSWORD, WRONG = Secret("correct horse battery staple"), Secret("nearly the right one")


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    made = Hasher(method="pbkdf2:sha256:1000", threads=1, queue=1, least_patience=0.01)
    yield made
    made.close()


@pytest.fixture
def starved(hasher: Hasher) -> Iterator[Hasher]:
    """A hasher whose idle thread does not get to its work, as on a machine that others keep busy."""
    go_on = threading.Event()
    hasher._threads.submit(go_on.wait)
    yield hasher
    go_on.set()


async def test_a_sign_in_does_not_wait_for_an_idle_thread_for_ever(starved: Hasher) -> None:
    stored = await starved.hash(PASSWORD)
    assert stored is not None
    assert await starved.verify(PASSWORD, stored) is Verdict.RIGHT
    assert await starved.verify(WRONG, stored) is Verdict.WRONG
    assert await starved.verify(WRONG, None) is Verdict.WRONG


def test_one_thread_takes_what_is_left_and_the_other_a_small_share(hasher: Hasher) -> None:
    def policy() -> tuple[int, int]:
        thread = threading.get_native_id()
        return os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)

    assert hasher._threads.submit(policy).result()[0] == os.SCHED_IDLE
    assert hasher._steady_thread.submit(policy).result() == (os.SCHED_OTHER, SMALL_SHARE)
