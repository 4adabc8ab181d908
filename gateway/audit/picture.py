"""The chart of sign-ins, failures and lockouts over time, and of failures by tenant and by address.

It counts the rows that match the filter's tenant, person, address and time, by default those of the last week. Counts
over time are read from an index alone; counts by tenant and address come from the latest COUNTED failures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, Integer, column, func, select, values

from gateway.audit.rows import Repeated, repeated
from gateway.audit.search import Filter, is_of
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import audit
from gateway.web.charts import Chart, list_slots, make_chart

HOUR, DAY = 3_600, 86_400
USUAL_SECONDS = 7 * DAY
LONGEST_SECONDS = 92 * DAY
MOST_SLOTS = 31
WIDTHS = (HOUR // 4, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY)
COUNTED = 5_000  # rows
SHOWN = 8  # tenants, addresses
SERIES: Mapping[str, tuple[Event, ...]] = {
    "sign_ins": (Event.LOGIN,),
    "failures": (Event.LOGIN_FAILED, Event.LOGIN_2FA_FAILED),
    "lockouts": (Event.LOGIN_LOCKOUT,),
}
FAILED = (Event.LOGIN_FAILED.value, Event.LOGIN_2FA_FAILED.value)
SERIES_OF = {event.value: name for name, events in SERIES.items() for event in events}


@dataclass(frozen=True, slots=True)
class Share:
    """The number of failures of one tenant or address; `part` is in hundredths of the largest."""

    name: str
    count: int
    part: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole chart: `since` to `until` in UTC seconds, in slots of `width` seconds. With `is_partly`, older failures
    were not counted.
    """

    since: int
    until: int
    width: int
    charts: tuple[Chart, ...]
    tenants: tuple[Share, ...]
    addresses: tuple[Share, ...]
    is_partly: bool

    @property
    def table(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The slots that have any events, latest first, each with its counts."""
        return list_slots(self.charts)


async def draw(tx: Transaction, wanted: Filter, now: int) -> Picture:
    since, until, width = span_of(wanted, now)
    counts = await count(tx, wanted, since, until, width)
    failures = await failed(tx, wanted, since, until)
    is_partly = len(failures) == COUNTED
    # Events that were counted by the minute instead of listed are added to every count.
    more = [row for row in await repeated(tx, *within(wanted, since, until)) if row.of in SERIES_OF]
    for row in more:
        counts[SERIES_OF[row.of], (row.at - since) // width] += row.times
    failures += [row for row in more if row.of in FAILED]
    starts = range(since, until, width)
    return Picture(
        since,
        until,
        width,
        tuple(make_chart(name, starts, [counts[name, slot] for slot in range(len(starts))]) for name in SERIES),
        shares((row.tenant, row.times) for row in failures),
        shares((row.address, row.times) for row in failures),
        is_partly,
    )


def span_of(wanted: Filter, now: int) -> tuple[int, int, int]:
    """Return the start and the end of the time to count, and the width of a slot in seconds."""
    until = min(wanted.until or now + 1, now + 1)
    since = min(wanted.since if wanted.since is not None else until - USUAL_SECONDS, until - 1)
    since = max(since, until - LONGEST_SECONDS)
    width = next(width for width in WIDTHS if (until - since) / width < MOST_SLOTS)
    return since // width * width, until, width


async def count(tx: Transaction, wanted: Filter, since: int, until: int, width: int) -> Counter[tuple[str, int]]:
    """Return the number of events of each series in each slot."""
    if wanted.person or wanted.address:
        return await count_few(tx, wanted, since, until, width)
    slots = values(column("slot", Integer), column("since", BigInteger), column("until", BigInteger), name="slots")
    starts = range(since, until, width)
    counted = slots.data([(slot, at, min(at + width, until)) for slot, at in enumerate(starts)]).cte("slots")
    # Each count is a range of one index, which holds all that is asked for: no row is read.
    times = [
        select(func.count())
        .where(audit.c.event == event, *within(wanted, counted.c.since, counted.c.until))
        .scalar_subquery()
        .label(event)
        for event in SERIES_OF
    ]
    counts: Counter[tuple[str, int]] = Counter()
    for row in await tx.execute(select(counted.c.slot, *times)):
        for event, found in zip(SERIES_OF, row[1:], strict=True):
            counts[SERIES_OF[event], row.slot] += found
    return counts


async def count_few(tx: Transaction, wanted: Filter, since: int, until: int, width: int) -> Counter[tuple[str, int]]:
    """Count the same for one person or address, from the latest rows."""
    query = select(audit.c.event, audit.c.at).where(*within(wanted, since, until))
    counts: Counter[tuple[str, int]] = Counter()
    for row in await tx.execute(query.order_by(audit.c.at.desc()).limit(COUNTED)):
        if row.event in SERIES_OF:
            counts[SERIES_OF[row.event], (row.at - since) // width] += 1
    return counts


async def failed(tx: Transaction, wanted: Filter, since: int, until: int) -> list[Repeated]:
    """Return the latest failures, each of them once."""
    columns = (audit.c.event, audit.c.at, audit.c.tenant, audit.c.identifier, audit.c.address)
    query = select(*columns).where(*within(wanted, since, until))
    query = query.order_by(audit.c.at.desc()).limit(COUNTED)
    if wanted.person or wanted.address:
        rows = [row for row in await tx.execute(query) if row.event in FAILED]
    else:  # each event is a range of one index
        rows = [row for event in FAILED for row in await tx.execute(query.where(audit.c.event == event))]
        rows = sorted(rows, key=lambda row: row.at, reverse=True)[:COUNTED]
    return [Repeated(Event(row.event), 1, row.at, row.tenant, row.identifier, row.address) for row in rows]


def within(
    wanted: Filter, since: int | ColumnElement[int], until: int | ColumnElement[int]
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [audit.c.at >= since, audit.c.at < until]
    if wanted.person or wanted.address:
        conditions.append(is_of(wanted.tenant))
    elif wanted.tenant is not None:
        conditions.append(audit.c.tenant == wanted.tenant)
    if wanted.person:
        conditions.append(audit.c.identifier == wanted.person)
    if wanted.address:
        conditions.append(audit.c.address == wanted.address)
    return conditions


def shares(failures: Iterable[tuple[str | None, int]]) -> tuple[Share, ...]:
    counts: Counter[str] = Counter()
    for name, times in failures:
        counts[name or "–"] += times
    common: Sequence[tuple[str, int]] = counts.most_common(SHOWN)
    return tuple(Share(name, times, round(100 * times / common[0][1], 1)) for name, times in common)
