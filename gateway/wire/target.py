"""Parses the path of a request target in every way in which a server might.

A plain path has one reading. `/a//b`, `/a;x/b` and `/a%2fb` have two: lenient servers merge slashes, remove parameters
and decode separators, literal ones do not. An escape inside an escape (`/a%252fb`, a file named `C%2523.pdf`) adds the
reading of servers that decode twice. An escaped `?` or `#` adds the reading of servers that decode before they split
off the query: they see `/admin%3fx` as `/admin`. Policy must allow every reading.

Refused are targets that no legitimate client sends and that more readings could not cover: dot segments, backslashes,
control characters, a third layer of escapes, and a path that begins with two slashes. A server that parses the target
as a URL reference finds a host there (network-path reference, RFC 3986 §4.2), and sees `//x/admin` as `/admin`.
CVE-2025-54576, CVE-2026-33494 and CVE-2026-40575 are of this class.
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
    """Return the readings of `path` (origin form, without the query), the most lenient first; None to refuse it."""
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
    """Raises UnicodeDecodeError if the decoded path is not UTF-8."""
    once = decode(path)
    twice = decode(once)
    if not (is_unambiguous(once) and is_unambiguous(twice)) or ESCAPE.search(twice):
        return None
    readings = [lenient(once), literal(path)]
    for reading in readings:  # grows during the loop: a server may apply each step to the result of another
        further = lenient(decode(reading)), literal(reading), CUT.split(reading, maxsplit=1)[0]
        readings += [more for more in further if more not in readings]
    return tuple(dict.fromkeys(readings))


def decode(path: str) -> str:
    return unquote_to_bytes(path).decode("utf-8")


def is_unambiguous(decoded: str) -> bool:
    """Return whether no server can find dot segments, an end or a host in the path, however it handles `;` and `//`."""
    bare = PARAMETERS.sub("", decoded)
    is_reference = bare.startswith("//")
    return not (is_reference or CONTROL.search(decoded) or DOT_SEGMENT.search(decoded) or DOT_SEGMENT.search(bare))


def lenient(decoded: str) -> str:
    """Return the path as seen by a server that removes parameters and merges slashes."""
    return re.sub(r"/{2,}", "/", PARAMETERS.sub("", decoded))


def literal(path: str) -> str:
    """Return the path as seen by a server that splits it first: an encoded slash is then no separator."""
    return decode(re.sub("%2f", "%252F", path, flags=re.IGNORECASE))


def is_safe_query(query: bytes) -> bool:
    """Whether the query has only characters that may appear in a request line and a log. It is otherwise opaque."""
    return SAFE_QUERY.fullmatch(query) is not None
