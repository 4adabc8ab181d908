"""Time zones by their names in the IANA database, such as "Europe/Berlin"."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

UTC = ZoneInfo("UTC")
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def names() -> frozenset[str]:
    return frozenset(available_timezones())


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone, or None if there is none of this name, which may be anything."""
    return ZoneInfo(name) if name in names() else None


def list_zones() -> dict[str, list[str]]:
    """Return the zones that people choose from, by area: those that are called after a place."""
    found: dict[str, list[str]] = {area: [] for area in AREAS}
    for name in sorted(names()):
        area = name.partition("/")[0]
        if area in found:
            found[area].append(name)
    return found
