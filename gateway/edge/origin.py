"""Who is at the other end, and which site they think they are talking to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from gateway.model.inbound import Inbound
from gateway.wire.authority import read_authority

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
HOP = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([0-9.]+))(?::[0-9]{1,5})?")


def canonical_hosts(authorities: Iterable[str]) -> Mapping[str, str]:
    """Map each configured host name to the authority under which the upstream sees it: the first of that name."""
    found: dict[str, str] = {}
    for authority in authorities:
        name = read_authority(authority.encode("ascii"))
        if name is not None:
            found.setdefault(name, authority.lower())
    return found


def origins_of(scheme: str, authorities: Iterable[str]) -> frozenset[str]:
    """Return the origins of the site's own pages as a browser writes them (RFC 6454 §6.2), one for each authority."""
    default_port = ":443" if scheme == "https" else ":80"
    return frozenset(f"{scheme}://{authority.lower().removesuffix(default_port)}" for authority in authorities)


class Hop(NamedTuple):
    """Where a request came from, as far as that is known. `unreadable` is the entry that ended the search, if any."""

    address: str
    unreadable: str | None


class TrustedProxies:
    """The configured proxies. Nobody is trusted unless configured; "unix" trusts peers of Unix sockets."""

    __slots__ = ("_networks", "_trusts_unix")

    def __init__(self, networks: Sequence[str]) -> None:
        self._trusts_unix = "unix" in networks
        self._networks = tuple(ip_network(text, strict=False) for text in networks if text != "unix")

    def trusts(self, peer: str) -> bool:
        """`peer` is an address, or "" for the other end of a Unix socket."""
        if not peer:
            return self._trusts_unix
        address = read_address(peer)
        return address is not None and self._is_proxy(address)

    def client(self, peer: str, forwarded_for: bytes) -> str:
        """Return the address of the client that `find` finds."""
        return self.find(peer, forwarded_for).address

    def find(self, peer: str, forwarded_for: bytes) -> Hop:
        """Return the last hop that is not a trusted proxy, walking `X-Forwarded-For` from the right.

        Entries left of the first untrusted hop are that hop's own claims. An unreadable entry ends the walk:
        what vouches for it is the proxy to its right, and that one is then the last address known.
        """
        last = peer
        for entry in reversed(forwarded_for.split(b",")):
            text = entry.strip(b" \t").decode("ascii", "replace")
            address = read_hop(text)
            if address is None:
                return Hop(last, text if forwarded_for else None)
            last = str(address)
            if not self._is_proxy(address):
                break
        return Hop(last, None)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def read_hop(text: str) -> Address | None:
    """Return the address in an entry of X-Forwarded-For. Azure's gateways write the port behind it."""
    match = HOP.fullmatch(text)
    return read_address(match[1] or match[2] if match else text)


def read_address(text: str) -> Address | None:
    """Return an IP address, an IPv4-mapped IPv6 one as IPv4; None if `text` is not exactly one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_own_post(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether a form was sent from one of our own pages, and no browser says otherwise.

    A browser always sends Origin with a POST; a request without one is not from a page of ours.
    """
    return is_own_page(inbound, origins) and inbound.values(b"sec-fetch-site") in ([], [b"same-origin"])


def is_from_elsewhere(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether a browser says that another site sent this: by Sec-Fetch-Site, or in older ones by Origin."""
    site = inbound.value(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    return inbound.value(b"origin") is not None and not is_own_page(inbound, origins)


def is_own_page(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether the request's one Origin is among `origins`, the site's own.

    Under `Referrer-Policy: no-referrer` browsers send `null` instead with a form (Fetch §3.2, "append a request Origin
    header"). So do sandboxed frames, but to these Sec-Fetch-Site says cross-site, and no page can set that field.
    """
    match inbound.values(b"origin"):
        case [b"null"]:
            return inbound.values(b"sec-fetch-site") == [b"same-origin"]
        case [_]:
            return page_origin(inbound, origins) != ""
        case _:
            return False


def page_origin(inbound: Inbound, origins: Collection[str]) -> str:
    """Return which of `origins` the page is on that sent the request; "" where Origin names none of them."""
    origin = (inbound.value(b"origin") or b"").decode("ascii", "replace")
    return origin if origin in origins else ""


def is_foreign_websocket(inbound: Inbound, origins: Collection[str]) -> bool:
    """A page of another site can open a WebSocket here with the person's cookie; its Origin gives it away."""
    is_from_page = inbound.is_websocket and inbound.value(b"origin") is not None
    return is_from_page and not is_own_page(inbound, origins)
