"""Reads filters (RFC 7644 §3.4.2.2), as far as providers use them: `attribute eq "value"`, joined by `and`. Pure.

There are no brackets, no `or` and no `not`, so reading takes one pass.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

MAX_FILTER = 1_024  # characters
TERM = re.compile(
    r"\s*(?P<name>[A-Za-z$][\w$:.-]*)\s+eq\s+"
    r'(?P<value>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4})*"|true|false)\s*',
    re.ASCII | re.IGNORECASE,
)
AND = re.compile(r"and\s", re.IGNORECASE)


class Condition(NamedTuple):
    """`name` is in lower case, and without the schema of the resource."""

    name: str
    value: str | bool


class InvalidFilter(ValueError):
    """The filter can't be read, or is none that we support."""


def read(text: str, schema: str = "") -> list[Condition]:
    """Return the conditions, all of which must hold. Raises InvalidFilter."""
    if len(text) > MAX_FILTER:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER} characters")
    found: list[Condition] = []
    at = 0
    while True:
        term = TERM.match(text, at)
        if term is None:
            raise InvalidFilter('only comparisons like userName eq "erin@example.com", joined by and, are supported')
        value = json.loads(term["value"] if term["value"].startswith('"') else term["value"].lower())
        found.append(Condition(strip_schema(term["name"].lower(), schema), value))
        at = term.end()
        if at == len(text):
            return found
        joined = AND.match(text, at)
        if joined is None:
            raise InvalidFilter("comparisons can only be joined by and")
        at = joined.end()


def strip_schema(name: str, schema: str) -> str:
    """Return `name`, which is in lower case, without the URN of the resource's own schema."""
    return name.removeprefix(f"{schema.lower()}:") if schema else name
