"""Rows are found by any filter, page by page: on both engines."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from gateway.audit import search
from gateway.audit.chain import Row
from gateway.audit.export import Format, as_bytes, cell
from gateway.audit.search import Filter, Place
from gateway.model.entry import Entry, Outcome
from gateway.model.event import GROUPS, Event, Group
from gateway.store import Store
from tests.audit.log import ENTRY, write
from tests.store.people import NOW

PEOPLE = ["ann@acme.example", "bob@beta.example", "eve@acme.example"]
EVENTS = [Event.LOGIN, Event.LOGIN_FAILED, Event.TWO_FACTOR_RESET, Event.REPEATED]
FAILED = GROUPS[Group.FAILED_SIGN_INS]


def made(count: int) -> list[Entry]:
    chance = random.Random(7)
    entries = []
    for n in range(count):
        event, who = chance.choice(EVENTS), chance.choice(PEOPLE)
        details: dict[str, str | int | bool] = {}
        if event is Event.TWO_FACTOR_RESET:
            details = {"by": chance.choice(PEOPLE)}
        elif event is Event.REPEATED:
            details = {"of": chance.choice(["login_failed", "token_refused"]), "times": 3}
        entries.append(
            Entry(
                event,
                Outcome.FAILURE if event is Event.LOGIN_FAILED else Outcome.SUCCESS,
                NOW + chance.randrange(count // 2),  # not in order, and often the same
                who,
                tenant=who.partition("@")[2].partition(".")[0],
                address=f"192.0.2.{chance.randrange(4)}",
                user_agent=chance.choice(["Firefox/140.0", "100%_sure\\"]),
                request_id=f"r{n}",
                details=details,
            )
        )
    return entries


def is_wanted(entry: Entry, wanted: Filter) -> bool:
    return (
        wanted.tenant in (None, entry.tenant)
        and (not wanted.events or entry.event in wanted.events or entry.details.get("of") in wanted.events)
        and wanted.person in ("", entry.identifier, entry.actor)
        and wanted.address in ("", entry.address)
        and (wanted.since is None or entry.at >= wanted.since)
        and (wanted.until is None or entry.at < wanted.until)
        and wanted.words.lower() in f"{entry.user_agent} {entry.request_id} {entry.actor}".lower()
    )


async def everything(store: Store, wanted: Filter, limit: int) -> list[Row]:
    rows: list[Row] = []
    before: Place | None = None
    while True:
        async with store.reading() as tx:
            page = await search.find(tx, wanted, before, limit)
        assert len(page.rows) <= limit
        rows += page.rows
        if page.older is None:
            return rows
        before = page.older


async def test_every_filter_finds_what_it_asks_for_and_every_page_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 40)
    entries = made(160)
    await write(store, *entries)
    choices = itertools.product(
        (None, "acme"),
        (frozenset[Event](), frozenset((Event.LOGIN,)), FAILED),
        ("", PEOPLE[0]),
        ("", "192.0.2.1"),
        (None, NOW + 20),
        ("", "FIREFOX"),
    )
    for tenant, events, person, address, since, words in choices:
        wanted = Filter(tenant, events, person, address, since, since and NOW + 60, words)
        found = [row.request_id for row in await everything(store, wanted, 50)]
        chosen = [(entry.at, n, entry.request_id) for n, entry in enumerate(entries) if is_wanted(entry, wanted)]
        assert found == [name for _, _, name in sorted(chosen, reverse=True)], wanted


@pytest.mark.parametrize("words", ["100%_sure\\", "%", " _ ", "'; DROP TABLE audit; --"])
async def test_words_are_text_and_no_pattern(store: Store, words: str) -> None:
    await write(store, replace(ENTRY, user_agent=f"x {words} y"), replace(ENTRY, user_agent="Firefox"))
    assert len(await everything(store, Filter(words=words), 9)) == 1


async def test_rows_that_are_added_meanwhile_move_no_page(store: Store) -> None:
    await write(store, *(replace(ENTRY, request_id=f"r{n}") for n in range(10)))
    async with store.reading() as tx:
        first = await search.find(tx, Filter(), None, 4)
    await write(store, *(replace(ENTRY, at=NOW + 1) for _ in range(5)))
    async with store.reading() as tx:
        second = await search.find(tx, Filter(), first.older, 4)
    assert [row.request_id for row in first.rows + second.rows] == [f"r{n}" for n in range(9, 1, -1)]


@pytest.mark.parametrize("asked_for", [{"person": ENTRY.identifier}, {"address": ENTRY.address}, {"words": "x"}, {}])
async def test_what_other_tenants_have_does_not_even_show_in_how_far_was_looked(
    store: Store, monkeypatch: pytest.MonkeyPatch, asked_for: dict[str, str]
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    await write(store, *[ENTRY] * 12)
    async with store.reading() as tx:
        page = await search.find(tx, Filter(tenant="beta", **asked_for), None, 9)  # type: ignore[arg-type]
    assert (page.rows, page.older, page.is_full) == ([], None, True)


async def test_a_page_that_looked_at_enough_says_how_far(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    await write(store, replace(ENTRY, user_agent="needle"), *(replace(ENTRY, at=NOW + n) for n in range(12)))
    async with store.reading() as tx:
        page = await search.find(tx, Filter(words="needle"), None, 9)
    assert (page.rows, page.is_full) == ([], False)
    assert len(await everything(store, Filter(words="needle"), 9)) == 1


PLANS = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}


@pytest.mark.parametrize("tenant", [None, "acme"])
@pytest.mark.parametrize("group", [Group.FAILED_SIGN_INS, Group.ADMINISTRATION])
async def test_a_day_of_a_group_is_read_from_an_index(store: Store, tenant: str | None, group: Group) -> None:
    wanted = Filter(tenant, GROUPS[group], since=NOW, until=NOW + 86_400)
    query = search.matching(search.candidates(wanted), wanted).limit(26)
    events = [event for event in Event if event is not Event.REPEATED]
    rows = [replace(ENTRY, event=events[n % len(events)], at=NOW + n * 3_600, request_id=f"r{n}") for n in range(400)]
    await write(store, *rows)
    async with store.transaction() as tx:
        dialect = (await tx.execute(select(1))).context.dialect
        if dialect.name == "postgresql":  # which chooses by statistics, and reads small tables whole if it may
            await tx.execute(text("ANALYZE audit"))
            await tx.execute(text("SET LOCAL enable_seqscan = off"))
        sql = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")
        plan = [str(row[-1]) for row in await tx.exec_driver_sql(PLANS[dialect.name] + sql)]
    assert any("ix_audit_" in line and "event_at" in line for line in plan)
    assert [line for line in plan if "Seq Scan on audit" in line or line.startswith("SCAN audit")] == []


# What is taken out.


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


async def test_an_export_of_nothing_has_its_heading(store: Store) -> None:
    pieces = [piece async for piece in as_bytes(store, Filter(), Format.CSV)]
    assert b"".join(pieces).startswith(b"number,at,event,outcome,tenant")
