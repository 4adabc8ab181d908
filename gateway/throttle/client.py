"""What counts as one client when a limited resource is shared."""

from __future__ import annotations

from gateway.throttle.limits import address_bucket

MAX_REMEMBERED = 10_000


class Clients:
    """Maps addresses to clients, with a cache: parsing an IPv6 address takes longer than all the rest of sharing."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, address: str) -> str:
        """Return the client of an address: the address itself, or the /64 network of an IPv6 address."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[address] = address_bucket(address)
        return known


client_of = Clients().of
