"""The Cookie field (RFC 6265bis §5.7), split into what is ours and what belongs to the upstream.

Ours is recognised generously, so that no spelling of it reaches the upstream, and believed strictly: only one
cookie with a well-formed value names a session.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.sessions.record import digest


class Cookies(NamedTuple):
    """`session_key` is the SHA-256 of the one session cookie; `rest` the Cookie value to forward, b"" for none."""

    session_key: bytes | None
    rest: bytes
    names: tuple[str, ...]


NO_COOKIES = Cookies(None, b"", ())


def split_cookies(value: bytes, session_cookie: bytes, own: frozenset[bytes]) -> Cookies:
    """`own` are the names of all the gateway's cookies, `session_cookie` the one of them that names the session."""
    sessions: list[bytes | None] = []
    rest: list[bytes] = []
    names: list[str] = []
    for part in value.split(b";"):
        pair = part.strip(b" \t")
        name, equals, content = pair.partition(b"=")
        likely = likely_name(pair)
        if likely == session_cookie:
            sessions.append(digest(content) if name == session_cookie else None)
        elif pair and likely not in own:
            rest.append(pair)
            if equals and name:
                names.append(name.rstrip(b" \t").decode("utf-8", "replace"))
    key = sessions[0] if len(sessions) == 1 else None
    return Cookies(key, b"; ".join(rest), tuple(names))


def likely_name(pair: bytes) -> bytes:
    """The name that a lenient server may find: some take `=name=x` and `"name" =x` for `name=x`."""
    return pair.lstrip(b'="\t ').partition(b"=")[0].strip(b'"\t ')
