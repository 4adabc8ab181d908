"""The first factor. Verifying consumes one try of the limit, and gives all of them back when it was right."""

from __future__ import annotations

from gateway import limits
from gateway.limits import Limit, Locked, Open, address_bucket
from gateway.store import Transaction


def limit_key(identifier: str, address: str) -> str:
    """The bucket of an (email, address) pair; `identifier` is normalised, so that every spelling fills the same."""
    return limit_prefix(identifier) + address_bucket(address)


def limit_prefix(identifier: str) -> str:
    """What the buckets of an email begin with, whatever the address."""
    return f"password:{identifier}|"


async def reserve_try(tx: Transaction, identifier: str, address: str, limit: Limit, now: int) -> Open | Locked:
    return await limits.reserve(tx, limit_key(identifier, address), limit, now)


async def forgive_tries(tx: Transaction, identifier: str, address: str) -> None:
    await limits.clear(tx, limit_key(identifier, address))


async def give_back_try(tx: Transaction, identifier: str, address: str, reserved_at: int) -> None:
    await limits.give_back(tx, limit_key(identifier, address), reserved_at)
