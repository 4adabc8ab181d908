"""Threads of the lowest priority get their share of a core, whatever the event loop has to do."""

from __future__ import annotations

import pytest

from gateway.throttle.core_share import LONGEST_PAUSE, CoreShare


def run(share: CoreShare, seconds: float, step: float, left: float) -> tuple[float, float]:
    """Let a loop of `step` seconds of work go round. Of each pause the threads get `left`, the rest goes to others.

    Returns the time at the end, and what the threads got, in seconds.
    """
    now = used = 0.0
    while now < seconds:
        now += step
        pause = share.pause(now, used)
        now += pause
        used += left * pause
    return now, used


@pytest.mark.parametrize("step", [0.0001, 0.001, 0.002])
def test_threads_get_their_share_of_a_full_core(step: float) -> None:
    now, used = run(CoreShare(0.25, 0.0, 0.0), 10, step, left=1.0)
    assert used / now == pytest.approx(0.25, abs=0.01)


def test_a_loop_with_long_steps_never_pauses_for_long() -> None:
    share = CoreShare(0.25, 0.0, 0.0)
    assert share.pause(60.0, 0.0) == LONGEST_PAUSE
    assert share.pause(60.0, 0.0) == LONGEST_PAUSE  # and owes no more than that afterwards
    assert share.pause(60.0, LONGEST_PAUSE) == 0


def test_the_loop_does_not_pause_for_threads_that_run_elsewhere() -> None:
    share = CoreShare(0.25, 0.0, 0.0)
    assert [share.pause(at / 1_000, 0.9 * at / 1_000) for at in range(1, 100)] == [0] * 99
    assert share.pause(0.103, 0.9 * 0.099) == pytest.approx(0.001)  # from the moment when they get nothing any more


def test_a_core_that_other_processes_fill_costs_the_loop_no_more_than_the_share() -> None:
    share = CoreShare(0.25, 0.0, 0.0)
    pauses = [share.pause(at * 0.004, 0.0) for at in range(1, 1_000)]
    assert sum(pauses) <= 0.25 * 4
