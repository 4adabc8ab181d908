"""Where a person goes after signing in: only ever a path of this site (class of CVE-2026-33494)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from gateway.edge.inbound import Inbound
from gateway.edge.target import is_safe_query, read_path

HOME = "/"
NOT_KEPT = "not-kept"  # in the query beside the way back: what a person sent has not arrived, and is not kept
MAX_LENGTH = 4_096  # characters
FRAGMENT = re.compile(r"[\x21\x22\x24-\x5b\x5d-\x7e]*")


def safe_return(text: str | None) -> str:
    """Return `text` if it is a plain path of this site, with query and fragment; "/" for anything doubtful.

    The path must pass the same judgement as a request's, and have one reading: browsers strip tabs and turn
    backslashes around before they look for a second slash, so nothing of that kind is left to them.
    """
    if not text or len(text) > MAX_LENGTH or not text.isascii():
        return HOME
    address, _, fragment = text.partition("#")
    path, _, query = address.partition("?")
    readings = read_path(path.encode("ascii"))
    if readings is None or len(readings) > 1 or not is_safe_query(query.encode("ascii")):
        return HOME
    if unquote(path).startswith("//") or not FRAGMENT.fullmatch(fragment):
        return HOME
    return HOME if is_dead_end(readings[0]) else text


def is_dead_end(path: str) -> bool:
    """Signing in must not end in signing out, nor at the sign-in page again. A form that was kept is an end."""
    if path.startswith("/login/form/"):
        return False
    return path.rstrip("/") in ("/login", "/logout") or path.startswith(("/login/", "/_gateway/"))


def way_query(inbound: Inbound, origins: Iterable[str]) -> str:
    """Return the query that takes the way back along; one that would be too long for an address leads home."""
    way = quote(way_back(inbound, origins), safe="/")
    return f"next={way if len(way) <= MAX_LENGTH else HOME}"


def way_back(inbound: Inbound, origins: Iterable[str]) -> str:
    """Return what was asked for; after a form that could not be sent, the page of ours that it stood on.

    `origins` are those of the site, like https://app.example.com.
    """
    if inbound.method in ("GET", "HEAD"):
        return inbound.target.decode("ascii")
    referer = (inbound.value(b"referer") or b"").decode("ascii", "replace")
    pages = (referer.removeprefix(origin) for origin in origins if referer.startswith(f"{origin}/"))
    return next(pages, HOME)
