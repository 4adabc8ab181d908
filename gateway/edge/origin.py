"""The client's address behind trusted proxies, and the host and origin of requests."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import NamedTuple

from gateway.model.inbound import Inbound
from gateway.model.networks import Address, read_address
from gateway.wire.authority import read_authority

HOP = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([0-9.]+))(?::[0-9]{1,5})?")


def canonical_hosts(authorities: Iterable[str]) -> Mapping[str, str]:
    """Map each configured host name to the authority that the upstream sees: the first one with that name."""
    found: dict[str, str] = {}
    for authority in authorities:
        name = read_authority(authority.encode("ascii"))
        if name is not None:
            found.setdefault(name, authority.lower())
    return found


def origins_of(scheme: str, authorities: Iterable[str]) -> frozenset[str]:
    """Return the origins of the site's own pages as browsers write them (RFC 6454 §6.2), one per authority."""
    default_port = ":443" if scheme == "https" else ":80"
    return frozenset(f"{scheme}://{authority.lower().removesuffix(default_port)}" for authority in authorities)


class Hop(NamedTuple):
    """The client's address, as far as it is known. `unreadable` is the entry that ended the search, if any."""

    address: str
    unreadable: str | None


class TrustedProxies:
    """The configured proxies; none by default. "unix" trusts the peers of Unix sockets."""

    __slots__ = ("_networks", "_trusts_unix")

    def __init__(self, networks: Sequence[str]) -> None:
        self._trusts_unix = "unix" in networks
        self._networks = tuple(ip_network(text, strict=False) for text in networks if text != "unix")

    def trusts(self, peer: str) -> bool:
        """Whether a peer is a trusted proxy. "" is the peer of a Unix socket."""
        if not peer:
            return self._trusts_unix
        address = read_address(peer)
        return address is not None and self._is_proxy(address)

    def client(self, peer: str, forwarded_for: bytes) -> str:
        """Return the address found by `find`."""
        return self.find(peer, forwarded_for).address

    def find(self, peer: str, forwarded_for: bytes) -> Hop:
        """Return the last hop that is not a trusted proxy, reading `X-Forwarded-For` from the right.

        Entries to the left of it may be forged. An unreadable entry ends the search: only the proxy to its right
        vouches for it, so that proxy's address is returned.
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
    """Parse an entry of X-Forwarded-For. Azure's gateways append the port."""
    match = HOP.fullmatch(text)
    return read_address(match[1] or match[2] if match else text)


def is_own_post(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether a form was sent from one of our own pages, by Origin and Sec-Fetch-Site.

    Browsers always send Origin with a POST, so requests without it are refused.
    """
    return is_own_page(inbound, origins) and inbound.values(b"sec-fetch-site") in ([], [b"same-origin"])


def is_from_elsewhere(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether the request comes from another site, by Sec-Fetch-Site or, in older browsers, by Origin."""
    site = inbound.value(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    return inbound.value(b"origin") is not None and not is_own_page(inbound, origins)


def is_own_page(inbound: Inbound, origins: Collection[str]) -> bool:
    """Return whether the request has a single Origin, and it is one of `origins`, the site's own.

    With `Referrer-Policy: no-referrer`, browsers send `null` with a form (Fetch §3.2, "append a request Origin
    header"). Sandboxed frames do too, but with cross-site in Sec-Fetch-Site, which scripts can't set.
    """
    match inbound.values(b"origin"):
        case [b"null"]:
            return inbound.values(b"sec-fetch-site") == [b"same-origin"]
        case [_]:
            return page_origin(inbound, origins) != ""
        case _:
            return False


def page_origin(inbound: Inbound, origins: Collection[str]) -> str:
    """Return the one of `origins` that Origin names; "" if none."""
    origin = (inbound.value(b"origin") or b"").decode("ascii", "replace")
    return origin if origin in origins else ""


def is_other_address(inbound: Inbound, origins: Collection[str]) -> bool:
    """Whether a page of this site sent the request, but one that was opened with a port or scheme it doesn't have.

    A Host with another port is served, because proxies put their own port there. Browsers tell the true one in Origin.
    """
    origin = (inbound.value(b"origin") or b"").decode("ascii", "replace")
    return origin not in origins and name_of(origin) in map(name_of, origins)


def name_of(origin: str) -> str | None:
    """Return the host name of an origin."""
    return read_authority(origin.rpartition("://")[2].encode())


def is_foreign_websocket(inbound: Inbound, origins: Collection[str]) -> bool:
    """Whether a page of another site opens a WebSocket. Browsers send cookies with it, so Origin must be checked."""
    is_from_page = inbound.is_websocket and inbound.value(b"origin") is not None
    return is_from_page and not is_own_page(inbound, origins)
