"""Checks of single values. Each returns its value, or raises ValueError with advice for the operator."""

from __future__ import annotations

import contextlib
import os
import re
from email.utils import getaddresses
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from pydantic import AfterValidator

from gateway.breaches.lists import open_list
from gateway.languages.catalogue import OFFERED
from gateway.languages.pseudo import PSEUDO
from gateway.languages.zones import find_zone
from gateway.model.account import normalise_domain
from gateway.store.location import PostgreSQL, locate
from gateway.wire.authority import read_authority
from gateway.wire.http1 import HOP_BY_HOP
from gateway.wire.names import FORGED, HINTS

DNS_PORT = 53
HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?")  # and no IP address
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
COOKIE_NAME = re.compile(r"__Host-[A-Za-z0-9_-]{1,40}")
SENDER_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
SUPPORT = re.compile(rf"(?:{SENDER_ADDRESS.pattern}|https://\S+)?")
LOGO = re.compile(r"(?:/(?![/\\])\S*|data:image/.+)?")  # browsers read //host and /\host as another site
LEFT_OUT = re.compile(r"/(?:[^\s/?#*]+/)+|\*\.[A-Za-z0-9.]+")
PAGE_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
PAGE_PATH = re.compile(rf"{PAGE_PREFIX.pattern}(?:/\{{[a-z]+\}})?")

# Header fields with a meaning in HTTP, for proxies or for the gateway. Identity headers can't use these names, because
# the application would lose the original value. X-Forwarded-User and similar ones are allowed: other products use them
# for identity as well.
TAKEN_NAMES = frozenset(name.decode("ascii") for name in HOP_BY_HOP | HINTS | FORGED) | {
    "authorization",
    "cache-control",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "location",
    "origin",
    "pragma",
    "range",
    "referer",
    "server",
    "set-cookie",
    "user-agent",
    "vary",
    "via",
    "x-forwarded-by",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-requested-with",
}
TAKEN_PREFIXES = ("accept", "access-control-", "content-", "if-", "sec-", "x-accel-", "x-original-")


def check_address(text: str) -> str:
    if text.startswith("unix:/"):
        return text
    host, _, port = text.rpartition(":")
    if not is_host(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(
            "write host:port, [v6 address]:port, or unix:/path/to/socket, with no http:// before and nothing behind it"
        )
    return text


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address, or an IPv6 address in brackets."""
    if not (text.startswith("[") and text.endswith("]")):
        return HOST_NAME.fullmatch(text) is not None
    try:
        IPv6Address(text[1:-1])
    except ValueError:
        return False
    return True


def check_optional_address(text: str) -> str:
    return check_address(text) if text else text


def check_resolver(text: str) -> str:
    """Accept a DNS server: an IP address, with or without a port; "" for the system's."""
    if text:
        try:
            read_resolver(text)
        except ValueError:
            raise ValueError(
                'write an IP address, with or without :port, like "192.0.2.53" or "[2001:db8::53]:53"'
            ) from None
    return text


def read_resolver(text: str) -> tuple[str, int]:
    """Return address and port of a DNS server. Raises ValueError."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text)), DNS_PORT
    parts = urlsplit(f"//{text}")
    if parts.netloc != text or "@" in text or not parts.port:
        raise ValueError(text)
    return str(ip_address(parts.hostname or "")), parts.port


def check_network(text: str) -> str:
    if text != "unix":
        try:
            ip_network(text)
        except ValueError as error:
            raise ValueError(f'write an address, a network like 10.0.0.0/8, or "unix" ({error})') from None
    return text


def check_store(text: str) -> str:
    locate(text)
    return text


def check_direct_url(text: str) -> str:
    if text and not isinstance(locate(text), PostgreSQL):
        raise ValueError("use postgresql://user@host/database, past the pooler, or leave it empty")
    return text


def check_public_url(text: str) -> str:
    parts = urlsplit(text)
    authority = read_authority(parts.netloc.encode("ascii", "replace"))
    if parts.scheme not in ("http", "https") or authority is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("use the address people type, without a path, e.g. https://app.example.com")
    if parts.scheme == "http" and not (authority == "localhost" or authority.endswith(".localhost")):
        raise ValueError("must be https; http is only allowed for localhost")
    return text.rstrip("/").lower()


def check_host(text: str) -> str:
    if read_authority(text.encode("ascii", "replace")) is None:
        raise ValueError("write a host name, with :port if people type one")
    return text


def check_rp_id(text: str) -> str:
    if text and not DOMAIN.fullmatch(text.lower()):
        raise ValueError('write a domain like example.com, without https:// and port, or "" for the host of public_url')
    return text.lower()


def rp_ids_for(host: str) -> list[str]:
    """Return the RP IDs for which browsers accept passkeys on `host` (WebAuthn L3 §4): it, and domains above it.

    Browsers refuse public suffixes as well. Those of one label are left out; others, like co.uk, aren't known here.
    """
    if not DOMAIN.fullmatch(host):
        return []  # an IP address
    labels = host.split(".")
    return [host, *(".".join(labels[at:]) for at in range(1, len(labels) - 1))]


def check_product(text: str) -> str:
    """Refuse colons: in an otpauth:// URI they end the issuer, and authenticator apps decode escapes differently."""
    if ":" in text:
        raise ValueError("leave the colon out; in authenticator apps it separates this name from a person's email")
    if not text.isprintable() or not text.strip():
        raise ValueError("write a name of one line")
    return text


def check_language(code: str) -> str:
    """Accept what pages are offered in, and the pseudo-languages of translators."""
    if code not in OFFERED and code not in PSEUDO:
        raise ValueError(f"write one of {', '.join(OFFERED)}")
    return code


def check_zone(name: str) -> str:
    if find_zone(name) is None:
        raise ValueError('write the name of a time zone, like "Europe/Berlin", or "UTC"')
    return name


def check_sender(text: str) -> str:
    addresses = [address for _, address in getaddresses([text])]
    if len(addresses) != 1 or not text.isprintable() or not SENDER_ADDRESS.fullmatch(addresses[0]):
        raise ValueError("write an address, or a name and an address, like OtiumWork <no-reply@example.com>")
    return text


def check_file(text: str) -> str:
    if text and not os.path.isfile(text):
        raise ValueError("there is no such file")
    return text


def check_certificates(path: str) -> str:
    if path:
        check_file(path)
        try:
            load_pem_x509_certificates(Path(path).read_bytes())
        except (OSError, ValueError):
            raise ValueError("this is no file of certificates in PEM format that can be read") from None
    return path


def check_header(name: str) -> str:
    if name and not HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no header name (letters, digits and - only)")
    if name.lower() in TAKEN_NAMES or name.lower().startswith(TAKEN_PREFIXES):
        raise ValueError(
            f"{name} says something else already, in HTTP or to proxies; take another name, like X-App-User"
        )
    return name


def check_header_with_value(name: str) -> str:
    """Check the name of a header with a templated value. X-Forwarded-Prefix is allowed: the gateway does not set it."""
    if not name:
        raise ValueError("a header has a name")
    return name if name.lower() == "x-forwarded-prefix" else check_header(name)


def check_stripped(name: str) -> str:
    if not HEADER_NAME.fullmatch(name.removesuffix("*")):
        raise ValueError(
            f"{name!r} is no header name (letters, digits and - only), nor the beginning of one before a *"
        )
    return name


def check_domains(tenants: dict[str, str]) -> dict[str, str]:
    for domain in tenants:
        written = normalise_domain(domain)
        if written != domain:
            raise ValueError(f"write {domain!r} in lower case and ASCII, as in an identifier: {written}")
    return tenants


def check_breach_list(text: str) -> str:
    open_list(text)
    return text


def check_breach_api(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or read_authority(parts.netloc.encode("ascii", "replace")) is None:
        raise ValueError("write the address up to the five digits, like https://api.pwnedpasswords.com/range")
    if parts.query or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write an address without ? and #, to which the five digits are added")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("write https: what is asked for says something about people's passwords")
    return text


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_page(text: str) -> str:
    if text and not PAGE_PATH.fullmatch(text):
        raise ValueError('write a plain path like /sign-in, or "" to switch the page off')
    return text


def check_prefix(text: str) -> str:
    if text and not PAGE_PREFIX.fullmatch(text):
        raise ValueError('write a plain path without a final slash, like /_gateway, or "" for none')
    return text


def check_paths(paths: dict[str, str]) -> dict[str, str]:
    used = [path for path in paths.values() if path]
    if len(set(used)) < len(used):
        raise ValueError("two pages have the same path")
    return paths


def check_left_out(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not LEFT_OUT.fullmatch(pattern):
            raise ValueError("write folders like /static/ and endings like *.css")
    return patterns


def matches(pattern: re.Pattern[str], advice: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(advice)
        return text

    return AfterValidator(check)


def check_recipient(text: str) -> str:
    if text and not SENDER_ADDRESS.fullmatch(text):
        raise ValueError('write one plain address, or "" for none')
    return text
