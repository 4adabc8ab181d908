"""The target after sign-in, always a path of this site: no open redirect (class of CVE-2026-33494)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

from gateway.edge.origin import is_from_elsewhere
from gateway.model.base64url import encode_base64url
from gateway.model.inbound import Inbound
from gateway.wire.target import is_safe_query, read_path

HOME = "/"
NOT_KEPT = "not-kept"  # in the query: the submitted form was neither delivered nor kept
OWN_FORM, FOREIGN_FORM = "1", "other-site"  # the site that the form came from
MAX_LENGTH = 65_536  # characters; the settings' maximum of a request target
MAX_QUOTED = 15_000  # characters of a target in a query; nginx.conf limits request lines to 16 kB
LONG = 4_096
MAX_MAILED = 1_000  # characters of a quoted target in a mailed link
PARAMETERS = re.compile(r";[^/]*")
FRAGMENT = re.compile(r"[\x21\x22\x24-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class DeadEnds:
    """Paths that are not accepted as targets: pages to sign in or out, and resources that are no pages.

    `pages` are complete paths, without a final slash. Paths that begin with one of `below` are dead ends too, unless
    they begin with `forms`, where people sign in to send a saved form.
    """

    pages: frozenset[str]
    below: tuple[str, ...]
    forms: str

    def has(self, path: str) -> bool:
        """Whether one reading of a path is a dead end."""
        if path.startswith(self.forms):
            return False
        return path.rstrip("/") in self.pages or path.startswith(self.below)


def safe_return(text: str | None, dead_ends: DeadEnds) -> str:
    """Return `text` if it is a plain path of this site, with query and fragment; otherwise "/".

    The path must be valid like a request's. It must not begin with "//" in any reading: browsers strip tabs and convert
    backslashes, and some servers remove parameters after a semicolon. No reading may be a dead end.
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
    """Return the value of the cookie that marks a redirect to sign-in by the gateway itself, for `target`.

    It tells the sign-in page whether a person who is already signed in (in another tab) can be redirected on at once.
    If the application redirected them, from a sign-in page of its own, that would be a loop.
    """
    return encode_base64url(sha256(target.partition("#")[0].encode("ascii")).digest())


def way_query(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the query with the target after sign-in; "/" if it would be too long for a URL."""
    return f"next={quote_way(way_back(inbound, origins))}"


def quote_way(target: str) -> str:
    """Percent-encode a target for a query; "/" if even the shortest encoding exceeds MAX_QUOTED."""
    quoted = quote(target, safe="/")
    if len(quoted) > LONG:
        quoted = quote(target, safe="/?:@!$'()*,;=~")  # allowed in a query (RFC 3986 §3.4), except &
    return quoted if len(quoted) <= MAX_QUOTED else HOME


def return_query(target: str) -> str:
    """Return the query of a mailed link to the sign-in page that leads to `target`; "" if it would be too long."""
    way = quote_way(target)
    return f"?next={way}" if way != HOME and len(way) <= MAX_MAILED else ""


def lost_query(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the query that tells the sign-in page that a submitted form was lost, and whose it was."""
    return f"{NOT_KEPT}={FOREIGN_FORM if is_from_elsewhere(inbound, origins) else OWN_FORM}"


def way_back(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the target after sign-in: the requested page, or for a form or a part of a page, the page that has it.

    `origins` are those of the site, like https://app.example.com.
    """
    is_boosted = inbound.value(b"hx-boosted") == b"true"  # htmx follows a link to a whole page
    is_part = inbound.is_framed or (inbound.is_htmx and not is_boosted)
    if inbound.method in ("GET", "HEAD") and not is_part:
        return inbound.target.decode("ascii")
    page = inbound.value(b"hx-current-url") if inbound.is_htmx else None
    referer = (page or inbound.value(b"referer") or b"").decode("ascii", "replace")
    pages = (referer.removeprefix(origin) for origin in origins if referer.startswith(f"{origin}/"))
    return next(pages, HOME)


def again_query(is_only: bool) -> str:
    """Return the part of a query that tells a factor's page that a signed-in person is asked (see redirects.Wish)."""
    return "again=1&only=1" if is_only else "again=1"
