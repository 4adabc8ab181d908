"""How often a secret may be guessed: after so many failures within a window, nobody may for a while.

Theory. A bucket holds the times of the latest failures, as many as the limit allows. When the oldest of them is
still inside the window as the newest is added, the bucket locks. That is exact at every moment, where counting
per quarter of an hour would let twice as many through around its edges.

A failure is written down *before* the secret is checked and taken back if it was right. Checking takes long on
purpose, and a thousand guesses sent at once would otherwise all be checked before the first is counted.

A lock must not become a weapon. Strangers can fill a bucket and keep out everybody who shares it, so devices that
signed in to the account before (`sessions.rows.is_known_device`) have one of their own (`for_known`). An attacker
behind the same address who imitates such a browser gains this one bucket, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from sqlalchemy import ColumnElement, and_, delete, not_, or_, update

from gateway.store import Transaction
from gateway.store.schema import limits
from gateway.store.stored import AS_IT_WAS, Longest, Stored
from gateway.store.upsert import upsert

KNOWN = "+known"
DAY = 86_400
LASTING = ("email-change:", "forgot", "link:", "mail-to:", "new-device:", "signup")  # mails: for up to a day


@dataclass(frozen=True, slots=True)
class Limit:
    """`failures` within `window_seconds` lock for `lock_seconds`."""

    failures: int
    window_seconds: int
    lock_seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """`failures` are UTC seconds, oldest first."""

    failures: tuple[int, ...] = ()
    locked_until: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """The secret may be checked. `locks_now`: if it is wrong, it was the last one."""

    locks_now: bool


@dataclass(frozen=True, slots=True)
class Locked:
    """Nothing may be checked before `until`, UTC seconds."""

    until: int


def add_failure(bucket: Bucket, limit: Limit, now: int) -> tuple[Bucket, Open | Locked]:
    """Return the bucket with one more failure, and whether the secret may be checked now."""
    if now < bucket.locked_until:
        return bucket, Locked(bucket.locked_until)
    recent = tuple(at for at in bucket.failures if at > now - limit.window_seconds)
    if bucket.locked_until:
        recent = ()  # a lock that has ended has paid for what led to it
    recent = (*recent, now)[-limit.failures :]
    if len(recent) < limit.failures:
        return Bucket(recent), Open(locks_now=False)
    return Bucket(recent, now + limit.lock_seconds), Open(locks_now=True)


def take_back(bucket: Bucket, at: int) -> Bucket:
    """Return the bucket without the failure of `at`, and without the lock that it brought."""
    failures = list(bucket.failures)
    if at not in failures:
        return bucket
    failures.remove(at)
    return Bucket(tuple(failures))


def address_bucket(address: str) -> str:
    """Return what counts as one address: an IPv6 client has a /64 to itself, and could change within it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:  # a dual-stack socket writes IPv4 clients like this
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def for_known(key: str) -> str:
    """Return the bucket of the devices at an address that an account has signed in from before.

    `key` is that of the account and the address. All such devices share one, however many there are.
    """
    return f"{key}{KNOWN}"


async def reserve(tx: Transaction, key: str, limit: Limit, now: int) -> Open | Locked:
    """Count a failure in advance. On Open check the secret, and `clear` or `give_back` if it was no failure."""
    bucket, verdict = add_failure(await read(tx, key), limit, now)
    if isinstance(verdict, Open):
        await write(tx, key, bucket, now)
    return verdict


async def reserve_all(tx: Transaction, buckets: Sequence[tuple[str, Limit]], now: int) -> Open | Locked:
    """Count a failure in every bucket, or in none of them if one is locked.

    The narrowest comes first: whoever exhausts it does not go on to fill those that others share.
    """
    reserved: list[str] = []
    locks_now = False
    for key, limit in buckets:
        verdict = await reserve(tx, key, limit, now)
        if isinstance(verdict, Locked):
            for other in reserved:
                await give_back(tx, other, now)
            return verdict
        reserved.append(key)
        locks_now |= verdict.locks_now
    return Open(locks_now)


async def clear(tx: Transaction, key: str) -> None:
    """A success: everything before it is forgiven."""
    await tx.execute(delete(limits).where(limits.c.key == key))


async def clear_all(tx: Transaction, prefix: str) -> int:
    """Forgive everything under keys that begin with `prefix`. Returns how many buckets there were."""
    return (await tx.execute(delete(limits).where(limits.c.key.startswith(prefix, autoescape=True)))).rowcount


async def give_back(tx: Transaction, key: str, at: int) -> None:
    """The secret reserved at `at` was never checked: as if it had not been asked."""
    await write(tx, key, take_back(await read(tx, key), at), at)


async def read(tx: Transaction, key: str) -> Bucket:
    """Return the bucket, locked against everybody else until the transaction ends.

    One statement finds or makes the row and locks it. With a SELECT of its own, somebody's `clear` could remove
    the row in between.
    """
    statement = (
        upsert(tx, limits)
        .values(key=key, failures="", locked_until=0, changed_at=0)
        .on_conflict_do_update(index_elements=["key"], set_={"changed_at": limits.c.changed_at})
        .returning(limits.c.failures, limits.c.locked_until)
    )
    row = (await tx.execute(statement)).one()
    return Bucket(tuple(int(at) for at in row.failures.split(",") if at), row.locked_until)


async def write(tx: Transaction, key: str, bucket: Bucket, now: int) -> None:
    await tx.execute(
        update(limits)
        .where(limits.c.key == key)
        .values(failures=",".join(map(str, bucket.failures)), locked_until=bucket.locked_until, changed_at=now)
    )


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    are_lasting = or_(*(limits.c.key.startswith(kind, autoescape=True) for kind in LASTING))
    is_old = or_(
        and_(limits.c.changed_at < now - longest.limit, not_(are_lasting)),
        and_(limits.c.changed_at < now - DAY, are_lasting),
    )
    return and_(limits.c.locked_until < now, is_old)


STORED = (Stored(limits, is_stale, AS_IT_WAS),)
