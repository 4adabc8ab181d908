"""Days of a reader's time zone as UTC seconds, and the slots of a chart between two times. Pure.

A day begins at its first moment in the zone, so it may have 23 or 25 hours. Where midnight is skipped by a change to
summer time, the day begins with the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from gateway.model.clock import HOUR, MINUTE

MOST_SLOTS = 31
LATEST = 250_000_000_000  # the year 9892: days after it can still be computed with


class Days(StrEnum):
    """Periods relative to today. The values are part of saved addresses, which stay relative."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    LAST_7 = "last-7"
    LAST_30 = "last-30"
    ANY = "any"


class Unit(StrEnum):
    MINUTES = "minutes"  # five
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


FIXED = {Unit.MINUTES: 5 * MINUTE, Unit.HOUR: HOUR}


@dataclass(frozen=True, slots=True)
class Span:
    """A period, in UTC seconds; `until` is not included. None is no bound."""

    since: int | None = None
    until: int | None = None


def read_day(text: str, now: int, zone: ZoneInfo) -> Span | None:
    """Return the period of a value of Days, or of a date (2026-03-14); None if it is neither."""
    today = local(now, zone).date()
    if text == Days.ANY:
        return Span()
    first = {
        Days.TODAY.value: today,
        Days.YESTERDAY.value: today - timedelta(1),
        Days.LAST_7.value: today - timedelta(6),
        Days.LAST_30.value: today - timedelta(29),
    }
    try:
        begins = first.get(text) or date.fromisoformat(text)
        ends = today + timedelta(1) if text in (Days.LAST_7, Days.LAST_30) else begins + timedelta(1)
        span = Span(start_of(begins, zone), start_of(ends, zone))
    except (ValueError, OverflowError):
        return None
    return span if span.since is not None and 0 <= span.since <= LATEST else None


def read_time(text: str, zone: ZoneInfo) -> int | None:
    """Return the UTC seconds of a time as a browser's field sends it (2026-03-14T09:26), or of a day; from 1970 on.

    A time that names its offset from UTC is that of no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= LATEST else None


def write_time(at: int, zone: ZoneInfo) -> str:
    """Return the text that `read_time` reads. Only an hour that happens twice names its offset."""
    moment = local(at, zone)
    plain = moment.replace(tzinfo=None)
    is_plain = read_time(plain.isoformat(), zone) == at
    return (plain if is_plain else moment).isoformat(timespec="seconds" if moment.second else "minutes")


def find_day(since: int, until: int, zone: ZoneInfo) -> date | None:
    """Return the day that this period is, if it is one."""
    day = local(since, zone).date()
    return day if (since, until) == (start_of(day, zone), start_of(day + timedelta(1), zone)) else None


def end_of_day(at: int, zone: ZoneInfo) -> int:
    return start_of(local(at, zone).date() + timedelta(1), zone)


def unit_for(since: int, until: int, zone: ZoneInfo) -> Unit:
    """Return the shortest unit that has at most MOST_SLOTS slots between two times, or years."""
    for unit in Unit:
        if sum(1 for _, _ in zip(range(MOST_SLOTS + 1), slots(since, until, unit, zone), strict=False)) <= MOST_SLOTS:
            return unit
    return Unit.YEAR


def slots(since: int, until: int, unit: Unit, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each slot, which together are exactly the period."""
    at = since
    while at < until:
        end = min(end_of_slot(at, unit, zone), until)
        yield at, end
        at = end


def end_of_slot(at: int, unit: Unit, zone: ZoneInfo) -> int:
    """Return the start of the slot after the one of `at`."""
    moment = local(at, zone)
    if unit in FIXED:
        width = FIXED[unit]
        return at + width - (moment.minute * MINUTE + moment.second) % width
    day = moment.date()
    match unit:
        case Unit.DAY:
            following = day + timedelta(1)
        case Unit.WEEK:
            following = day + timedelta(7 - day.weekday())
        case Unit.MONTH:
            following = (day.replace(day=1) + timedelta(31)).replace(day=1)
        case _:
            following = day.replace(year=day.year + 1, month=1, day=1)
    return start_of(following, zone)


def start_of(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def local(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, zone)
