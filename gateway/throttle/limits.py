"""Brute-force limiter: a sliding window of failures for each key, then a lockout.

Theory. A bucket stores the times of the latest failures, as many as the limit allows. If the oldest of them is still
inside the window when the newest is added, the bucket locks. This is exact at every moment, whereas counting by fixed
quarters of an hour would allow twice as many around their edges.

A failure is recorded *before* the secret is checked and removed if the secret was right. Checking is slow on purpose,
and a thousand guesses sent at once would otherwise all be checked before the first is counted.

A lockout must not become a denial of service. Strangers can fill a bucket and lock out everyone who shares it, so
devices that signed in to the account before (`sessions.rows.is_known_device`) have a bucket of their own (`for_known`).
An attacker behind the same address who imitates such a browser gains this one bucket, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from sqlalchemy import ColumnElement, and_, bindparam, delete, not_, or_, update

from gateway.model.clock import DAY
from gateway.store import Transaction
from gateway.store.schema import limits
from gateway.store.stored import AS_IT_WAS, EXPIRING, Longest, Stored
from gateway.store.upsert import upsert

KNOWN = "+known"
LASTING = ("email-change:", "forgot", "link:", "mail-to:", "new-device:", "signup")  # mails: limits of up to a day


@dataclass(frozen=True, slots=True)
class Limit:
    """The rule of a bucket: `failures` within `window_seconds` lock it for `lock_seconds`."""

    failures: int
    window_seconds: int
    lock_seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The state of one key. `failures` are UTC seconds, oldest first."""

    failures: tuple[int, ...] = ()
    locked_until: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """The secret may be checked. With `locks_now`, a wrong one locks the bucket."""

    locks_now: bool


@dataclass(frozen=True, slots=True)
class Locked:
    """No secret may be checked before `until`, UTC seconds."""

    until: int


def add_failure(bucket: Bucket, limit: Limit, now: int) -> tuple[Bucket, Open | Locked]:
    """Return the bucket with one more failure, and whether the secret may be checked now."""
    if now < bucket.locked_until:
        return bucket, Locked(bucket.locked_until)
    recent = tuple(at for at in bucket.failures if at > now - limit.window_seconds)
    if bucket.locked_until:
        recent = ()  # an expired lockout clears the failures that led to it
    recent = (*recent, now)[-limit.failures :]
    if len(recent) < limit.failures:
        return Bucket(recent), Open(locks_now=False)
    return Bucket(recent, now + limit.lock_seconds), Open(locks_now=True)


def take_back(bucket: Bucket, at: int) -> Bucket:
    """Return the bucket without the failure of `at`, and without the lockout that it caused."""
    failures = list(bucket.failures)
    if at not in failures:
        return bucket
    failures.remove(at)
    return Bucket(tuple(failures))


@lru_cache(maxsize=4_096)
def address_bucket(address: str) -> str:
    """Return the key for an address. An IPv6 address counts as its /64, because a client can change its address within
    that.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:  # a dual-stack socket represents IPv4 clients like this
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def for_known(key: str) -> str:
    """Return the bucket for the devices at an address from which the account has signed in before.

    `key` is that of the account and the address. All such devices share one bucket, however many there are.
    """
    return f"{key}{KNOWN}"


async def reserve(tx: Transaction, key: str, limit: Limit, now: int) -> Open | Locked:
    """Count a failure in advance. On Open, check the secret, then `clear` or `give_back` if it was no failure."""
    bucket, verdict = add_failure(await read(tx, key), limit, now)
    if isinstance(verdict, Open):
        await write(tx, key, bucket, now)
    return verdict


async def reserve_all(tx: Transaction, buckets: Sequence[tuple[str, Limit]], now: int) -> Open | Locked:
    """Count a failure in every bucket, or in none of them if one is locked.

    The narrowest bucket comes first: a client that exhausts it does not go on to fill buckets that it shares with
    others.
    """
    (verdict,) = await reserve_each(tx, [buckets], now)
    return verdict


async def reserve_each(tx: Transaction, groups: Sequence[Sequence[tuple[str, Limit]]], now: int) -> list[Open | Locked]:
    """Do the same for several groups of buckets, which may have some in common. Returns a verdict for each group."""
    known = await read_all(tx, {key for group in groups for key, _ in group})
    changed: dict[str, Bucket] = {}
    verdicts: list[Open | Locked] = []
    for group in groups:
        added, verdict = add_failures(known, group, now)
        known.update(added)
        changed.update(added)
        verdicts.append(verdict)
    await write_all(tx, changed, now)
    return verdicts


def add_failures(
    known: Mapping[str, Bucket], group: Sequence[tuple[str, Limit]], now: int
) -> tuple[dict[str, Bucket], Open | Locked]:
    """Return the group's buckets with one more failure each, none if one is locked, and the verdict."""
    added: dict[str, Bucket] = {}
    locks_now = False
    for key, limit in group:
        added[key], verdict = add_failure(known[key], limit, now)
        if isinstance(verdict, Locked):
            return {}, verdict
        locks_now |= verdict.locks_now
    return added, Open(locks_now)


async def clear(tx: Transaction, key: str) -> None:
    """Delete the bucket after a success."""
    await tx.execute(delete(limits).where(limits.c.key == key))


async def clear_all(tx: Transaction, prefix: str) -> int:
    """Delete all buckets whose keys begin with `prefix`. Returns how many there were."""
    return (await tx.execute(delete(limits).where(limits.c.key.startswith(prefix, autoescape=True)))).rowcount


async def give_back(tx: Transaction, key: str, at: int) -> None:
    """Remove the failure counted in advance at `at`, because its secret was not checked."""
    await write(tx, key, take_back(await read(tx, key), at), at)


async def read(tx: Transaction, key: str) -> Bucket:
    return (await read_all(tx, {key}))[key]


async def read_all(tx: Transaction, keys: Set[str]) -> dict[str, Bucket]:
    """Return the buckets, and lock their rows against other transactions until this one ends.

    One statement finds or creates the rows and locks them. With a separate SELECT, a concurrent `clear` could remove a
    row in between. They are locked in the order of their keys, so that two transactions don't wait for each other.
    """
    statement = (
        upsert(tx, limits)
        .on_conflict_do_update(index_elements=["key"], set_={"changed_at": limits.c.changed_at})
        .returning(limits.c.key, limits.c.failures, limits.c.locked_until)
    )
    new = [{"key": key, "failures": "", "locked_until": 0, "changed_at": 0} for key in sorted(keys)]
    return {
        row.key: Bucket(tuple(int(at) for at in row.failures.split(",") if at), row.locked_until)
        for row in await tx.execute(statement, new)
    }


async def write(tx: Transaction, key: str, bucket: Bucket, now: int) -> None:
    await write_all(tx, {key: bucket}, now)


async def write_all(tx: Transaction, buckets: Mapping[str, Bucket], now: int) -> None:
    if not buckets:
        return
    statement = update(limits).where(limits.c.key == bindparam("of")).values(changed_at=now)
    values = [
        {"of": key, "failures": ",".join(map(str, bucket.failures)), "locked_until": bucket.locked_until}
        for key, bucket in buckets.items()
    ]
    await tx.execute(statement, values)


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    are_lasting = or_(*(limits.c.key.startswith(kind, autoescape=True) for kind in LASTING))
    is_old = or_(
        and_(limits.c.changed_at < now - longest.limit, not_(are_lasting)),
        and_(limits.c.changed_at < now - DAY, are_lasting),
    )
    return and_(limits.c.locked_until < now, is_old)


STORED = (Stored(limits, is_stale, AS_IT_WAS, EXPIRING),)
