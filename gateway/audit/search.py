"""Searches the log: any filter, newest first, page by page, over millions of rows.

Theory. Each page is read through one index, in the order of time: that of the most selective filter given (person,
address, events, tenant). Several events are as many ranges of the index, merged. The other filters are applied row by
row, first to a few rows, then to at most LOOKED_AT, so a page takes a bounded time for any search. If the page is not
full by then, it says how far back it searched, and the next one continues from there. Pages begin at a row and not at
an offset, so rows added meanwhile shift nothing.

The tenant is part of the query itself: an admin's filter can only narrow it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    and_,
    false,
    func,
    or_,
    select,
    text,
    true,
    union,
    union_all,
)

from gateway.audit.chain import Row
from gateway.model.event import Event
from gateway.store import Store, Transaction
from gateway.store.schema import audit

LOOKED_AT = 10_000  # rows for one page
FEW = 4  # times the rows of a page, examined first: most searches are content with them
EXPORTED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the order of time: right after the row `number`, which was written at `at`."""

    at: int
    number: int

    def __str__(self) -> str:
        return f"{self.at}-{self.number}"


def read_place(text: str) -> Place | None:
    at, _, number = text.partition("-")
    parts = (at, number)
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        return None
    return Place(int(at), int(number))


@dataclass(frozen=True, slots=True)
class Filter:
    """A search. None, "" or no events means any. `since` and `until` are UTC seconds, `until` is not included.

    `person` is the email of a row's subject or actor. `words` may appear anywhere in a row's texts. With `events`, rows
    that count repetitions of one of them match as well.
    """

    tenant: str | None = None
    events: frozenset[Event] = frozenset()
    person: str = ""
    address: str = ""
    since: int | None = None
    until: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, newest first; the next one begins at `older`. If not `is_full`, there may be more matches
    further back.
    """

    rows: list[Row]
    older: Place | None
    is_full: bool


async def find(tx: Transaction, wanted: Filter, before: Place | None, limit: int) -> Page:
    """Return up to `limit` matching rows that come before the place `before`."""
    await plan_anew(tx)
    for examined in sorted({min(FEW * limit, LOOKED_AT), LOOKED_AT}):
        looked_at = candidates(wanted, before, examined)
        found = [Row._make(row) for row in await tx.execute(matching(looked_at, wanted).limit(limit + 1))]
        if len(found) > limit:
            last = found[limit - 1]
            return Page(found[:limit], Place(last.at, last.id), is_full=True)
        end = await end_of(tx, looked_at, examined)
        if end is None:
            break
    return Page(found, end, is_full=end is None)


async def find_all(store: Store, wanted: Filter) -> AsyncIterator[list[Row]]:
    """Yield every matching row, newest first, some at a time."""
    before: Place | None = None
    while True:
        async with store.reading() as tx:
            page = await find(tx, wanted, before, EXPORTED_AT_ONCE)
        if page.rows:
            yield page.rows
        if page.older is None:
            return
        before = page.older


def candidates(wanted: Filter, before: Place | None = None, limit: int = LOOKED_AT) -> Select[Any]:
    """Return the query for the candidate rows: those of one index, newest first, as many as may be examined."""
    if wanted.person:
        columns = (audit.c.identifier, audit.c.actor)
        each = (
            latest(and_(column == wanted.person, is_of(wanted.tenant)), wanted, before, limit) for column in columns
        )
        return newest(union(*(select(part.subquery()) for part in each)), limit)
    if wanted.address:
        return latest(and_(audit.c.address == wanted.address, is_of(wanted.tenant)), wanted, before, limit)
    of_tenant = true() if wanted.tenant is None else audit.c.tenant == wanted.tenant
    if not wanted.events:
        return latest(of_tenant, wanted, before, limit)
    events = sorted({event.value for event in (*wanted.events, Event.REPEATED)})
    ranges = (latest(and_(of_tenant, audit.c.event == event), wanted, before, limit) for event in events)
    return newest(union_all(*(select(each.subquery()) for each in ranges)), limit)


def newest(found: SelectBase, limit: int) -> Select[Any]:
    """Return the latest rows of `found`."""
    inner = found.subquery()
    return select(inner.c.at, inner.c.id).order_by(inner.c.at.desc(), inner.c.id.desc()).limit(limit)


def is_of(tenant: str | None) -> ColumnElement[bool]:
    """Return the condition for a tenant's rows, written so that the database can't choose the tenant's index."""
    return true() if tenant is None else func.coalesce(audit.c.tenant, "") == tenant


def latest(condition: ColumnElement[bool], wanted: Filter, before: Place | None, limit: int) -> Select[Any]:
    """Return the latest rows within the filter's times that fulfil one condition, which has its index."""
    query = select(audit.c.at, audit.c.id).where(condition)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit.c.at < wanted.until)
    if before is not None:
        is_before = or_(audit.c.at < before.at, audit.c.id < before.number)
        query = query.where(audit.c.at <= before.at, is_before)
    return query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)


async def plan_anew(tx: Transaction) -> None:
    """Have PostgreSQL plan each statement of this transaction for its own values.

    Its plan for any values expects few rows between any two times, and so reads and sorts all of a month.
    """
    if tx.dialect.name == "postgresql":
        await tx.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def matching(looked_at: Select[Any], wanted: Filter) -> Select[Any]:
    """Return the query for the candidate rows that match the filter."""
    inner = looked_at.subquery("looked_at")
    query = select(audit).join(inner, audit.c.id == inner.c.id).order_by(inner.c.at.desc(), inner.c.id.desc())
    if wanted.tenant is not None:
        query = query.where(audit.c.tenant == wanted.tenant)
    if wanted.events:
        query = query.where(is_one_of(wanted.events))
    if wanted.address:
        query = query.where(audit.c.address == wanted.address)
    if wanted.words:
        query = query.where(func.lower(words_of_row()).contains(wanted.words.lower(), autoescape=True))
    return query


def is_one_of(events: frozenset[Event]) -> ColumnElement[bool]:
    """Return the condition for rows of these events, and for those that count repetitions of them."""
    return or_(audit.c.event.in_(sorted(event.value for event in events)), is_repeated(events))


def is_repeated(events: frozenset[Event]) -> ColumnElement[bool]:
    told = (json.dumps({"of": event.value})[1:-1] for event in sorted(events - {Event.REPEATED}))
    of_these = or_(false(), *(audit.c.details.contains(text, autoescape=True) for text in told))
    return and_(audit.c.event == Event.REPEATED.value, of_these)


def words_of_row() -> ColumnElement[str]:
    """Return everything in a row that can be searched for, as one text."""
    texts = (
        audit.c.actor,
        audit.c.address,
        audit.c.user_agent,
        audit.c.event,
        func.coalesce(audit.c.session, ""),
        audit.c.request_id,
        audit.c.details,
        audit.c.personal,
    )
    whole: ColumnElement[str] = audit.c.identifier
    for each in texts:
        whole = whole.concat("\n").concat(each)
    return whole


async def end_of(tx: Transaction, looked_at: Select[Any], limit: int = LOOKED_AT) -> Place | None:
    """Return the place of the last row examined, if `limit` were."""
    inner = looked_at.subquery("looked_at")
    count, at = (await tx.execute(select(func.count(), func.min(inner.c.at)).select_from(inner))).one()
    if count < limit:
        return None
    number = select(func.min(inner.c.id)).where(inner.c.at == at)
    return Place(at, (await tx.execute(number)).scalar_one())
