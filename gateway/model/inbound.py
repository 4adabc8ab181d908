"""The parsed request, shared by policy, forwarding, pages and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.model.api_token import is_credential

CHUNKED = -1
NOTHING: frozenset[bytes] = frozenset()
NAVIGATING = frozenset(("GET", "HEAD", "POST"))  # the methods of a browser's navigation


class Resource(NamedTuple):
    """A path as sent, and its readings. `is_deep`: everything below it is included."""

    target: bytes
    readings: tuple[str, ...]
    is_deep: bool


FRAMES = (b"iframe", b"frame", b"object", b"embed")  # of Sec-Fetch-Dest (Fetch §2.2.7)


class Inbound(NamedTuple):
    """A request whose head was parsed and accepted. No later code parses the request again.

    method      upper case, one of the methods the edge knows
    target      the request target (origin form), forwarded byte for byte
    readings    the path, percent-decoded. An ambiguous path (`//`, `;`, `%2f`) has several: as lenient and as literal
                servers interpret it. Policy must allow every one
    host        the configured authority that `Host` names, in its canonical spelling
    address     the client's address: the last hop that is not a trusted proxy; "" behind a Unix socket
    request_id  from a trusted proxy, or else random
    session_key SHA-256 of the session cookie; None if it is missing, malformed or present twice. Or the credential of
                an API token (see model.api_token)
    attempt_key the same of the sign-in attempt's cookie; form_key, browser_key, sent_key and sso_key of our others
    zone        the browser's time zone, as its script names it; may be any text. "" if it is not known
    cookies     names of the upstream's cookies, in order
    lines       the field lines that may be forwarded, as sent and in order: without hop-by-hop and forged fields, Host,
                framing and our own cookies, and with at most one Cookie line
    nominated   names of fields among them that Connection makes hop-by-hop: checks use them, the upstream gets none
    hints       values from a trusted proxy in fields that are not forwarded, by lower-case name; empty for others
    length      of the body in bytes, 0 for none, CHUNKED if it is chunked
    dropped     names (lower case) of removed fields that an application might have trusted
    reach       resources that the request affects besides its target (see edge.reach); usually empty
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
    dropped: Sequence[bytes] = ()
    reach: tuple[Resource, ...] = ()
    form_key: bytes | None = None
    browser_key: bytes | None = None
    sent_key: bytes | None = None
    sso_key: bytes | None = None
    zone: str = ""

    @property
    def has_token(self) -> bool:
        """Whether a program sent an API token, or what looks like one, in the place of a cookie."""
        return self.session_key is not None and is_credential(self.session_key)

    @property
    def path(self) -> str:
        """The first, most lenient reading. For display and page routes."""
        return self.readings[0]

    @property
    def query(self) -> str:
        """The part after the `?`, undecoded; "" if there is none."""
        return self.target.partition(b"?")[2].decode("ascii")

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of every forwarded field called `name` (lower case), in order."""
        field = name + b":"
        end = len(field)
        return [line[end:].strip(b" \t") for line in self.lines if line[:end].lower() == field]

    def value(self, name: bytes) -> bytes | None:
        """Return the first value of the forwarded field called `name` (lower case), or None."""
        values = self.values(name)
        return values[0] if values else None

    @property
    def user_agent(self) -> str:
        return (self.value(b"user-agent") or b"").decode("utf-8", "replace")

    @property
    def is_framed(self) -> bool:
        """Whether the response is displayed in a frame of another page."""
        return self.value(b"sec-fetch-dest") in FRAMES

    @property
    def is_page(self) -> bool:
        """Whether the response is displayed as a top-level page: not a download, not a frame.

        Chromium sends `empty` for a link with `download`, and saves any successful response as the file.
        """
        return self.is_navigation and self.value(b"sec-fetch-dest") in (None, b"document")

    @property
    def is_htmx(self) -> bool:
        return self.value(b"hx-request") == b"true"

    @property
    def wants_html(self) -> bool:
        """Whether the response may be HTML: a navigation, a service worker's fetch for one, or an older browser."""
        if self.is_websocket or self.is_htmx or self.value(b"x-requested-with") is not None:
            return False
        return self.is_navigation or b"text/html" in (self.value(b"accept") or b"").lower()

    @property
    def is_navigation(self) -> bool:
        """Whether a browser navigates, so that errors are pages rather than JSON.

        Browsers say so in Sec-Fetch-Mode. Older ones are recognised by accepting HTML without X-Requested-With.
        """
        if self.method not in NAVIGATING:
            return False
        mode = self.value(b"sec-fetch-mode")
        if mode is not None:
            return mode == b"navigate" and not self.is_websocket
        if self.is_websocket or self.value(b"x-requested-with") is not None:
            return False
        return b"text/html" in (self.value(b"accept") or b"").lower()
