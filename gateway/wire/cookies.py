"""Splits the Cookie field (RFC 6265bis §5.7) into our cookies and the upstream's.

Our names are matched leniently when cookies are removed, so that no spelling of them reaches the upstream, and strictly
when they are used: the exact name, and a single well-formed value. Look-alikes are dropped and otherwise ignored, so
that an attacker who can set cookies from a sibling subdomain can't sign people out.
"""

from __future__ import annotations

from sys import intern
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.model.token import digest

FORM_COOKIE = b"__Host-otium_form"  # the browser that sent a saved form (dispatch.forms)
SENT_COOKIE = b"__Host-otium_sent"  # this browser was redirected to the sign-in page (web.return_to)
BROWSER_COOKIE = b"__Host-otium_browser"  # the browser that an account signed in with (browsers)
SSO_COOKIE = b"__Host-otium_sso"  # the browser in which a sign-in waits for an identity provider (sso)
ZONE_COOKIE = b"__Host-otium_zone"  # the browser's time zone, set by a script (templates/static/page.js)
MAX_ZONE = 40  # characters; the longest name in use has 32
OTHER_COOKIES = (FORM_COOKIE, BROWSER_COOKIE, SENT_COOKIE, SSO_COOKIE)
FIXED_COOKIES = (*OTHER_COOKIES, ZONE_COOKIE)  # all of ours whose names no setting changes


class Cookies(NamedTuple):
    """The keys are the SHA-256 of our cookies' values. `line` is the Cookie field to forward, b"" for none.

    `zone` is the value of the time zone's, which may be anything of MAX_ZONE characters; "" for none.
    """

    session_key: bytes | None
    attempt_key: bytes | None
    line: bytes
    names: tuple[str, ...]
    form_key: bytes | None = None
    browser_key: bytes | None = None
    sent_key: bytes | None = None
    sso_key: bytes | None = None
    zone: str = ""


NO_COOKIES = Cookies(None, None, b"", ())


def split_cookies(value: bytes, session_cookie: bytes, attempt_cookie: bytes) -> Cookies:
    """Split the field's value. Cookies other than these two, OTHER_COOKIES and ZONE_COOKIE are forwarded."""
    own: dict[bytes, list[bytes | None]] = {name: [] for name in (session_cookie, attempt_cookie, *OTHER_COOKIES)}
    zones: list[str] = []
    rest: list[bytes] = []
    names: list[str] = []
    for part in value.split(b";"):
        pair = part.strip(b" \t")
        name, equals, content = pair.partition(b"=")
        likely = likely_name(pair)
        if likely in own:
            if equals and name == likely:
                own[likely].append(digest(content))
        elif likely == ZONE_COOKIE:
            zones.append(content.decode("ascii", "replace") if len(content) <= MAX_ZONE else "")
        elif pair:
            rest.append(pair)
            if equals and name:
                names.append(intern(name.rstrip(b" \t").decode("utf-8", "replace")))  # one text for all people
    session, attempt, form, browser, sent, sso = (keys[0] if len(keys) == 1 else None for keys in own.values())
    line = b"Cookie: " + b"; ".join(rest) if rest else b""
    zone = intern(zones[0]) if len(zones) == 1 else ""
    return Cookies(session, attempt, line, tuple(names), form, browser, sent, sso, zone)


def likely_name(pair: bytes) -> bytes:
    """Return the name that a lenient parser may find: some read `=name=x`, `"name" =x` or `n%61me=x` as `name=x`.

    Browsers send a nameless cookie as its value alone, so `Set-Cookie: =name=x` comes back as `name=x`.
    """
    name = pair.lstrip(b'="\t ').partition(b"=")[0].strip(b'"\t ')
    return unquote_to_bytes(name) if b"%" in name else name
