"""Times, numbers and lists as the reader writes them. Times come as UTC seconds.

On pages they are `<time>` elements, with the exact time in UTC where one points, and isolated from the direction of the
text around them (gateway.css).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal
from markupsafe import Markup

from gateway.languages.reader import Reader, current_reader
from gateway.model.clock import DAY, write_utc

NONE = Markup("–")


def day_text(at: int) -> str:
    """Return the date in the reader's zone, with the month in full, for mails."""
    reader = current_reader()
    return format_date(local(at, reader), "long", locale=reader.language.locale)


def moment_text(at: int) -> str:
    """Return date and time, to the minute."""
    return together(at, "HH:mm")


def stamp_text(at: int) -> str:
    """Return date and time, to the second."""
    return together(at, "HH:mm:ss")


def clock_text(at: int) -> str:
    """Return the time of the day, to the second."""
    reader = current_reader()
    return format_time(local(at, reader), "HH:mm:ss", locale=reader.language.locale)


def zoned_text(at: int) -> str:
    """Return date and time to the minute with the zone, where nothing else names it: in mails, and for strangers."""
    return f"{together(at, 'HH:mm', 'long')} {local(at, current_reader()):%Z}"


def ago_text(at: int, now: int) -> str:
    """Return how long ago it was, or the day if that was more than a day ago."""
    if now - at >= DAY or at > now:
        return moment_text(at)
    locale = current_reader().language.locale
    return format_timedelta(timedelta(seconds=at - now), granularity="minute", add_direction=True, locale=locale)


def number_text(number: float) -> str:
    return format_decimal(number, locale=current_reader().language.locale)


def list_text(items: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return format_list(items, locale=current_reader().language.locale)


def zone_text() -> str:
    """Return the name of the reader's zone: "Europe/Berlin"."""
    return current_reader().zone.key.replace("_", " ")


def write_moment(at: int | None) -> Markup:
    return NONE if at is None else element(at, moment_text(at))


def write_zoned(at: int) -> Markup:
    return element(at, zoned_text(at))


def write_stamp(at: int) -> Markup:
    return element(at, stamp_text(at))


def write_second(at: int) -> Markup:
    return element(at, clock_text(at))


def write_ago(at: int | None, now: int) -> Markup:
    """Return the time since `at`, and the time itself, for the one who points there."""
    return NONE if at is None else element(at, ago_text(at, now))


def write_day(at: int) -> Markup:
    """Return the element of a day. It is the same day in every zone if it is midnight in UTC, as days without a time
    are stored.
    """
    reader = current_reader()
    text = format_date(local(at, reader), "medium", locale=reader.language.locale)
    return Markup('<time datetime="{}">{}</time>').format(f"{local(at, reader):%Y-%m-%d}", text)


def element(at: int, text: str) -> Markup:
    exact = write_utc(at)
    pointed_at = exact.replace("T", " ").replace("Z", " UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, pointed_at, text)


def together(at: int, clock: str, form: str = "medium") -> str:
    """Return date and time of day, joined as the language joins them. `form` is Babel's, of the date."""
    reader = current_reader()
    locale, when = reader.language.locale, local(at, reader)
    day = format_date(when, form, locale=locale)
    return str(locale.datetime_formats["medium"]).format(format_datetime(when, clock, locale=locale), day)


def local(at: int, reader: Reader) -> datetime:
    return datetime.fromtimestamp(at, reader.zone)
