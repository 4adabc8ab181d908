"""Counts requests as they end. This is on the hot path: additions to a list, and nothing that waits."""

from __future__ import annotations

from bisect import bisect_left

from gateway.admin.families import GATE_BOUNDS, MICRO, PLACES, UPSTREAM_BOUNDS, Outcome
from gateway.admin.tally import Tally
from gateway.edge.connection import Served
from gateway.proxy.upstream import Upstream

OUTCOME = {outcome: PLACES["requests", outcome.value] for outcome in Outcome}
FORWARDED, PAGE = OUTCOME[Outcome.FORWARDED], OUTCOME[Outcome.PAGE]
UPSTREAM_FAILED = OUTCOME[Outcome.UPSTREAM_FAILED]
STATUS = PLACES["responses", "0"]
GATE = PLACES[("gate_seconds",)]
GATE_SUM = GATE + len(GATE_BOUNDS) + 1
APPLICATION = PLACES["upstream_seconds", "application"]
PAGES = PLACES["upstream_seconds", "pages"]
UPSTREAM_SUM = len(UPSTREAM_BOUNDS) + 1


class Traffic:
    """`application` tells what was forwarded from what our own pages answered."""

    __slots__ = ("_application", "_numbers")

    def __init__(self, tally: Tally, application: Upstream) -> None:
        self._numbers = tally.numbers
        self._application = application

    def record(self, served: Served) -> None:
        numbers = self._numbers
        _, _, _, status, _, seconds, _, exchange, started = served
        numbers[STATUS + status] += 1
        if exchange is None:
            numbers[OUTCOME[outcome_of(status)]] += 1
        elif answered_at := exchange.answered_at:
            began_at = exchange.began_at
            waited = answered_at - began_at
            seconds = began_at - started
            if exchange.upstream is self._application:
                numbers[FORWARDED] += 1
                place = APPLICATION
            else:
                numbers[PAGE] += 1
                place = PAGES
            numbers[place + bisect_left(UPSTREAM_BOUNDS, waited)] += 1
            numbers[place + UPSTREAM_SUM] += int(waited * MICRO)
        else:
            numbers[UPSTREAM_FAILED if status >= 500 else OUTCOME[outcome_of(status)]] += 1
            if exchange.began_at:
                seconds = exchange.began_at - started
        numbers[GATE + bisect_left(GATE_BOUNDS, seconds)] += 1
        numbers[GATE_SUM] += int(seconds * MICRO)


def outcome_of(status: int) -> Outcome:
    """Return what an answer of the gateway's own means; see failures.Failure for those that say no."""
    match status:
        case 303 | 401:
            return Outcome.SIGN_IN
        case 403:
            return Outcome.FORBIDDEN
        case _ if status < 300:
            return Outcome.AUTHORISED
        case _ if status < 500 or status in (501, 505):
            return Outcome.REJECTED
        case _:
            return Outcome.UNAVAILABLE
