"""How long a worker's place stays empty (process.fleet)."""

from __future__ import annotations

from gateway.process.fleet import LONGEST_PAUSE, STEADY_SECONDS, next_pause


def test_a_worker_that_lived_is_replaced_at_once() -> None:
    assert next_pause(LONGEST_PAUSE, STEADY_SECONDS + 0.01) == 0.0


def test_each_worker_that_dies_young_doubles_the_pause_up_to_the_longest() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(next_pause(pauses[-1], STEADY_SECONDS))
    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_PAUSE, LONGEST_PAUSE]
