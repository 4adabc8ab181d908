"""Reads client addresses and networks, and says which networks contain an address. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

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


def read_network(text: str) -> Network | None:
    """Parse an address or a network, in the one form in which clients' addresses are compared: IPv4-mapped IPv6
    (RFC 4291 §2.5.5.2) is IPv4, and a zone id is left out. Returns None for anything else.
    """
    address, slash, length = text.partition("/")
    try:
        network = ip_network(f"{address.partition('%')[0]}{slash}{length}", strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ip_network(f"{mapped}/{network.prefixlen - 96}")


def is_within(text: str, *networks: Network) -> bool:
    """Whether a client's address is in one of the networks. What is no IP address is in none."""
    address = read_address(text)
    return address is not None and any(address in network for network in networks)
