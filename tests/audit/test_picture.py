"""The chart counts exactly what the table lists: on both engines, for every kind of search."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from gateway.audit import picture, search
from gateway.audit.period import Unit
from gateway.audit.picture import Picture, draw
from gateway.audit.search import Filter
from gateway.model.entry import Details, Entry
from gateway.model.event import GROUPS, Event, Group
from gateway.store import Store
from tests.audit.log import ENTRY, write
from tests.audit.test_search import everything, made
from tests.store.people import NOW

UTC, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
HOUR, DAY = 3_600, 86_400
FAILED = GROUPS[Group.FAILED_SIGN_INS]
WEEK = Filter(since=NOW - 6 * DAY, until=NOW + DAY)


async def drawn(store: Store, wanted: Filter, zone: ZoneInfo = UTC) -> Picture:
    async with store.reading() as tx:
        found = await draw(tx, wanted, NOW, zone)
    assert found is not None
    return found


def spread(entries: list[Entry]) -> list[Entry]:
    """Let what happened in two minutes have happened in some days."""
    return [replace(entry, at=NOW - (entry.at - NOW) * 5_000) for entry in entries]


@pytest.mark.parametrize("read", [1_000, 5], ids=["read", "counted by an index"])
@pytest.mark.parametrize(
    "wanted",
    [
        WEEK,
        replace(WEEK, tenant="acme"),
        replace(WEEK, events=FAILED),
        replace(WEEK, tenant="acme", events=FAILED),
        replace(WEEK, events=frozenset((Event.REPEATED,))),
        replace(WEEK, since=NOW - DAY, tenant="beta"),
        replace(WEEK, until=NOW + 9_000 * DAY, tenant="acme"),
        replace(WEEK, until=None),
    ],
    ids=["all", "tenant", "group", "tenant and group", "repetitions", "day", "into the future", "open"],
)
async def test_the_bars_add_up_to_the_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch, wanted: Filter, read: int
) -> None:
    monkeypatch.setattr(picture, "READ", read)
    await write(store, *spread(made(160)))
    found = await drawn(store, wanted)
    rows = await everything(store, wanted, 50)
    assert rows
    assert (found.total, found.is_partly) == (len(rows), False)
    assert [(bar.count, bar.at, end) for bar, end in found.slots] == [
        (sum(bar.at <= row.at < end for row in rows), bar.at, end) for bar, end in found.slots
    ]


@pytest.mark.parametrize(
    "asked_for", [{"person": "ann@acme.example"}, {"address": "192.0.2.1"}, {"words": "firefox"}, {"since": None}]
)
@pytest.mark.parametrize("read", [1_000, 5])
async def test_searches_that_no_index_counts_are_examined(
    store: Store, monkeypatch: pytest.MonkeyPatch, asked_for: dict[str, str], read: int
) -> None:
    monkeypatch.setattr(picture, "READ", read)
    await write(store, *spread(made(160)))
    wanted = replace(WEEK, **asked_for)  # type: ignore[arg-type]
    found = await drawn(store, wanted)
    assert (found.total, found.is_partly) == (len(await everything(store, wanted, 50)), False)


async def test_a_chart_of_the_latest_rows_only_begins_with_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 20)
    await write(store, *(replace(ENTRY, at=NOW - n * HOUR) for n in range(60)))
    found = await drawn(store, replace(WEEK, words="chrome"))
    assert (found.total, found.is_partly, found.since) == (20, True, NOW - 19 * HOUR)


@pytest.mark.parametrize("since", [None, 0])
async def test_a_log_of_many_years_is_drawn_from_its_first_row(
    store: Store, monkeypatch: pytest.MonkeyPatch, since: int | None
) -> None:
    monkeypatch.setattr(picture, "READ", 5)
    await write(store, *(replace(ENTRY, at=NOW - n * 300 * DAY) for n in range(9)))
    found = await drawn(store, Filter(since=since))
    assert (found.total, found.is_partly, found.since, found.unit) == (9, False, NOW - 2_400 * DAY, Unit.YEAR)


async def test_a_bar_leads_to_as_many_rows_as_it_counts(store: Store) -> None:
    await write(store, *(replace(ENTRY, at=NOW - n * HOUR) for n in range(60)))
    found = await drawn(store, WEEK, BERLIN)
    for bar, end in found.slots:
        of_bar = await everything(store, replace(WEEK, since=bar.at, until=end), 50)
        assert len(of_bar) == bar.count
    assert sum(bar.count for bar, _ in found.slots) == 60


async def test_events_beyond_the_rows_are_told(store: Store) -> None:
    details: Details = {"of": Event.LOGIN_FAILED.value, "times": 12}
    await write(store, replace(ENTRY, event=Event.LOGIN_FAILED), replace(ENTRY, event=Event.REPEATED, details=details))
    found = await drawn(store, replace(WEEK, events=FAILED))
    assert (found.total, found.more) == (2, 11)
    assert (await drawn(store, replace(WEEK, events=frozenset((Event.LOGIN_FAILED,))))).more == 11


async def test_people_and_addresses_are_those_of_the_rows(store: Store) -> None:
    failed = replace(ENTRY, event=Event.LOGIN_FAILED, address="192.0.2.9")
    await write(store, ENTRY, *[failed] * 3, replace(failed, identifier="bob@beta.example", tenant="beta"))
    found = await drawn(store, replace(WEEK, events=FAILED))
    assert [(share.name, share.count) for share in found.people] == [("ann@acme.example", 3), ("bob@beta.example", 1)]
    assert [(share.name, share.part) for share in found.addresses] == [("192.0.2.9", 100.0)]
    of_one = await drawn(store, replace(WEEK, events=FAILED, tenant="acme"))
    assert [share.name for share in of_one.people] == ["ann@acme.example"]


async def test_nothing_found_draws_nothing(store: Store) -> None:
    async with store.reading() as tx:
        assert await draw(tx, WEEK, NOW, UTC) is None
        assert await draw(tx, Filter(since=0, until=1), NOW, UTC) is None
