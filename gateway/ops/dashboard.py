"""What /ops shows: attacks, activity, health, and the tenants' second steps.

Attacks, locks and blocks are always read anew, so that an owner sees at once what a change did. The rest is remembered
by each worker for some seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement

from gateway.model.memo import Memo
from gateway.observe.figures import Figures
from gateway.ops.activity import Activity, Known, Span, count_activity, edges_of
from gateway.ops.attack import Picture, State
from gateway.ops.conditions import Condition, HealthWatch, Level, Part
from gateway.ops.figures import StoreFigures
from gateway.ops.remembered import Remembered
from gateway.ops.service import AttackService
from gateway.ops.two_step import Rate, list_rates
from gateway.store import Store, StoreUnavailable

ACTIVITY_SECONDS = {Span.DAY: 10, Span.WEEK: 60}
RATES_SECONDS = 60
KNOWN_SLOTS = 1_000  # some days of several zones
LATE_MAIL_SECONDS = 300  # an email that waits longer needs attention
WORST = (Level.BAD, Level.AWAY, Level.POOR)


@dataclass(frozen=True, slots=True)
class View:
    """The figures of `at`, UTC seconds."""

    at: int
    span: Span
    attacks: Picture
    activity: Activity
    conditions: Sequence[Condition]
    rates: Sequence[Rate]
    figures: Figures

    @property
    def open_sessions(self) -> int:
        return self.figures.members + self.figures.owners

    @property
    def troubles(self) -> int:
        return sum(condition.level in WORST for condition in self.conditions)

    @property
    def worst(self) -> Level:
        """The worst level of all conditions."""
        levels = {condition.level for condition in self.conditions}
        return next((level for level in WORST if level in levels), Level.GOOD)

    @property
    def machines(self) -> int:
        return len({condition.machine for condition in self.conditions if condition.machine})


class Dashboard:
    """`has_way_in` is that of the factors: whether an account signs in at all."""

    def __init__(
        self,
        store: Store,
        attacks: AttackService,
        watch: HealthWatch,
        figures: StoreFigures,
        has_way_in: ColumnElement[bool],
    ) -> None:
        self._store = store
        self._attacks = attacks
        self._watch = watch
        self._figures = figures
        self._has_way_in = has_way_in
        self._activity = {span: Remembered[Activity](seconds) for span, seconds in ACTIVITY_SECONDS.items()}
        self._known: Known = Memo(KNOWN_SLOTS)
        self._rates = Remembered[list[Rate]](RATES_SECONDS)

    async def look(self, span: Span, now: int, zone: ZoneInfo) -> View:
        """Return all figures. Days and hours are those of `zone`. Raises StoreUnavailable."""
        figures = await self._figures.read()
        if figures is None:
            raise StoreUnavailable("the store didn't answer")
        attacks = await self._attacks.picture(now)
        activity = await self._count(span, edges_of(span, now, zone), attacks.state, now)
        rates = await self._rates.get("rates", now, self._list_rates)
        checked = await self._watch.read(now)
        has_mail = any(found.part is Part.MAIL and found.level is not Level.OFF for found in checked)
        queue = [of_queue(figures, now)] if has_mail else []
        return View(now, span, attacks, activity, [*checked, *queue, *of_workers(figures, now)], rates, figures)

    async def _count(self, span: Span, edges: Sequence[int], state: State, now: int) -> Activity:
        """Count anew if the `state` of attacks is another: the charts must not say less than the sentences."""

        async def find() -> Activity:
            async with self._store.reading() as tx:
                return await count_activity(tx, edges, self._known, now)

        return await self._activity[span].get((*edges, state), now, find)

    async def _list_rates(self) -> list[Rate]:
        async with self._store.reading() as tx:
            return await list_rates(tx, self._has_way_in)


def of_queue(figures: Figures, now: int) -> Condition:
    """Return the condition of the queue of emails; `count` is how many wait."""
    oldest = figures.oldest_seconds or 0
    is_late = oldest > LATE_MAIL_SECONDS
    level, since = (Level.POOR, now - oldest) if is_late else (Level.GOOD, None)
    return Condition("", Part.QUEUE, level, "", since, now, figures.waiting)


def of_workers(figures: Figures, now: int) -> Iterator[Condition]:
    """Yield the condition of each machine's workers; `count` is how many don't answer, or else how many there are."""
    for machine, found in groupby(figures.nodes, lambda node: node.host):
        workers = list(found)
        lapsed = [now - worker.renewed for worker in workers if worker.is_lapsed]
        level, since = (Level.BAD, min(lapsed)) if lapsed else (Level.GOOD, None)
        yield Condition(machine, Part.WORKERS, level, "", since, now, len(lapsed or workers))
