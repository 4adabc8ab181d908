"""The numbers of all workers: added up, never lost with a worker, never going backwards."""

from __future__ import annotations

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.model.factor import Factor
from gateway.observe.board import HEAD, IS_TAKEN, REGION, REGIONS, Board, Ended
from gateway.observe.exposition import write
from gateway.observe.families import COUNT, FAMILIES, GATE_BOUNDS, PLACES, Kind, Result
from gateway.observe.figures import Figures
from gateway.observe.tally import Tally
from gateway.observe.traffic import outcome_of
from gateway.wire.failures import Failure

FIGURES = Figures(members=7, owners=1, waiting=2, abandoned=3, oldest_seconds=40)


def shown(board: Board, figures: Figures | None = FIGURES) -> dict[tuple[str, ...], float]:
    """Return what /metrics says: the value by name and labels."""
    found = {}
    for family in text_string_to_metric_families(write(board.totals(), figures).decode()):
        for sample in family.samples:
            found[(sample.name.removeprefix("otium_gateway_"), *sample.labels.values())] = sample.value
    return found


def test_workers_are_added_up_and_what_is_open_counts_only_while_they_live() -> None:
    board = Board()
    one, two = (Tally(board).resume(board.lease()) for _ in range(2))
    for tally in (one, two):
        tally.numbers[PLACES["requests", "forwarded"]] += 5
        tally.set(3, "connections")
        tally.write(10.0)
    assert shown(board)["requests_total", "forwarded"] == 10
    assert shown(board)[("connections",)] == 6
    board.release(1)
    assert shown(board)["requests_total", "forwarded"] == 10
    assert shown(board)[("connections",)] == 3
    assert shown(board)[("workers",)] == 1


def test_who_comes_after_a_worker_that_died_counts_on() -> None:
    board = Board()
    region = board.lease()
    first = Tally(board).resume(region)
    first.count_sign_in(Factor.PASSWORD, Result.WRONG)
    first.write(10.0)
    first.leave()
    assert board.is_leaving(region)
    board.release(region)
    board.count_end(Ended.HUNG)
    assert board.lease() == region
    assert board.beat_of(region) == 0
    assert not board.is_leaving(region)
    second = Tally(board).resume(region)
    assert shown(board)["sign_ins_total", "password", "wrong"] == 1
    second.count_sign_in(Factor.PASSWORD, Result.WRONG)
    second.write(11.0)
    assert shown(board)["sign_ins_total", "password", "wrong"] == 2
    assert shown(board)["worker_restarts_total", "hung"] == 1
    assert shown(board)["worker_restarts_total", "died"] == 0


def test_what_a_child_counts_is_seen_by_its_parent() -> None:
    board = Board()
    region = board.lease()
    pid = os.fork()
    if pid == 0:
        tally = Tally(board).resume(region)
        tally.numbers[PLACES["responses", "404"]] += 1
        tally.write(3.5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert shown(board)["responses_total", "404"] == 1
    assert board.beat_of(region) == 3.5


def test_only_the_statuses_that_were_answered_are_shown() -> None:
    board = Board()
    Tally(board).resume(board.lease()).write(1.0)
    assert not any(name == "responses_total" for name, *_ in shown(board))


def test_a_limit_that_was_hit_is_counted_beside_the_proof() -> None:
    board = Board()
    tally = Tally(board).resume(board.lease())
    tally.count_sign_in(Factor.TOTP, Result.LOCKED)
    tally.write(1.0)
    assert shown(board)["sign_ins_total", "totp", "locked"] == 1
    assert shown(board)["limits_hit_total", "locked"] == 1


def test_a_duration_falls_into_its_bucket_and_all_above() -> None:
    board = Board()
    tally = Tally(board).resume(board.lease())
    tally.observe(0.0003, "gate_seconds")
    tally.observe(99.0, "gate_seconds")
    tally.write(1.0)
    found = shown(board)
    assert [found["gate_seconds_bucket", str(bound)] for bound in GATE_BOUNDS] == [0, 0, 0] + [1] * 12
    assert found["gate_seconds_bucket", "+Inf"] == found[("gate_seconds_count",)] == 2
    assert found[("gate_seconds_sum",)] == pytest.approx(99.0003)


def test_the_latest_loop_is_shown_and_not_the_sum_of_all() -> None:
    board = Board()
    for lag in (2_000_000_000, 500_000_000):
        tally = Tally(board).resume(board.lease())
        tally.set(lag, "loop_lag_max_seconds")
        tally.write(1.0)
    assert shown(board)[("loop_lag_max_seconds",)] == 2.0


def test_without_the_store_its_figures_are_left_out() -> None:
    board = Board()
    assert shown(board)[("store_up",)] == 1
    assert shown(board)["sessions", "members"] == 7
    assert shown(board)["outbox", "abandoned"] == 3
    without = shown(board, None)
    assert without[("store_up",)] == 0
    assert not any(name in ("sessions", "outbox") for name, *_ in without)


def test_a_reload_waits_until_there_is_room_for_its_workers() -> None:
    board = Board()
    for _ in range(REGIONS - 7):
        board.lease()
    assert board.has_room_for(3)
    assert not board.has_room_for(4)
    assert (HEAD, IS_TAKEN, REGION) == (8, 0, COUNT + 4)


def test_every_series_has_a_place_of_its_own() -> None:
    widths = sorted((PLACES[(family.name, *labels)], family.width) for family in FAMILIES for labels in family.series)
    assert [place for place, _ in widths] == [sum(width for _, width in widths[:at]) for at in range(len(widths))]
    assert all(family.bounds == tuple(sorted(family.bounds)) for family in FAMILIES if family.kind is Kind.HISTOGRAM)


OUTCOMES = [
    (Failure.BAD_REQUEST, "rejected"), (Failure.WRONG_HOST, "rejected"), (Failure.REQUEST_TIMEOUT, "rejected"),
    (Failure.NOT_IMPLEMENTED, "rejected"), (Failure.HTTP_VERSION, "rejected"), (Failure.FORBIDDEN, "forbidden"),
    (Failure.FOREIGN_FORM, "forbidden"), (Failure.STORE_AWAY, "unavailable"), (Failure.INTERNAL, "unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "outcome"), OUTCOMES)
def test_a_refusal_is_counted_as_what_it_is(failure: Failure, outcome: str) -> None:
    assert outcome_of(failure.value.status).value == outcome
