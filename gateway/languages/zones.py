"""Time zones by their names in the IANA database, such as "Europe/Berlin"."""

from __future__ import annotations

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

UTC = ZoneInfo("UTC")
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def names() -> frozenset[str]:
    """Return the names of all zones. `zoneinfo.available_timezones` looks for them in 600 files."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone, or None if there is none of this name, which may be anything."""
    return ZoneInfo(name) if name in names() else None


@cache
def _places() -> frozenset[str]:
    """Return the zones of today's countries, without the aliases of older names."""
    table = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text("ascii")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return frozenset(name for _, _, name, *_ in rows) & names()


def list_zones(chosen: str = "") -> dict[str, list[str]]:
    """Return the zones that people choose from, by area, and the one that was `chosen` before, if it is another."""
    found: dict[str, list[str]] = {area: [] for area in AREAS}
    for name in sorted({*_places(), *({chosen} & names())}):
        area = name.partition("/")[0]
        if area in found:
            found[area].append(name)
    return found
