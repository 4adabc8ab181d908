"""What path a request target names, and whether two servers could disagree about it.

A plain path has one reading. `/a//b`, `/a;x/b` and `/a%2fb` have two: a lenient server folds, cuts and decodes
them, a literal one does not. Both are given, and policy must hold for each. What would need a third reading
(dot segments, a backslash, NUL, an escape inside an escape) is no path that an honest browser sends, and is
refused. The class of CVE-2025-54576, CVE-2026-33494 and CVE-2026-40575.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

PLAIN = re.compile(rb"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@]+)*/?")
SAFE_CHARACTERS = re.compile(rb"[\x21\x22\x24-\x5b\x5d-\x7e]*")  # printable ASCII without # and backslash
SAFE_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
HIDDEN_ESCAPE = re.compile(r"%(?:2e|2f|5c|00|23|3b|3f|25|0[0-9a-f]|1[0-9a-f]|7f)", re.IGNORECASE)
DOT_SEGMENT = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")


def read_path(path: bytes) -> tuple[str, ...] | None:
    """Return the readings of `path` (origin form, without the query), the lenient one first; None to refuse it."""
    if not path.startswith(b"/"):
        return None
    if PLAIN.fullmatch(path) and b"/." not in path:
        return (path.decode("ascii"),)
    if SAFE_CHARACTERS.fullmatch(path) is None or BROKEN_ESCAPE.search(path):
        return None
    return read_unusual_path(path)


def read_unusual_path(path: bytes) -> tuple[str, ...] | None:
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return None
    lenient = re.sub(r"/{2,}", "/", re.sub(r";[^/]*", "", decoded))
    literal = "/".join(keep_slash_escaped(segment) for segment in path.decode("ascii").split("/"))
    for reading in (decoded, lenient):
        if DOT_SEGMENT.search(reading) or CONTROL.search(reading) or HIDDEN_ESCAPE.search(reading):
            return None
    return (lenient,) if lenient == literal else (lenient, literal)


def keep_slash_escaped(segment: str) -> str:
    """Decode a segment as a server does that splits first: an encoded slash is then no separator."""
    return unquote_to_bytes(re.sub("%2f", "%252F", segment, flags=re.IGNORECASE)).decode("utf-8")


def is_safe_query(query: bytes) -> bool:
    """A query is opaque to us; it only must not hold a byte that can't stand in a request line or a log."""
    return SAFE_QUERY.fullmatch(query) is not None
