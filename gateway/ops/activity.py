"""Sign-ins, failures, lockouts and active sessions over the last day or week, counted for the charts at /ops.

Events are counted from an index alone, each slot of each event as one range; slots that are over are counted once.
Sessions have no index by time, which would cost a write with every use: they are read twice, and counted by the
hour from the first slot on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, literal, select, union_all

from gateway.audit.picture import slot_table
from gateway.audit.rows import repeated
from gateway.model.clock import HOUR
from gateway.model.event import Event
from gateway.model.memo import Memo
from gateway.store import Transaction
from gateway.store.schema import audit, sessions
from gateway.web.charts import Chart, list_slots, make_chart

SERIES: Mapping[str, tuple[Event, ...]] = {
    "sign_ins": (Event.LOGIN,),
    "failures": (Event.LOGIN_FAILED, Event.LOGIN_2FA_FAILED),
    "lockouts": (Event.LOGIN_LOCKOUT,),
}
SERIES_OF = {event: name for name, events in SERIES.items() for event in events}
SESSIONS = "sessions"
SETTLED_SECONDS = 300  # after a slot is over, rows of transactions that were under way may still be added to it

Slot = tuple[int, int]  # its beginning and its end, UTC seconds
Known = Memo[Slot, Counter[str]]


class Span(StrEnum):
    """The time that the charts show: 24 slots of an hour, or 28 of a quarter of a day."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Activity:
    """The charts of `since` to `until`, UTC seconds. A session is active from its sign-in to its last use."""

    since: int
    until: int
    charts: tuple[Chart, ...]

    @property
    def table(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The slots with any counts, latest first: where each begins, and its counts."""
        return list_slots(self.charts)


def edges_of(span: Span, now: int, zone: ZoneInfo) -> list[int]:
    """Return where the slots begin and, as the last value, where the latest one ends; it contains `now`. UTC seconds.

    Slots begin at whole hours of `zone`, or at its midnights and every six hours after.
    """
    here = datetime.fromtimestamp(now, zone)
    if span is Span.DAY:
        begin = now - here.minute * 60 - here.second
        return [begin + HOUR * hours for hours in range(-23, 2)]
    # Arithmetic on local time: where clocks change, a slot has five or seven hours.
    begins = here.replace(hour=here.hour // 6 * 6, minute=0, second=0, fold=0)
    return [int((begins + timedelta(hours=6 * slot)).timestamp()) for slot in range(-27, 2)]


async def count_activity(tx: Transaction, edges: Sequence[int], known: Known, now: int) -> Activity:
    """Count everything between the `edges`. Counts of slots that are over are kept in `known`, and taken from there."""
    slots = list(pairwise(edges))
    found = {slot: counts for slot in slots if (counts := known.young.get(slot) or known.recall(slot)) is not None}
    found |= await count_events(tx, [slot for slot in slots if slot not in found])
    for slot, counts in found.items():
        if slot[1] < now - SETTLED_SECONDS:
            known.put(slot, counts)
    more = await count_repeated(tx, edges)
    starts = edges[:-1]
    charts = [make_chart(name, starts, [found[slot][name] + more[name, slot] for slot in slots]) for name in SERIES]
    return Activity(edges[0], edges[-1], (*charts, make_chart(SESSIONS, starts, await count_sessions(tx, edges))))


async def count_events(tx: Transaction, slots: Sequence[Slot]) -> dict[Slot, Counter[str]]:
    """Return the number of listed events of each series in each slot."""
    if not slots:
        return {}
    asked = slot_table(slots)
    times = [
        select(func.count())
        .where(audit.c.event == event.value, audit.c.at >= asked.c.since, audit.c.at < asked.c.until)
        .scalar_subquery()
        for event in SERIES_OF
    ]
    counts: dict[Slot, Counter[str]] = {}
    for slot, *found in await tx.execute(select(asked.c.slot, *times)):
        counted = counts[slots[slot]] = Counter()
        for name, number in zip(SERIES_OF.values(), found, strict=True):
            counted[name] += number
    return counts


async def count_repeated(tx: Transaction, edges: Sequence[int]) -> Counter[tuple[str, Slot]]:
    """Return the number of events that were counted by the minute instead of listed."""
    counts: Counter[tuple[str, Slot]] = Counter()
    for row in await repeated(tx, audit.c.at >= edges[0], audit.c.at < edges[-1]):
        if row.of in SERIES_OF:
            slot = bisect_right(edges, row.at)
            counts[SERIES_OF[row.of], (edges[slot - 1], edges[slot])] += row.times
    return counts


async def count_sessions(tx: Transaction, edges: Sequence[int]) -> list[int]:
    """Return how many sessions were active in each slot: those that had begun by its end, and ended after its start."""
    since, is_used = edges[0], sessions.c.seen_at >= edges[0]
    begun = case((sessions.c.started_at < since, -1), else_=(sessions.c.started_at - since) // HOUR)
    gone = (sessions.c.seen_at - since) // HOUR
    query = union_all(
        select(literal(1).label("sign"), begun.label("hour"), func.count().label("times"))
        .where(is_used)
        .group_by(begun),
        select(literal(-1), gone, func.count()).where(is_used).group_by(gone),
    )
    hours = [(row.sign, int(row.hour) * HOUR + since, row.times) for row in await tx.execute(query)]
    return [
        sum(sign * times for sign, at, times in hours if at < (until if sign > 0 else start))
        for start, until in pairwise(edges)
    ]
