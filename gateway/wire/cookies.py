"""The Cookie field (RFC 6265bis §5.7), split into what is ours and what belongs to the upstream.

Ours are recognised generously, so that no spelling of them passes, and believed strictly: only the exact name counts,
and only one cookie with a well-formed value names a session, or an attempt to sign in. A look-alike is dropped and
counts for nothing: else whoever can set one, on another name of the same domain, could sign people out.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.model.token import digest

FORM_COOKIE = b"__Host-otium_form"  # the browser that sent a kept form (forms.record)
SENT_COOKIE = b"__Host-otium_sent"  # the gate sent this browser to sign in (edge.return_to)
BROWSER_COOKIE = b"__Host-otium_browser"  # the browser on which an account signed in (browsers.record)
OTHER_COOKIES = (FORM_COOKIE, BROWSER_COOKIE, SENT_COOKIE)


class Cookies(NamedTuple):
    """The keys are the SHA-256 of our own cookies, where there is one; `line` is the one Cookie
    field to forward, b"" for none."""

    session_key: bytes | None
    attempt_key: bytes | None
    line: bytes
    names: tuple[str, ...]
    form_key: bytes | None = None
    browser_key: bytes | None = None
    sent_key: bytes | None = None


NO_COOKIES = Cookies(None, None, b"", ())


def split_cookies(value: bytes, session_cookie: bytes, attempt_cookie: bytes) -> Cookies:
    """Both names are the gateway's own, as are those above; every other cookie is forwarded."""
    own: dict[bytes, list[bytes | None]] = {name: [] for name in (session_cookie, attempt_cookie, *OTHER_COOKIES)}
    rest: list[bytes] = []
    names: list[str] = []
    for part in value.split(b";"):
        pair = part.strip(b" \t")
        name, equals, content = pair.partition(b"=")
        likely = likely_name(pair)
        if likely in own:
            if equals and name == likely:
                own[likely].append(digest(content))
        elif pair:
            rest.append(pair)
            if equals and name:
                names.append(name.rstrip(b" \t").decode("utf-8", "replace"))
    session, attempt, form, browser, sent = (keys[0] if len(keys) == 1 else None for keys in own.values())
    line = b"Cookie: " + b"; ".join(rest) if rest else b""
    return Cookies(session, attempt, line, tuple(names), form, browser, sent)


def likely_name(pair: bytes) -> bytes:
    """Return the name that a lenient reader may find: some take `=name=x`, `"name" =x` or `n%61me=x` for `name=x`.

    A browser sends a cookie without a name as its value alone, so `=name=x` in Set-Cookie comes back as `name=x`.
    """
    name = pair.lstrip(b'="\t ').partition(b"=")[0].strip(b'"\t ')
    return unquote_to_bytes(name) if b"%" in name else name
