"""Client networks, and which of them contain an address."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_within(address: str, network: Network) -> bool:
    """Whether a client's address is in `network`; False if it is not an IP address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)  # a dual-stack socket reports IPv4 clients like this
    return (mapped or parsed) in network
