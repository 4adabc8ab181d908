"""Queries on attacks: current lockouts, recent failures, and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import BigInteger, Column, String, Table, func, or_, select, update

from gateway.audit import rows as audit_rows
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import accounts, audit, limits, metadata
from gateway.store.stored import AS_IT_WAS, EXPIRING, Stored
from gateway.store.upsert import upsert
from gateway.throttle.limits import KNOWN

alarms = Table(
    "alarms",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)

MOST_PAIRS = 20_000
QUIET_SECONDS = 6 * 3_600  # after such a pause, an attack counts as a new one


@dataclass(frozen=True, slots=True)
class Lock:
    """A locked bucket of `limits`. `who` is an email, "" if the bucket counts an address only."""

    key: str
    kind: str
    who: str
    address: str
    until: int

    @property
    def id(self) -> str:
        """A short name on the page: keys have emails that attackers choose, of up to 254 characters."""
        return sha256(self.key.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Pair:
    """Failed sign-ins of one email from one address; `last` is UTC seconds."""

    identifier: str
    address: str
    failures: int
    last: int


_of_sign_ins = or_(*(limits.c.key.startswith(f"{kind}:") for kind in ("password", "code", "passkey")))


async def count_locks(tx: Transaction, now: int) -> int:
    """Count the lockouts of passwords, codes and passkeys."""
    return (await tx.execute(select(func.count()).where(limits.c.locked_until > now, _of_sign_ins))).scalar_one()


async def list_locks(tx: Transaction, now: int, limit: int) -> list[Lock]:
    """Return the lockouts of passwords, codes and passkeys, those that last longest first."""
    query = select(limits.c.key, limits.c.locked_until).where(limits.c.locked_until > now, _of_sign_ins)
    found = (await tx.execute(query.order_by(limits.c.locked_until.desc(), limits.c.key).limit(limit))).all()
    locks = [read_lock(row.key, row.locked_until) for row in found]
    names = await emails_of(tx, sorted({lock.who for lock in locks if lock.kind == "code" and lock.who}))
    return [Lock(lock.key, lock.kind, names.get(lock.who, lock.who), lock.address, lock.until) for lock in locks]


def read_lock(key: str, until: int) -> Lock:
    kind, _, rest = key.partition(":")
    who, _, address = rest.rpartition("|")
    return Lock(key, kind, who, address.removesuffix(KNOWN), until)


async def emails_of(tx: Transaction, ids: list[str]) -> dict[str, str]:
    """Map ids to emails. Asks in batches: engines limit a query's parameters."""
    found: dict[str, str] = {}
    for at in range(0, len(ids), 500):
        query = select(accounts.c.id, accounts.c.identifier).where(accounts.c.id.in_(ids[at : at + 500]))
        found.update((row.id, row.identifier) for row in await tx.execute(query))
    return found


async def list_failures(tx: Transaction, since: int) -> list[Pair]:
    """Return failed sign-ins since a time, pairs with most failures first, then those that were only counted.

    A pair can occur more than once. Counted ones may lack the email, or email and address.
    """
    times = func.count()
    query = (
        select(audit.c.identifier, audit.c.address, times, func.max(audit.c.at))
        .where(audit.c.event == Event.LOGIN_FAILED.value, audit.c.at >= since)
        .group_by(audit.c.identifier, audit.c.address)
        .order_by(times.desc())
        .limit(MOST_PAIRS)
    )
    listed = [Pair(*row) for row in await tx.execute(query)]
    counted = await audit_rows.repeated(tx, audit.c.at >= since)
    return listed + [
        Pair(row.identifier, row.address, row.times, row.at) for row in counted if row.of is Event.LOGIN_FAILED
    ]


async def raise_alarm(tx: Transaction, key: str, now: int) -> bool:
    """Record an alarm. Returns whether it is new; of several workers, exactly one gets True."""
    begun_again = update(alarms).where(alarms.c.key == key, alarms.c.seen_at < now - QUIET_SECONDS)
    if (await tx.execute(begun_again.values(seen_at=now))).rowcount == 1:
        return True
    first = upsert(tx, alarms).values(key=key, seen_at=now).on_conflict_do_nothing(index_elements=["key"])
    if (await tx.execute(first)).rowcount == 1:
        return True
    await tx.execute(update(alarms).where(alarms.c.key == key, alarms.c.seen_at < now).values(seen_at=now))
    return False


async def is_alarm_known(tx: Transaction, key: str, now: int) -> bool:
    """Whether the alarm was recorded in the last minute, so that it need not be written."""
    query = select(alarms.c.key).where(alarms.c.key == key, alarms.c.seen_at > now - 60)
    return (await tx.execute(query)).first() is not None


STORED = (Stored(alarms, lambda longest, now: alarms.c.seen_at < now - QUIET_SECONDS - DAY, AS_IT_WAS, EXPIRING),)
