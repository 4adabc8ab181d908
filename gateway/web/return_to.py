"""Where a person goes after signing in: only ever a path of this site (class of CVE-2026-33494)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

from gateway.edge.origin import is_from_elsewhere
from gateway.model.inbound import Inbound
from gateway.wire.target import is_safe_query, read_path

HOME = "/"
NOT_KEPT = "not-kept"  # in the query beside the way back: what a person sent has not arrived, and is not kept
OWN_FORM, FOREIGN_FORM = "1", "other-site"  # whose form it was
MAX_LENGTH = 65_536  # characters; the settings let no request have a longer target
MAX_QUOTED = 15_000  # characters of a target in a query; nginx.conf lets no request line be longer than 16 kB
LONG = 4_096
PARAMETERS = re.compile(r";[^/]*")
FRAGMENT = re.compile(r"[\x21\x22\x24-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class DeadEnds:
    """The paths at which signing in should not end: pages that ask to sign in or out again, and what is no page.

    `pages` are whole paths, without a final slash. A path that begins with one of `below` is a dead end as well,
    unless it begins with `forms`: a form that was kept is shown there, and people sign in to send it.
    """

    pages: frozenset[str]
    below: tuple[str, ...]
    forms: str

    def has(self, path: str) -> bool:
        """Return whether `path`, one reading of it, is a dead end."""
        if path.startswith(self.forms):
            return False
        return path.rstrip("/") in self.pages or path.startswith(self.below)


def safe_return(text: str | None, dead_ends: DeadEnds) -> str:
    """Return `text` if it is a plain path of this site, with query and fragment; "/" for anything doubtful.

    The path must pass the same judgement as a request's. Browsers strip tabs and turn backslashes around before they
    look for a second slash, and some servers take out what follows a semicolon: nothing of that kind may begin it.
    None of its readings may be a dead end.
    """
    if not text or len(text) > MAX_LENGTH or not text.isascii():
        return HOME
    address, _, fragment = text.partition("#")
    path, _, query = address.partition("?")
    readings = read_path(path.encode("ascii"))
    if readings is None or not is_safe_query(query.encode("ascii")) or not FRAGMENT.fullmatch(fragment):
        return HOME
    if PARAMETERS.sub("", unquote(path)).startswith("//"):
        return HOME
    return HOME if any(map(dead_ends.has, readings)) else text


def sent_value(target: str) -> str:
    """Return what a browser is given when the gate sends it to sign in on its way to `target`.

    Whoever has signed in meanwhile, in another tab, goes on at once if the gate had sent them. Somebody signed in whom
    the application sent, because it has a page for signing in of its own, would come back again and again.
    """
    return urlsafe_b64encode(sha256(target.partition("#")[0].encode("ascii")).digest()).decode("ascii").rstrip("=")


def way_query(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the query that takes the way back along; one that would be too long for an address leads home."""
    return f"next={quote_way(way_back(inbound, origins))}"


def quote_way(target: str) -> str:
    """Return `target` as it stands in a query; "/" if even the shortest spelling is too long for an address."""
    quoted = quote(target, safe="/")
    if len(quoted) > LONG:
        quoted = quote(target, safe="/?:@!$'()*,;=~")  # what may stand in a query as it is (RFC 3986 §3.4), but for &
    return quoted if len(quoted) <= MAX_QUOTED else HOME


def lost_query(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the query beside the way back after something that was sent and is gone."""
    return f"{NOT_KEPT}={FOREIGN_FORM if is_from_elsewhere(inbound, origins) else OWN_FORM}"


def way_back(inbound: Inbound, origins: Collection[str]) -> str:
    """Return what was asked for; after a form that could not be sent, the page of ours that it stood on,
    and so for what is only a part of a page.

    `origins` are those of the site, like https://app.example.com.
    """
    is_boosted = inbound.value(b"hx-boosted") == b"true"  # a link to a page, which htmx follows
    is_part = inbound.is_framed or (inbound.is_htmx and not is_boosted)
    if inbound.method in ("GET", "HEAD") and not is_part:
        return inbound.target.decode("ascii")
    page = inbound.value(b"hx-current-url") if inbound.is_htmx else None
    referer = (page or inbound.value(b"referer") or b"").decode("ascii", "replace")
    pages = (referer.removeprefix(origin) for origin in origins if referer.startswith(f"{origin}/"))
    return next(pages, HOME)
