"""What counts as one client when a limited resource is shared: an IPv4 address, or a /64 network of IPv6 addresses."""

from __future__ import annotations

from functools import lru_cache

from gateway.throttle.limits import address_bucket

# Parsing an IPv6 address takes longer than all the rest of sharing.
client_of = lru_cache(maxsize=20_000)(address_bucket)
