"""Reads client addresses, and says which networks contain them. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def read_address(text: str) -> Address | None:
    """Parse an IP address, without a zone id; an IPv4-mapped IPv6 one, as dual-stack sockets report it, is IPv4.

    Returns None if `text` is anything else.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_within(text: str, *networks: Network) -> bool:
    """Whether a client's address is in one of the networks. What is no IP address is in none."""
    address = read_address(text)
    return address is not None and any(address in network for network in networks)
