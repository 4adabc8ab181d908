"""The state of what each machine depends on, and since when: its store, its application, its mail server.

Each machine checks them about once a minute, by the check of /ready, and stores the result. So every machine's page
shows all machines, a page waits for no connection, and the time of a change is right even if no page was open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Column, String, Table, Text, case, delete, select

from gateway.model.clock import DAY
from gateway.ops.health import NO_MAIL_SERVER, Health, HealthCheck
from gateway.store import Store, StoreUnavailable, Transaction
from gateway.store.schema import metadata
from gateway.store.stored import IMPERSONAL, Stored
from gateway.store.upsert import upsert

conditions = Table(
    "conditions",
    metadata,
    Column("machine", String(255), primary_key=True),
    Column("part", String(16), primary_key=True),
    Column("level", String(16), nullable=False),
    Column("problem", Text, nullable=False),  # for operators; "" if there is none
    Column("since", BigInteger, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
)

CHECK_SECONDS = 50  # with jobs that run every 20 seconds: once a minute
STALE_SECONDS = 180  # without a check for so long, a machine is away


class Part(StrEnum):
    STORE = "store"
    APPLICATION = "application"
    MAIL = "mail"
    QUEUE = "queue"  # of emails: judged when a page shows it
    WORKERS = "workers"  # of machines that share PostgreSQL: the same


class Level(StrEnum):
    """OFF: the settings don't use it. AWAY: the machine has not checked it for a while."""

    GOOD = "good"
    POOR = "poor"
    BAD = "bad"
    OFF = "off"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of one part, since when, and when it was checked last, in UTC seconds.

    `machine` is "" for what all machines share. `count` is how many things the problem is about.
    """

    machine: str
    part: Part
    level: Level
    problem: str
    since: int | None
    checked_at: int
    count: int = 0


class HealthWatch:
    """Checks this `machine`, and reads what all machines found."""

    def __init__(self, store: Store, check: HealthCheck, machine: str) -> None:
        self._store = store
        self._check = check
        self._machine = machine

    async def watch(self, now: int) -> None:
        """Check this machine, unless one of its workers has just done so. Raises StoreUnavailable if it can't read."""
        await self.read(now, CHECK_SECONDS)

    async def read(self, now: int, at_most: int = STALE_SECONDS) -> list[Condition]:
        """Return the conditions of all machines; check this one if its own are older than `at_most` seconds.

        What can't be stored, because the disk is full, is returned without saying since when.
        """
        async with self._store.reading() as tx:
            found = await list_all(tx, now)
        mine = [known.checked_at for known in found if known.machine == self._machine]
        if mine and min(mine) > now - at_most:
            return found
        judged = judge(await self._check.look())
        fresh = [Condition(self._machine, part, *said, since=None, checked_at=now) for part, said in judged.items()]
        try:
            async with self._store.transaction() as tx:
                for condition in fresh:
                    await note(tx, condition)
        except StoreUnavailable:
            return [*fresh, *(known for known in found if known.machine != self._machine)]
        async with self._store.reading() as tx:
            return await list_all(tx, now)


def judge(health: Health) -> Mapping[Part, tuple[Level, str]]:
    """Return level and problem of each part. Without its schema, the store can't be used."""
    store = health.schema if health.store == "ok" else health.store
    found = {part: level_of(said) for part, said in ((Part.STORE, store), (Part.APPLICATION, health.upstream))}
    mail = (Level.OFF, "") if health.mail == NO_MAIL_SERVER else level_of(health.mail)
    return {**found, Part.MAIL: mail}


def level_of(said: str) -> tuple[Level, str]:
    return (Level.GOOD, "") if said == "ok" else (Level.BAD, said)


async def list_all(tx: Transaction, now: int) -> list[Condition]:
    """Return all conditions; those of a machine that is away for a day are left out."""
    query = select(conditions).where(conditions.c.checked_at > now - DAY)
    rows = (await tx.execute(query.order_by(conditions.c.machine, conditions.c.part))).all()
    return [
        Condition(
            row.machine,
            Part(row.part),
            Level(row.level) if row.checked_at > now - STALE_SECONDS else Level.AWAY,
            row.problem,
            row.since if row.checked_at > now - STALE_SECONDS else row.checked_at,
            row.checked_at,
        )
        for row in rows
    ]


async def note(tx: Transaction, found: Condition) -> None:
    """Store a condition. While the level is the same, `since` stays."""
    statement = upsert(tx, conditions).values(
        machine=found.machine,
        part=found.part.value,
        level=found.level.value,
        problem=found.problem,
        since=found.checked_at,
        checked_at=found.checked_at,
    )
    new = statement.excluded
    since = case((conditions.c.level == new.level, conditions.c.since), else_=new.since)
    changed = {"level": new.level, "problem": new.problem, "since": since, "checked_at": new.checked_at}
    await tx.execute(statement.on_conflict_do_update(index_elements=["machine", "part"], set_=changed))


STORED = (
    Stored(
        conditions,
        lambda longest, now: conditions.c.checked_at < now - DAY,
        restored=lambda now: delete(conditions),  # of the machines at the time of the backup
        erased=IMPERSONAL,
        is_copied=False,
    ),
)
