"""Limits failures by the client's address alone, for secrets that name no account.

A worker remembers for some seconds that an address is locked. What that sends meanwhile costs no transaction, so a
flood of it doesn't load the store. Then the worker asks again: an owner may have unlocked the address.
"""

from __future__ import annotations

from gateway.model.memo import Memo
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.client import client_of
from gateway.throttle.limits import Limit, Locked, Open

ADDRESS_FACTOR = 10  # many people of one office share an address
REMEMBERED = 20_000  # addresses
REMEMBERED_SECONDS = 10


class AddressLimit:
    """`name` is the prefix of its buckets. `limit` is that of one person; an address has ten times as many failures."""

    def __init__(self, name: str, limit: Limit) -> None:
        self._name = name
        self._limit = Limit(limit.failures * ADDRESS_FACTOR, limit.window_seconds, limit.lock_seconds)
        self._locked = Memo[str, tuple[Locked, int]](REMEMBERED)  # and until when to believe it

    def find_lock(self, address: str, now: int) -> Locked | None:
        """Return the lock of an address, if this worker has seen it just now."""
        key = self._key(address)
        known = self._locked.young.get(key) or self._locked.recall(key)
        return None if known is None or now >= min(known[0].until, known[1]) else known[0]

    async def reserve(self, tx: Transaction, address: str, now: int) -> Open | Locked:
        """Count a failure in advance; see `give_back`. Clients on a Unix socket have no address, nor a limit."""
        if not address:
            return Open(locks_now=False)
        verdict = await limits.reserve(tx, self._key(address), self._limit, now)
        if isinstance(verdict, Locked):
            self._locked.put(self._key(address), (verdict, now + REMEMBERED_SECONDS))
        return verdict

    async def give_back(self, tx: Transaction, address: str, now: int) -> None:
        """Remove the failure counted in advance at `now`, after a success."""
        if address:
            await limits.give_back(tx, self._key(address), now)

    def _key(self, address: str) -> str:
        return f"{self._name}:|{client_of(address)}"
