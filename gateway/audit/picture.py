"""The chart of the rows that match a search, and the people, addresses and tenants that have most of them.

It counts what the table lists, so its total is the number of rows. The latest rows are read; if these are not all, the
database counts them, from an index alone. Searches that no index can count, and periods over LONGEST, are counted among
the rows that a page may examine, and the chart begins with these.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import CTE, BigInteger, Integer, and_, column, func, select, values

from gateway.audit import search
from gateway.audit.period import LATEST, Unit, end_of_day, slots, unit_for
from gateway.audit.rows import repeated, times_of
from gateway.audit.search import Filter
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import audit
from gateway.web.charts import Bar, Chart, make_chart

LONGEST = 400 * DAY  # seconds
READ = 1_000  # rows
SHOWN = 8  # people, addresses, tenants


@dataclass(frozen=True, slots=True)
class Share:
    """The number of rows of one person, address or tenant; `part` is in hundredths of the largest."""

    name: str
    count: int
    part: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The chart from `since` to `until`, in slots of one `unit`, each of which ends at the time in `ends`; UTC seconds.

    With `is_partly`, older rows match as well and are not counted. Some rows stand for several events: there were at
    least `more` events beyond the rows. The shares are those of the latest `read` rows.
    """

    since: int
    until: int
    unit: Unit
    chart: Chart
    ends: tuple[int, ...]
    more: int
    is_partly: bool
    read: int
    people: tuple[Share, ...]
    addresses: tuple[Share, ...]
    tenants: tuple[Share, ...]

    @property
    def total(self) -> int:
        return self.chart.total

    @property
    def slots(self) -> list[tuple[Bar, int]]:
        """The bars that are not empty, each with the end of its slot."""
        return [(bar, end) for bar, end in zip(self.chart.bars, self.ends, strict=True) if bar.count]


@dataclass(frozen=True, slots=True)
class Sample:
    """The latest matching rows, newest first, at most READ. If not all were examined, they go back to `since`."""

    rows: Sequence[Any]
    since: int | None

    @property
    def is_whole(self) -> bool:
        """Whether these are all matching rows."""
        return self.since is None and len(self.rows) < READ


async def draw(tx: Transaction, wanted: Filter, now: int, zone: ZoneInfo) -> Picture | None:
    """Return the picture; None if nothing matches."""
    await search.plan_anew(tx)
    until = min(wanted.until or LATEST, end_of_day(now, zone))
    if wanted.since is None or until - wanted.since > LONGEST:
        wanted = replace(wanted, since=max(wanted.since or 0, await oldest(tx, wanted.tenant)))
    can_count = is_countable(wanted, until)
    sample = await read_latest(tx, wanted, READ if can_count else search.LOOKED_AT)
    if not sample.rows and sample.since is None:
        return None
    is_partly = sample.since is not None and not can_count
    since, until = bounds_of(wanted, sample, is_partly, now, zone)
    unit = unit_for(since, until, zone)
    spans = list(slots(since, until, unit, zone))
    more = sum(map(more_of, sample.rows))
    if sample.is_whole:
        counts = spread((row.at for row in sample.rows), spans)
    elif can_count:
        counts, more = await count(tx, wanted, spans), await count_more(tx, wanted, since, until)
    else:
        counts = await count_examined(tx, wanted, spans)
    return Picture(
        since,
        until,
        unit,
        make_chart("entries", [start for start, _ in spans], [counts[slot] for slot in range(len(spans))]),
        tuple(end for _, end in spans),
        more,
        is_partly,
        len(sample.rows),
        shares(row.identifier for row in sample.rows),
        shares(row.address for row in sample.rows),
        shares(row.tenant for row in sample.rows),
    )


def is_countable(wanted: Filter, until: int) -> bool:
    """Whether the rows can be counted from an index, in a bounded time."""
    is_indexed = not (wanted.person or wanted.address or wanted.words)
    return is_indexed and until - (wanted.since or 0) <= LONGEST


async def oldest(tx: Transaction, tenant: str | None) -> int:
    """Return the time of the first row in the log; 0 if it is empty."""
    query = select(func.min(audit.c.at))
    if tenant is not None:
        query = query.where(audit.c.tenant == tenant)
    return (await tx.execute(query)).scalar_one() or 0


async def read_latest(tx: Transaction, wanted: Filter, limit: int) -> Sample:
    looked_at = search.candidates(wanted, limit=limit)
    columns = (audit.c.at, audit.c.event, audit.c.tenant, audit.c.identifier, audit.c.address, audit.c.details)
    query = search.matching(looked_at, wanted).with_only_columns(*columns).limit(READ)
    rows = (await tx.execute(query)).all()
    end = await search.end_of(tx, looked_at, limit)
    return Sample(rows, end.at if end else None)


def bounds_of(wanted: Filter, sample: Sample, is_partly: bool, now: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the start and the end of the chart. An open end is that of today."""
    newest = sample.rows[0].at if sample.rows else now
    until = end_of_day(max(now, newest), zone)
    until = until if wanted.until is None else min(wanted.until, until)
    since = sample.since if is_partly else wanted.since
    return min(since or 0, until - 1), until


async def count(tx: Transaction, wanted: Filter, spans: Sequence[tuple[int, int]]) -> Counter[int]:
    """Return the number of rows in each slot."""
    counted = slot_table(spans)
    rows = select(func.count()).where(audit.c.at >= counted.c.since, audit.c.at < counted.c.until)
    if wanted.tenant is not None:
        rows = rows.where(audit.c.tenant == wanted.tenant)
    if wanted.events:  # some ranges of one index, which holds all that is asked for: only repetitions are read
        listed = rows.where(audit.c.event.in_(sorted(event.value for event in wanted.events)))
        told = rows.where(search.is_repeated(wanted.events))
        query = select(counted.c.slot, (listed.scalar_subquery() + told.scalar_subquery()).label("rows"))
    else:
        query = select(counted.c.slot, rows.scalar_subquery().label("rows"))
    return Counter({row.slot: row.rows for row in await tx.execute(query)})


async def count_examined(tx: Transaction, wanted: Filter, spans: Sequence[tuple[int, int]]) -> Counter[int]:
    """Return the number of matching rows in each slot, of those that a page may examine."""
    counted = slot_table(spans)
    found = search.matching(search.candidates(wanted), wanted).with_only_columns(audit.c.at).order_by(None).subquery()
    is_within = and_(found.c.at >= counted.c.since, found.c.at < counted.c.until)
    query = select(counted.c.slot, func.count().label("rows")).join(found, is_within).group_by(counted.c.slot)
    return Counter({row.slot: row.rows for row in await tx.execute(query)})


def slot_table(spans: Sequence[tuple[int, int]]) -> CTE:
    """Return a table of slots: the `slot`'s index, and its `since` and `until`, UTC seconds."""
    table = values(column("slot", Integer), column("since", BigInteger), column("until", BigInteger), name="slots")
    return table.data([(slot, since, until) for slot, (since, until) in enumerate(spans)]).cte("slots")


async def count_more(tx: Transaction, wanted: Filter, since: int, until: int) -> int:
    """Return the number of events that are counted instead of listed; in a long flood, of the latest rows only."""
    conditions = [audit.c.at >= since, audit.c.at < until]
    if wanted.tenant is not None:
        conditions.append(audit.c.tenant == wanted.tenant)
    found = await repeated(tx, *conditions)
    return sum(row.times - 1 for row in found if not wanted.events or row.of in wanted.events)


def spread(times: Iterable[int], spans: Sequence[tuple[int, int]]) -> Counter[int]:
    """Count times by the slot that they are in."""
    starts = [since for since, _ in spans]
    return Counter(bisect_right(starts, at) - 1 for at in times)


def more_of(row: Any) -> int:
    return times_of(row.details) - 1 if row.event == Event.REPEATED.value else 0


def shares(names: Iterable[str | None]) -> tuple[Share, ...]:
    """Return the most common names."""
    common = Counter(name for name in names if name).most_common(SHOWN)
    return tuple(Share(name, times, round(100 * times / common[0][1], 1)) for name, times in common)
