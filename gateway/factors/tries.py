"""Rate limit of passwords: each try is counted before the password is checked; a right one clears the count."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.inbound import Inbound
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked, address_bucket, for_known


@dataclass(frozen=True, slots=True)
class Try:
    """The password may be checked. `locks_now`: a wrong one starts a lockout. `key` is the bucket of the count."""

    key: str
    locks_now: bool


def limit_key(identifier: str, address: str) -> str:
    """Return the bucket of an email and a client address. `identifier` is normalised."""
    return limit_prefix(identifier) + address_bucket(address)


def limit_prefix(identifier: str) -> str:
    """Return the prefix of an email's buckets, for all addresses."""
    return f"password:{identifier}|"


async def reserve_try(
    tx: Transaction, identifier: str, account: str | None, inbound: Inbound, limit: Limit, now: int
) -> Try | Locked:
    """Count a failure in advance. Known devices have their own bucket.

    `account` is the id of the email's account, or None. Devices are queried in either case, so that the time doesn't
    disclose which emails have accounts.
    """
    key = limit_key(identifier, inbound.address)
    if await session_rows.is_known_device(tx, account or "", inbound.address, inbound.user_agent, now):
        key = for_known(key)
    verdict = await limits.reserve(tx, key, limit, now)
    return verdict if isinstance(verdict, Locked) else Try(key, verdict.locks_now)


async def forgive_tries(tx: Transaction, identifier: str, address: str) -> None:
    """Clear the counts, after a right password."""
    key = limit_key(identifier, address)
    await limits.clear(tx, key)
    await limits.clear(tx, for_known(key))
