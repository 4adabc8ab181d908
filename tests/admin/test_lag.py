"""The lateness of an event loop shows in the numbers, and whether its own work is the reason."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.observe.board import Board
from gateway.observe.families import LAG_BOUNDS, NANO, PLACES
from gateway.observe.lag import (
    BUSY_SECONDS,
    IDLE_SAMPLE_SECONDS,
    LATE_SECONDS,
    SAMPLE_SECONDS,
    WORK_SECONDS,
    LoopLag,
    Pace,
)
from gateway.observe.tally import Tally

HOLD = 0.2


def work(until: float) -> None:
    """Hold the loop with work, until its thread has used so much of the processor."""
    while time.thread_time() < until:
        pass


async def numbers_after(hold: bool, waits: bool) -> list[int]:
    board = Board()
    tally = Tally(board).resume(board.lease())
    lag = LoopLag(tally)
    lag.start()
    if hold:
        work(time.thread_time() + HOLD)
    if waits:
        time.sleep(HOLD)  # as if the machine had given the core to another process
    looked = tally.numbers[PLACES[("loop_lag_seconds",)] :]
    first = sum(looked[: len(LAG_BOUNDS) + 1])
    while sum(tally.numbers[PLACES[("loop_lag_seconds",)] :][: len(LAG_BOUNDS) + 1]) == first:
        await asyncio.sleep(0)
    lag.stop()
    return tally.numbers


def total(numbers: list[int], name: str) -> float:
    return numbers[PLACES[(name,)] + len(LAG_BOUNDS) + 1] / NANO


def test_a_loop_that_works_too_long_is_late_and_held() -> None:
    numbers = asyncio.run(numbers_after(hold=True, waits=False))
    assert total(numbers, "loop_lag_seconds") > HOLD - 0.02
    assert total(numbers, "loop_held_seconds") > HOLD - 0.02
    assert numbers[PLACES[("loop_lag_max_seconds",)]] > (HOLD - 0.02) * NANO


def test_a_loop_that_waits_for_the_machine_is_late_and_not_held() -> None:
    numbers = asyncio.run(numbers_after(hold=False, waits=True))
    assert total(numbers, "loop_lag_seconds") > HOLD - 0.02
    assert total(numbers, "loop_held_seconds") < HOLD / 2


@pytest.mark.parametrize(
    ("used", "late", "pause"),
    [
        (WORK_SECONDS, 0.0, IDLE_SAMPLE_SECONDS),
        (2 * WORK_SECONDS, 0.0, SAMPLE_SECONDS),
        (0.0, LATE_SECONDS, IDLE_SAMPLE_SECONDS),
        (0.0, 2 * LATE_SECONDS, SAMPLE_SECONDS),
    ],
)
def test_an_idle_loop_is_sampled_less_often_until_it_works_or_is_late(used: float, late: float, pause: float) -> None:
    pace = Pace(0.0)
    assert pace.choose_pause(BUSY_SECONDS / 2, 0.0, 0.0) == SAMPLE_SECONDS
    assert pace.choose_pause(BUSY_SECONDS, used, late) == pause
    assert pace.choose_pause(BUSY_SECONDS * 2, 0.0, 0.0) == IDLE_SAMPLE_SECONDS
