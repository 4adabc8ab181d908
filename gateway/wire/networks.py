"""Networks of clients, and who is in them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_within(address: str, network: Network) -> bool:
    """Whether a client's address lies in `network`. An address that is none lies nowhere."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)  # what a dual-stack socket writes for an IPv4 client
    return (mapped or parsed) in network
