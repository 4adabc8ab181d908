"""Which URLs of a provider are acceptable, and which IP addresses may be asked. Pure.

A tenant's administrators choose the provider, so the gateway sends requests where they want. These must not reach what
only the gateway's machine can reach (server-side request forgery). Names say nothing about that, so the addresses are
judged to which a name resolves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

MAX_URL = 2_048
VISIBLE = re.compile(r"[!-~]+")
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # a last label that makes some resolvers read the name as an IPv4 address
PORTS = {"https": 443, "http": 80}

PRIVATE = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
# Clouds answer here with a machine's own secrets. The other such addresses are link-local, or shared by providers of
# networks (100.64.0.0/10), and are never asked either.
CLOUDS = frozenset(map(ip_address, ("168.63.129.16", "fd00:ec2::254", "fd20:ce::254")))
NAT64 = IPv6Network("64:ff9b::/96")
IPV4_COMPATIBLE = IPv6Network("::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart. `path` has the query. `host` is in lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL as it was read, put together again: no other reader can find another host in it."""
        return self.origin + self.path


def read_url(text: str, *, allows_http: bool = False) -> Target | None:
    """Take a URL apart; None if it is not https, or not plain. `allows_http`: on this machine, http is fine as well.

    Refused are user names, fragments, and hosts that different readers would take for different ones.
    """
    if len(text) > MAX_URL or not VISIBLE.fullmatch(text) or "\\" in text or "#" in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = read_host(parts.netloc, parts.hostname)
    if host is None or port == 0 or parts.scheme not in PORTS:
        return None
    if parts.scheme == "http" and not (allows_http and is_this_machine(host)):
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path)


def read_host(authority: str, host: str | None) -> str | None:
    if not host or "@" in authority:
        return None
    if authority.startswith("["):
        return host if isinstance(parse(host), IPv6Address) and "%" not in host else None
    if not NAME.fullmatch(host) or ".." in host:
        return None
    is_number = NUMBER.fullmatch(host.rpartition(".")[2])
    return None if is_number and not isinstance(parse(host), IPv4Address) else host


def origin_of(url: str) -> str:
    """Return the origin of a URL that was accepted before, with its port."""
    target = read_url(url, allows_http=True)
    return target.origin if target else ""


def parse(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether a host of a URL is this machine: "localhost", or a loopback address."""
    address = parse(host)
    return host == "localhost" if address is None else address.is_loopback


def may_be_asked(address: Address, *, allows_private: bool = False) -> bool:
    """Whether the gateway may send a provider's requests to an address.

    `allows_private`: also to this machine and to private networks, but never where clouds have their metadata.
    """
    if isinstance(address, IPv6Address) and (embedded := find_embedded(address)) is not None:
        return may_be_asked(embedded, allows_private=allows_private)
    if address in CLOUDS:
        return False
    if any(address in network for network in PRIVATE):
        return allows_private
    is_odd = isinstance(address, IPv6Address) and (address.is_site_local or address.is_reserved)
    return address.is_global and not address.is_multicast and not is_odd


def find_embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which packets for an IPv6 address are sent on, if it is of such a kind."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64 or (address in IPV4_COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
