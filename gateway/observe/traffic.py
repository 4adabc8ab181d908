"""Counts requests when they end. This is the hot path: it only adds to a list, and never blocks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter_ns

from gateway.observe.families import GATE_BOUNDS, NANO, PLACES, UPSTREAM_BOUNDS, Outcome
from gateway.observe.logs import get_logger
from gateway.observe.served import Served, Unread
from gateway.observe.tally import Tally

log = get_logger("edge")

OUTCOME = {outcome: PLACES["requests", outcome.value] for outcome in Outcome}
FORWARDED, PAGE = OUTCOME[Outcome.FORWARDED], OUTCOME[Outcome.PAGE]
UPSTREAM_FAILED = OUTCOME[Outcome.UPSTREAM_FAILED]
STATUS = PLACES["responses", "0"]
UNREADABLE = PLACES[("forwarded_for_unreadable",)]
GATE = PLACES[("gate_seconds",)]
GATE_SUM = GATE + len(GATE_BOUNDS) + 1
APPLICATION = PLACES["upstream_seconds", "application"]
PAGES = PLACES["upstream_seconds", "pages"]
UPSTREAM_SUM = len(UPSTREAM_BOUNDS) + 1
GATE_NANO = tuple(int(bound * NANO) for bound in GATE_BOUNDS)
QUIET_SECONDS = 60
MAX_ENTRY = 100  # characters
UPSTREAM_NANO = tuple(int(bound * NANO) for bound in UPSTREAM_BOUNDS)


class UnreadableHops:
    """Counts requests whose client address is unknown, because a trusted proxy sent no valid one in X-Forwarded-For.

    All of them share the proxy's own address and its limits, so this is logged, once a minute. `clock` gives seconds.
    """

    def __init__(self, tally: Tally, clock: Callable[[], float]) -> None:
        self._numbers = tally.numbers
        self._clock = clock
        self._quiet_until = 0.0

    def note(self, proxy: str, entry: str) -> None:
        """Record such a request. `proxy` is the address that connected to us, `entry` the text that is no address."""
        self._numbers[UNREADABLE] += 1
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            log.warning("forwarded_for_unreadable", proxy=proxy, entry=entry[:MAX_ENTRY])


class Traffic:
    """Counts requests. `application` distinguishes forwarded requests from our own pages."""

    __slots__ = ("_application", "_numbers")

    def __init__(self, tally: Tally, application: object) -> None:
        self._numbers = tally.numbers
        self._application = application

    def record(self, request: Served | Unread, status: int, _sent: int) -> None:
        numbers = self._numbers
        exchange = request.exchange
        numbers[STATUS + status] += 1
        if exchange is not None and exchange.answered_at:
            passed_on = exchange.began_at
            waited = exchange.answered_at - passed_on
            if exchange.upstream is self._application:
                numbers[FORWARDED] += 1
                place = APPLICATION
            else:
                numbers[PAGE] += 1
                place = PAGES
            numbers[place + bisect_left(UPSTREAM_NANO, waited)] += 1
            numbers[place + UPSTREAM_SUM] += waited
        else:
            is_upstream = exchange is not None and status >= 500
            numbers[UPSTREAM_FAILED if is_upstream else OUTCOME[outcome_of(status)]] += 1
            passed_on = (exchange and exchange.began_at) or perf_counter_ns()
        spent = passed_on - (request.started or passed_on)
        numbers[GATE + bisect_left(GATE_NANO, spent)] += 1
        numbers[GATE_SUM] += spent


def outcome_of(status: int) -> Outcome:
    """Return the outcome of a response by the gateway itself; wire.failures.Failure lists those that are errors."""
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
