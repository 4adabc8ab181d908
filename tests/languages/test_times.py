"""Times and numbers in the reader's language and zone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.languages import times
from gateway.languages.catalogue import OFFERED, Language
from gateway.languages.reader import Reader, written_for
from gateway.languages.zones import AREAS, find_zone, list_zones

AT = 1_773_480_360  # 14 March 2026, 09:26 UTC
SUMMER = 1_782_000_000  # 21 June 2026, 00:00 UTC


def reader(code: str = "en", zone: str = "UTC") -> Reader:
    return Reader(Language.of(code), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("write", "code", "zone", "written"),
    [
        (times.moment_text, "en", "UTC", "14 Mar 2026, 09:26"),
        (times.moment_text, "en", "Asia/Tokyo", "14 Mar 2026, 18:26"),
        (times.moment_text, "de", "Europe/Berlin", "14.03.2026, 10:26"),
        (times.moment_text, "fr", "Europe/Paris", "14 mars 2026, 10:26"),
        (times.moment_text, "pl", "Europe/Warsaw", "14 mar 2026, 10:26"),
        (times.moment_text, "es", "America/Lima", "14 mar 2026, 04:26"),
        (times.stamp_text, "it", "UTC", "14 mar 2026, 09:26:00"),
        (times.clock_text, "nl", "Asia/Kolkata", "14:56:00"),
        (times.day_text, "pt", "Pacific/Kiritimati", "14 de março de 2026"),
        (times.zoned_text, "en", "UTC", "14 March 2026, 09:26 UTC"),
        (times.zoned_text, "de", "Europe/Berlin", "14. März 2026, 10:26 CET"),
        (times.number_text, "de", "UTC", "1.773.480.360"),
        (times.number_text, "en", "UTC", "1,773,480,360"),
    ],
)
def test_each_reader_gets_their_own_form(write: Callable[[Any], str], code: str, zone: str, written: str) -> None:
    with written_for(reader(code, zone)):
        assert write(AT) == written


def test_summer_time_counts() -> None:
    with written_for(reader(zone="Europe/Berlin")):
        assert times.zoned_text(SUMMER) == "21 June 2026, 02:00 CEST"
        assert times.day_text(SUMMER - 3_600) == "21 June 2026"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (5, "vor 1 Minute"),
        (130, "vor 2 Minuten"),
        (3_700, "vor 1 Stunde"),
        (72_000, "vor 20 Stunden"),
        (86_400, "13.03.2026, 10:26"),
        (-5, "14.03.2026, 10:26"),
    ],
)
def test_what_was_a_moment_ago_says_so_and_what_was_long_ago_says_when(seconds: int, written: str) -> None:
    with written_for(reader("de", "Europe/Berlin")):
        assert times.ago_text(AT - max(seconds, 0), AT + min(seconds, 0)) == written


def test_an_element_has_the_exact_time_in_utc() -> None:
    with written_for(reader("de", "Europe/Berlin")):
        expected = '<time datetime="2026-03-14T09:26:00Z" title="2026-03-14 09:26:00 UTC">14.03.2026, 10:26</time>'
        assert times.write_moment(AT) == expected
        assert times.write_day(AT) == '<time datetime="2026-03-14">14.03.2026</time>'
        assert times.write_moment(None) == times.write_ago(None, AT) == "–"


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../../etc/passwd", "/etc/localtime", "europe/berlin", "x" * 999])
def test_only_names_of_the_database_are_zones(name: str) -> None:
    assert find_zone(name) is None


def test_people_choose_among_places() -> None:
    zones = list_zones()
    assert tuple(zones) == AREAS
    assert "Europe/Berlin" in zones["Europe"]
    assert "Africa/Timbuktu" not in zones["Africa"]
    assert 400 < sum(map(len, zones.values())) < 430
    assert "Asia/Calcutta" in list_zones("Asia/Calcutta")["Asia"]
    assert list_zones("Mars/Base") == zones


def test_what_is_let_go_of_a_locale_is_nothing_that_is_written() -> None:
    """In a process of its own, because `load_all` changes the locales for all that comes after."""
    script = """
from gateway.languages import times
from gateway.languages.catalogue import OFFERED, Language, load_all
from gateway.languages.reader import Reader, written_for
from gateway.languages.zones import find_zone
load_all()
for code in OFFERED:
    with written_for(Reader(Language.of(code), find_zone("America/Lima"))):
        writers = times.day_text, times.moment_text, times.stamp_text, times.clock_text, times.zoned_text
        said = [write(1_773_480_360) for write in writers]
        said += [times.ago_text(1_773_480_360 - ago, 1_773_480_360) for ago in (5, 90, 3_700, 50_000)]
        print(code, Language.of(code).name, *said, times.number_text(1234567.5), times.list_text(["a", "b", "c"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(OFFERED)
    assert lines[1].startswith("de Deutsch 14. März 2026 14.03.2026, 04:26")
