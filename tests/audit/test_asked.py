"""The address of a view says what it shows: days of the reader, groups, one event, and the place of the page."""

from __future__ import annotations

from datetime import UTC as UTC_OFFSET
from datetime import datetime
from itertools import pairwise
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest

from gateway.audit import period
from gateway.audit.asked import Asked, read
from gateway.audit.period import Unit, slots, unit_for
from gateway.audit.search import Filter, Place
from gateway.model.event import GROUPS, Event, Group

UTC, BERLIN, TOKYO = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
SANTIAGO = ZoneInfo("America/Santiago")
HOUR, DAY = 3_600, 86_400


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC_OFFSET).timestamp())


NOW = at("2026-03-14T20:30")


def ask(zone: ZoneInfo = UTC, now: int = NOW, **fields: str) -> Asked:
    return read(fields, now, zone)


def test_what_is_asked_is_read_and_written_again() -> None:
    asked = ask(event="login", person=" Ann@Acme.example ", since="2026-03-14T09:26", words="a&b", before="5-7")
    assert asked.wrong == ()
    assert asked.wanted == Filter(
        events=frozenset((Event.LOGIN,)), person="ann@acme.example", since=1_773_480_360, words="a&b"
    )
    assert asked.before == Place(5, 7)
    again = asked.query(Place(1, 2))
    assert "words=a%26b" in again
    assert again.endswith("before=1-2")


def test_the_address_of_a_view_gives_the_same_view() -> None:
    asked = ask(day="yesterday", event="failed-sign-ins", address="192.0.2.1")
    again = read(dict(parse_qsl(asked.query(Place(3, 4)))), NOW, UTC)
    assert (again.wanted, again.before) == (asked.wanted, Place(3, 4))
    assert ask().query() == ""


@pytest.mark.parametrize(
    ("zone", "day", "since", "until"),
    [
        (UTC, "today", "2026-03-14", "2026-03-15"),
        (UTC, "yesterday", "2026-03-13", "2026-03-14"),
        (UTC, "", "2026-03-08", "2026-03-15"),
        (UTC, "last-7", "2026-03-08", "2026-03-15"),
        (UTC, "last-30", "2026-02-13", "2026-03-15"),
        (UTC, "2026-03-02", "2026-03-02", "2026-03-03"),
        (TOKYO, "today", "2026-03-14T15:00", "2026-03-15T15:00"),
        (BERLIN, "yesterday", "2026-03-12T23:00", "2026-03-13T23:00"),
        (BERLIN, "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        (BERLIN, "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        (SANTIAGO, "2026-09-06", "2026-09-06T04:00", "2026-09-07T03:00"),  # midnight is skipped
    ],
)
def test_a_day_is_one_of_the_readers_zone(zone: ZoneInfo, day: str, since: str, until: str) -> None:
    wanted = ask(zone, day=day).wanted
    assert (wanted.since, wanted.until) == (at(since), at(until))


def test_any_time_has_no_bounds() -> None:
    wanted = ask(day="any").wanted
    assert (wanted.since, wanted.until) == (None, None)


def test_relative_days_stay_relative() -> None:
    asked = ask(day="yesterday", event="sign-ins")
    assert dict(parse_qsl(asked.query())) == {"day": "yesterday", "event": "sign-ins"}
    later = read(dict(parse_qsl(asked.query())), NOW + 7 * DAY, UTC)
    assert later.wanted.since == (asked.wanted.since or 0) + 7 * DAY


def test_what_an_export_gets_is_not_relative() -> None:
    asked = ask(BERLIN, day="yesterday", event="sign-ins")
    later = read(asked.fixed, NOW + DAY, BERLIN)
    assert later.wanted == asked.wanted
    assert read(ask(day="any").fixed, NOW, UTC).wanted == Filter()


def test_from_and_to_replace_the_day_and_the_other_way_round() -> None:
    asked = ask(day="today", since="2026-03-01T00:00")
    assert (asked.wanted.since, asked.wanted.until, asked.day) == (at("2026-03-01"), None, "")
    assert asked.query() == "since=2026-03-01T00%3A00"
    assert asked.query(day="yesterday") == "day=yesterday"
    assert asked.query(day="last-7") == ""


@pytest.mark.parametrize("group", list(Group))
def test_a_group_is_asked_for_like_an_event(group: Group) -> None:
    assert ask(event=group.value).wanted.events == GROUPS[group]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("event", "nothing"),
        ("event", "Login"),
        ("day", "tomorrow"),
        ("day", "2026-02-30"),
        ("day", "9999-12-31"),
        ("day", "0001-01-01"),
        ("since", "yesterday"),
        ("until", "9999999-01-01"),
        ("until", "9999-12-31"),
        ("until", "0001-01-01"),
        ("person", "a\x00b"),
        ("words", "\ufffd"),
        ("before", "here"),
        ("before", "5-"),
        ("before", "99999999999999999-1"),
    ],
)
def test_what_can_not_be_read_is_named(name: str, text: str) -> None:
    assert read({name: text}, NOW, UTC).wrong == (name,)


def test_a_period_that_ends_before_it_begins_is_wrong() -> None:
    assert ask(since="2026-03-14", until="2026-03-13").wrong == ("since", "until")


def test_an_admin_can_only_narrow_the_own_tenant() -> None:
    asked = ask(tenant="beta", person="olga@beta.example").of_tenant("acme")
    assert asked.wanted.tenant == "acme"
    assert "beta" not in asked.query().replace("beta.example", "")


@pytest.mark.parametrize("zone", [UTC, BERLIN, SANTIAGO, ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe")])
@pytest.mark.parametrize("hours", [0.1, 2, 3, 24, 25, 31, 32, 24 * 7, 24 * 31, 24 * 92, 24 * 400, 24 * 5_000])
def test_slots_are_few_and_together_exactly_the_period(zone: ZoneInfo, hours: float) -> None:
    since = NOW - int(hours * HOUR)
    spans = list(slots(since, NOW, unit_for(since, NOW, zone), zone))
    assert (spans[0][0], spans[-1][1]) == (since, NOW)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert 1 <= len(spans) <= period.MOST_SLOTS
    links = [read(dict(parse_qsl(ask(zone).within(*span))), NOW, zone).wanted for span in spans]
    assert [(wanted.since, wanted.until) for wanted in links] == spans


@pytest.mark.parametrize(
    ("day", "unit", "count"),
    [("2026-10-25", Unit.HOUR, 25), ("2026-03-29", Unit.HOUR, 23), ("last-7", Unit.DAY, 7), ("last-30", Unit.DAY, 30)],
)
def test_a_day_is_drawn_by_its_hours_and_days_by_their_days(day: str, unit: Unit, count: int) -> None:
    wanted = ask(BERLIN, at("2026-11-01"), day=day).wanted
    since, until = wanted.since or 0, wanted.until or 0
    assert unit_for(since, until, BERLIN) is unit
    spans = list(slots(since, until, unit, BERLIN))
    assert len(spans) == count
    links = [read(dict(parse_qsl(ask(BERLIN).within(*span))), NOW, BERLIN).wanted for span in spans]
    assert [(link.since, link.until) for link in links] == spans
