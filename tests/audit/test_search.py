"""Rows are found by any filter, page by page, and drawn: on both engines."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from gateway.audit import asked, picture, search
from gateway.audit.chain import Row
from gateway.audit.export import Format, as_bytes, cell
from gateway.audit.search import Filter, Place
from gateway.model.event import Entry, Event, Outcome
from gateway.store import Store
from tests.audit.log import ENTRY, write
from tests.store.people import NOW

PEOPLE = ["ann@acme.example", "bob@beta.example", "eve@acme.example"]
EVENTS = [Event.LOGIN, Event.LOGIN_FAILED, Event.TWO_FACTOR_RESET]


def made(count: int) -> list[Entry]:
    chance = random.Random(7)
    entries = []
    for n in range(count):
        event, who = chance.choice(EVENTS), chance.choice(PEOPLE)
        details = {"by": chance.choice(PEOPLE)} if event is Event.TWO_FACTOR_RESET else {}
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
        and wanted.event in (None, entry.event)
        and wanted.outcome in (None, entry.outcome)
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
        (None, Event.LOGIN_FAILED),
        (None, Outcome.SUCCESS),
        ("", PEOPLE[0]),
        ("", "192.0.2.1"),
        (None, NOW + 20),
        ("", "FIREFOX"),
    )
    for tenant, event, outcome, person, address, since, words in choices:
        wanted = Filter(tenant, event, outcome, person, address, since, since and NOW + 60, words)
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


# The picture.


async def test_what_happened_is_counted_in_its_time(store: Store) -> None:
    hour = 3_600
    entries = [
        *(replace(ENTRY, at=NOW - n * hour) for n in range(5)),
        *(replace(ENTRY, at=NOW - 2 * hour, event=Event.LOGIN_FAILED, address="192.0.2.9") for _ in range(3)),
        replace(ENTRY, at=NOW, event=Event.LOGIN_LOCKOUT),
        replace(ENTRY, at=NOW - 8 * 86_400),
        replace(ENTRY, at=NOW, tenant="beta", address="192.0.2.1"),
    ]
    await write(store, *entries)
    async with store.reading() as tx:
        of_all = await picture.draw(tx, Filter(), NOW)
        of_one = await picture.draw(tx, Filter(tenant="acme"), NOW)
        of_address = await picture.draw(tx, Filter(address="192.0.2.9", tenant="acme"), NOW)
        of_beta = await picture.draw(tx, Filter(address="192.0.2.9", tenant="beta"), NOW)
    assert [chart.total for chart in of_all.charts] == [6, 3, 1]
    assert [chart.total for chart in of_one.charts] == [5, 3, 1]
    assert [chart.total for chart in of_address.charts] == [0, 3, 0]
    assert [chart.total for chart in of_beta.charts] == [0, 0, 0]
    assert [(share.name, share.count, share.part) for share in of_all.addresses] == [("192.0.2.9", 3, 100.0)]
    assert of_beta.addresses == ()
    assert sum(counts[1] for _, counts in of_all.table) == 3


@pytest.mark.parametrize("days", [0.001, 0.3, 1, 7, 30, 92, 4_000])
def test_a_picture_has_a_bounded_number_of_slots(days: float) -> None:
    since, until, width = picture.span_of(Filter(since=NOW - int(days * 86_400)), NOW)
    assert 1 <= len(range(since, until, width)) <= picture.MOST_SLOTS + 1
    assert until == NOW + 1


# What is asked, and what is taken out.


def test_what_is_asked_is_read_and_written_again() -> None:
    texts = {
        "event": "login",
        "person": " Ann@Acme.example ",
        "since": "2026-03-14T09:26",
        "words": "a&b",
        "before": "5-7",
    }
    read = asked.read(texts)
    assert read.wrong == ()
    assert read.wanted == Filter(event=Event.LOGIN, person="ann@acme.example", since=1_773_480_360, words="a&b")
    assert read.before == Place(5, 7)
    again = read.query(Place(1, 2))
    assert "words=a%26b" in again
    assert again.endswith("before=1-2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("event", "nothing"),
        ("outcome", "x"),
        ("since", "yesterday"),
        ("until", "9999999-01-01"),
        ("until", "0001-01-01"),
        ("person", "a\x00b"),
        ("words", "\ufffd"),
    ],
)
def test_what_can_not_be_read_is_named(name: str, text: str) -> None:
    assert asked.read({name: text}).wrong == (name,)


def test_an_admin_can_only_narrow_the_own_tenant() -> None:
    read = asked.read({"tenant": "beta", "person": "olga@beta.example"}).of_tenant("acme")
    assert read.wanted.tenant == "acme"
    assert "beta" not in read.query().replace("beta.example", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


async def test_an_export_of_nothing_has_its_heading(store: Store) -> None:
    pieces = [piece async for piece in as_bytes(store, Filter(), Format.CSV)]
    assert b"".join(pieces).startswith(b"number,at,event,outcome,tenant")
