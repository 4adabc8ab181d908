"""Tries of a password: each takes one of the limit before it is checked, and a right one gives all of them back."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.inbound import Inbound
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked, address_bucket, for_known


@dataclass(frozen=True, slots=True)
class Try:
    """The password may be checked. `locks_now`: if it is wrong, it was the last one. `key` is the bucket that paid."""

    key: str
    locks_now: bool


def limit_key(identifier: str, address: str) -> str:
    """The bucket of an (email, address) pair; `identifier` is normalised, so that every spelling fills the same."""
    return limit_prefix(identifier) + address_bucket(address)


def limit_prefix(identifier: str) -> str:
    """What the buckets of an email begin with, whatever the address."""
    return f"password:{identifier}|"


async def reserve_try(
    tx: Transaction, identifier: str, account: str | None, inbound: Inbound, limit: Limit, now: int
) -> Try | Locked:
    """Count a failure in advance. Devices that signed in before have tries of their own.

    `account` is the id of the account with that email. Devices are looked up for emails without one as well, since it
    takes time.
    """
    key = limit_key(identifier, inbound.address)
    if await session_rows.is_known_device(tx, account or "", inbound.address, inbound.user_agent, now):
        key = for_known(key)
    verdict = await limits.reserve(tx, key, limit, now)
    return verdict if isinstance(verdict, Locked) else Try(key, verdict.locks_now)


async def forgive_tries(tx: Transaction, identifier: str, address: str) -> None:
    """The password was right."""
    key = limit_key(identifier, address)
    await limits.clear(tx, key)
    await limits.clear(tx, for_known(key))
