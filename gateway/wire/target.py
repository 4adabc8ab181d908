"""What path a request target names, and whether two servers could disagree about it.

A plain path has one reading. `/a//b`, `/a;x/b` and `/a%2fb` have two: a lenient server folds, cuts and decodes them, a
literal one does not. An escape inside an escape (`/a%252fb`, a file called `C%2523.pdf`) adds what a server finds that
decodes twice. An escaped `?` or `#` adds what a server finds that decodes before it looks for the path's end: to it
`/admin%3fx` is `/admin`. All readings are given, and policy must hold for each of them. Refused is what no honest
client sends and more readings could not cover: dot segments, a backslash, a control character, a third layer of
escapes, and a path that begins with two slashes. A server that takes the target for a URL reference finds a host
between those (RFC 3986 §4.2, a network-path reference): `//x/admin` would be `/admin` to it. The class of
CVE-2025-54576, CVE-2026-33494 and CVE-2026-40575.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

PLAIN = re.compile(rb"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@]+)*/?")
SAFE_CHARACTERS = re.compile(rb"[\x21\x22\x24-\x5b\x5d-\x7e]*")  # printable ASCII without # and backslash
SAFE_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
PARAMETERS = re.compile(r";[^/]*")
DOT_SEGMENT = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")
CUT = re.compile(r"[?#]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")


def read_path(path: bytes) -> tuple[str, ...] | None:
    """Return the readings of `path` (origin form, without the query), the lenient one first; None to refuse it."""
    if not path.startswith(b"/"):
        return None
    if PLAIN.fullmatch(path) and b"/." not in path:
        return (path.decode("ascii"),)
    if SAFE_CHARACTERS.fullmatch(path) is None or BROKEN_ESCAPE.search(path):
        return None
    try:
        return read_unusual_path(path.decode("ascii"))
    except UnicodeDecodeError:
        return None


def read_unusual_path(path: str) -> tuple[str, ...] | None:
    """Raises UnicodeDecodeError where what is escaped is not UTF-8."""
    once = decode(path)
    twice = decode(once)
    if not (is_clear(once) and is_clear(twice)) or ESCAPE.search(twice):
        return None
    readings = [lenient(once), literal(path)]
    for reading in readings:  # it grows meanwhile: some server goes on from each of them, and decodes again
        further = lenient(decode(reading)), literal(reading), CUT.split(reading, maxsplit=1)[0]
        readings += [more for more in further if more not in readings]
    return tuple(dict.fromkeys(readings))


def decode(path: str) -> str:
    return unquote_to_bytes(path).decode("utf-8")


def is_clear(decoded: str) -> bool:
    """Return whether no server can climb, cut or find a host in it, whatever it does about `;` and `//`."""
    bare = PARAMETERS.sub("", decoded)
    is_reference = bare.startswith("//")
    return not (is_reference or CONTROL.search(decoded) or DOT_SEGMENT.search(decoded) or DOT_SEGMENT.search(bare))


def lenient(decoded: str) -> str:
    """Return the path as a server sees it that cuts parameters and folds slashes."""
    return re.sub(r"/{2,}", "/", PARAMETERS.sub("", decoded))


def literal(path: str) -> str:
    """Decode each segment as a server does that splits first: an encoded slash is then no separator."""
    return decode(re.sub("%2f", "%252F", path, flags=re.IGNORECASE))


def is_safe_query(query: bytes) -> bool:
    """A query is opaque to us; it only must not hold a byte that can't stand in a request line or a log."""
    return SAFE_QUERY.fullmatch(query) is not None
