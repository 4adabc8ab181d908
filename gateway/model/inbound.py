"""The one reading of a request that policy, forwarding, pages and logs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CHUNKED = -1
NOTHING: frozenset[bytes] = frozenset()
NAVIGATING = frozenset(("GET", "HEAD", "POST"))  # what a browser goes to a page with


class Resource(NamedTuple):
    """A path as a request wrote it, and its readings; with `is_deep` everything below it is meant as well."""

    target: bytes
    readings: tuple[str, ...]
    is_deep: bool


FRAMES = (b"iframe", b"frame", b"object", b"embed")  # of Sec-Fetch-Dest (Fetch §2.2.7)


class Inbound(NamedTuple):
    """A request whose head was judged and accepted. Nothing downstream parses the request again.

    method      upper case, one of the methods the edge knows
    target      the request target, byte for byte as it came (origin form) and as it is forwarded
    readings    the path, percent-decoded; one reading for a plain path. An ambiguous path (`//`, `;`, `%2f`)
                has two: as a lenient server would see it, and as a literal one would. Policy must hold for each
    host        the configured authority that `Host` named, in its canonical spelling
    address     the client's address: the last hop that is not a trusted proxy; "" behind a Unix socket
    request_id  from a trusted proxy, else made here
    session_key SHA-256 of the session cookie, or None where there is none, several, or a malformed one
    attempt_key the same of the cookie of an attempt to sign in; form_key, browser_key and sent_key of our other cookies
    cookies     names of the cookies that belong to the upstream, in order
    lines       the field lines that may be forwarded, as they came, in order: hop-by-hop and forged ones, Host,
                framing and the gateway's own cookies are taken out, and there is one Cookie line at most
    nominated   the names of those of them that Connection makes hop-by-hop: checks see them, the upstream does not
    hints       what a trusted proxy said in fields that are stripped, by lower-case name; empty for others
    length      of the body in bytes, 0 for none, CHUNKED where it is framed in chunks
    dropped     names of the fields that somebody behind the gateway might believe, lower case: they go nowhere
    reach       what else is touched, besides the resource of the target (see edge.reach); empty for most requests
    """

    method: str
    target: bytes
    readings: tuple[str, ...]
    host: str
    address: str
    is_trusted: bool
    request_id: str
    session_key: bytes | None
    attempt_key: bytes | None
    cookies: tuple[str, ...]
    lines: list[bytes]
    nominated: frozenset[bytes]
    hints: Mapping[bytes, bytes]
    length: int
    is_http_1_1: bool
    is_keep_alive: bool
    is_websocket: bool
    expects_continue: bool
    dropped: tuple[bytes, ...] = ()
    reach: tuple[Resource, ...] = ()
    form_key: bytes | None = None
    browser_key: bytes | None = None
    sent_key: bytes | None = None

    @property
    def path(self) -> str:
        """The first reading: what a lenient server makes of the path. For display and page routes."""
        return self.readings[0]

    @property
    def query(self) -> str:
        """What stands behind the `?`, undecoded, without it; "" where there is none."""
        return self.target.partition(b"?")[2].decode("ascii")

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of every forwarded field called `name` (lower case), in order."""
        return [
            value.strip(b" \t")
            for field, _, value in (line.partition(b":") for line in self.lines)
            if field.lower() == name
        ]

    def value(self, name: bytes) -> bytes | None:
        """Return the first value of the field called `name` (lower case), or None."""
        values = self.values(name)
        return values[0] if values else None

    @property
    def user_agent(self) -> str:
        return (self.value(b"user-agent") or b"").decode("utf-8", "replace")

    @property
    def is_framed(self) -> bool:
        """Whether a navigation takes place in a frame of another page."""
        return self.value(b"sec-fetch-dest") in FRAMES

    @property
    def is_page(self) -> bool:
        """Whether what answers a navigation is shown as the page of a window; a download and a frame are not.

        Chromium says `empty` of a link with `download`: whatever comes with a good status is saved as the file.
        """
        return self.is_navigation and self.value(b"sec-fetch-dest") in (None, b"document")

    @property
    def is_htmx(self) -> bool:
        return self.value(b"hx-request") == b"true"

    @property
    def wants_html(self) -> bool:
        """Whether HTML is shown to a person, also by a service worker that fetched it, or by an older browser."""
        if self.is_websocket or self.is_htmx or self.value(b"x-requested-with") is not None:
            return False
        return self.is_navigation or b"text/html" in (self.value(b"accept") or b"").lower()

    @property
    def is_navigation(self) -> bool:
        """Whether a person is waiting for a page: what is said to them is then a page, not JSON.

        Browsers say so themselves (Sec-Fetch-Mode); for older ones, a wish for HTML without a script's mark.
        """
        if self.method not in NAVIGATING:
            return False
        mode = self.value(b"sec-fetch-mode")
        if mode is not None:
            return mode == b"navigate" and not self.is_websocket
        if self.is_websocket or self.value(b"x-requested-with") is not None:
            return False
        return b"text/html" in (self.value(b"accept") or b"").lower()
