"""What the application keeps in a browser, as far as the gateway sees it, and how it is removed. Pure.

Some applications (pgAdmin, Airflow) keep serving the first user they saw in a browser, whatever the identity headers
say. So when another person signs in there, everything that the application keeps is removed: storage and caches by
Clear-Site-Data, cookies by expiring each of them. Clear-Site-Data could remove cookies too, but it removes those of the
whole registrable domain, so of every other site of the company, and the session cookie in the same response (measured
in Chromium 156; W3C Clear Site Data §3.1). Expiring a cookie requires its name, domain and path (RFC 6265 §5.3): for
one that is sent to the sign-in page they can be guessed, for others they were learnt when the application set it. A
cookie that a script sets below a path appears in no response and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from gateway.model.clock import DAY
from gateway.wire.authority import read_authority

MAX_BYTES = 1_500  # in one response
MAX_WORD = 256  # characters of a name, a domain or a path
LIFE_SECONDS = 400 * DAY  # no browser keeps a cookie for longer (RFC 6265bis §5.5)
NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z:@/?{}()\[\]<>]+")  # lenient: any text that is safe in one header line
PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*")
DOMAIN = re.compile(r"[a-z0-9\-.]+")


class AppCookie(NamedTuple):
    """A cookie of the application; `domain` is "" for a host-only cookie."""

    name: str
    domain: str
    path: str

    @property
    def expiry(self) -> str:
        """The Set-Cookie value that expires the cookie."""
        domain = f"; Domain={self.domain}" if self.domain else ""
        return f"{self.name}=; Path={self.path}{domain}; Max-Age=0; Secure"


def read_set_cookie(line: bytes, request_path: str) -> AppCookie | None:
    """Parse a Set-Cookie line as browsers do (RFC 6265 §5.2).

    Returns None for a cookie that is sent to the sign-in page anyway (host-only, with the path /), and for one that is
    too long or malformed to be stored.
    """
    pair, *attributes = line.partition(b":")[2].decode("latin-1").split(";")
    name, equals, _ = pair.partition("=")
    given = {"path": "", "domain": ""}
    for attribute in attributes:
        key, _, value = attribute.partition("=")
        if key.strip().lower() in given:
            given[key.strip().lower()] = value.strip()
    path = given["path"] if given["path"].startswith("/") else default_path(request_path)
    cookie = AppCookie(name.strip(), given["domain"].lower().removeprefix("."), path)
    is_plain = equals and NAME.fullmatch(cookie.name) and PATH.fullmatch(path)
    if not is_plain or (cookie.domain and not DOMAIN.fullmatch(cookie.domain)) or max(map(len, cookie)) > MAX_WORD:
        return None
    return None if cookie == AppCookie(cookie.name, "", "/") else cookie


def default_path(request_path: str) -> str:
    """Return the path of a cookie that names none (RFC 6265 §5.1.4): the folder of the requested path."""
    folder = request_path.rpartition("/")[0]
    return folder if folder.startswith("/") else "/"


def guess(names: Iterable[str], host: str) -> Iterator[AppCookie]:
    """Yield the possible cookies behind those sent to a page of ours: of this host, or of a domain above it."""
    domains = ("", *domains_of(host))
    for name in names:
        if NAME.fullmatch(name) and len(name) <= MAX_WORD:
            for domain in domains:
                yield AppCookie(name, domain, "/")


def domains_of(host: str) -> list[str]:
    """Return the domains whose cookies are sent to `host` (an authority), without the top-level one, which can have
    none.
    """
    name = read_authority(host.encode("ascii")) or ""
    labels = name.split(".")
    if is_address(name):
        return []
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]


def expiries(learnt: Iterable[AppCookie], names: Iterable[str], host: str) -> list[str]:
    """Return the Set-Cookie values that expire all of these, the learnt ones first."""
    return [cookie.expiry for cookie in dict.fromkeys((*learnt, *guess(names, host)))]


def fitting(lines: Sequence[str]) -> int:
    """Return how many of the values fit into one response; proxies hold its whole head in one small buffer."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line) + len("Set-Cookie: \r\n")
        if size > MAX_BYTES:
            return max(1, count)
    return len(lines)


def is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
