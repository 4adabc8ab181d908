"""Numbers with their noun, for the command line and logs. (Pages have their own plurals, by language.)"""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 session" or "1,200 sessions". `many` is the plural, if it isn't `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
