"""The audit log in the store. A row is written in the transaction of the event it records, so both happen or neither.

The rows of a transaction are chained right before its commit, which locks the single row of `audit_head`. Writers on
all nodes queue for that lock, each for the length of a commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, LargeBinary, Table, delete, insert, select, update

from gateway.audit import counting
from gateway.audit.chain import MAX_USER_AGENT, SALT_BYTES, Head, Row, extend
from gateway.model.entry import ACTOR, Entry, Outcome
from gateway.model.event import EVENTS, Event
from gateway.store import Transaction
from gateway.store.schema import audit, metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # a single row, 1: the lock for adding to the chain
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

__all__ = ["MAX_USER_AGENT", "record"]

MOST_REPEATED = 5_000


async def record(tx: Transaction, entry: Entry) -> None:
    """Queue `entry`, which is written when `tx` commits. It goes to the end of the chain then, and can't be read
    before.
    """
    tx.do_last(append, entry)


async def record_or_count(tx: Transaction, entry: Entry) -> None:
    """Do the same for events that can be triggered without limit: of a flood, only the first ones get rows."""
    tx.do_last(append, Countable(entry))


@dataclass(frozen=True, slots=True)
class Countable:
    entry: Entry


async def append(tx: Transaction, given: Sequence[Entry | Countable]) -> None:
    """Append entries to the chain, all at once. Counts are written before: the chain's head is locked last."""
    entries: list[Entry] = []
    for item in given:
        if isinstance(item, Entry):
            entries.append(item)
        elif await counting.is_listed(tx, item.entry):
            entries.append(item.entry)
    if not entries:
        return
    head = await lock_head(tx)
    rows: list[Row] = []
    for entry in entries:
        row = extend(head, entry, os.urandom(SALT_BYTES), os.urandom(SALT_BYTES))
        head = Head(row.id, row.hash)
        rows.append(row)
    await tx.execute(insert(audit), [row._asdict() for row in rows])
    await tx.execute(update(audit_head).values(number=head.number, hash=head.hash))


async def lock_head(tx: Transaction) -> Head:
    """Return the last row's number and hash, and lock the chain against other writers until the transaction ends."""
    query = select(audit_head.c.number, audit_head.c.hash).with_for_update()
    return Head(*(await tx.execute(query)).one())


async def read_head(tx: Transaction) -> Head:
    return Head(*(await tx.execute(select(audit_head.c.number, audit_head.c.hash))).one())


async def find(tx: Transaction, number: int) -> Row | None:
    found = (await tx.execute(select(audit).where(audit.c.id == number))).one_or_none()
    return Row._make(found) if found else None


async def after(tx: Transaction, number: int, limit: int) -> list[Row]:
    """Return the rows after the row `number`, in the order of the chain."""
    query = select(audit).where(audit.c.id > number).order_by(audit.c.id).limit(limit)
    return [Row._make(row) for row in await tx.execute(query)]


async def recent(tx: Transaction, limit: int, tenant: str | None = None) -> list[Entry]:
    """Return the latest entries, newest first; those of one tenant if it is given."""
    query = select(audit).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
    if tenant is not None:
        query = query.where(audit.c.tenant == tenant)
    return [entry_of_row(Row._make(row)) for row in await tx.execute(query)]


class Repeated(NamedTuple):
    """Events counted in a minute: `times` more of the event `of`. `identifier` and `address` are "" if they vary."""

    of: Event
    times: int
    at: int
    tenant: str | None
    identifier: str
    address: str


async def repeated(tx: Transaction, *conditions: ColumnElement[bool]) -> list[Repeated]:
    """Return the counts in the log, latest first, at most MOST_REPEATED of them."""
    columns = (audit.c.details, audit.c.at, audit.c.tenant, audit.c.identifier, audit.c.address)
    query = select(*columns).where(audit.c.event == Event.REPEATED.value, *conditions)
    found = await tx.execute(query.order_by(audit.c.at.desc()).limit(MOST_REPEATED))
    facts = [(json.loads(row.details), row) for row in found]
    return [
        Repeated(EVENTS[told["of"]], told["times"], row.at, row.tenant, row.identifier, row.address)
        for told, row in facts
    ]


def times_of(details: str) -> int:
    """Return the number of events that a row of REPEATED counts, from its stored details."""
    return int(json.loads(details)["times"])


def entry_of_row(row: Row) -> Entry:
    return Entry(
        event=EVENTS[row.event],
        outcome=Outcome(row.outcome),
        at=row.at,
        identifier=row.identifier,
        tenant=row.tenant,
        account=row.account,
        address=row.address,
        user_agent=row.user_agent,
        session=row.session,
        request_id=row.request_id,
        details=details_of(row),
    )


def details_of(row: Row) -> dict[str, str | int | bool]:
    """Return all details that were not erased, with the actor as `by`."""
    details: dict[str, str | int | bool] = {ACTOR: row.actor} if row.actor else {}
    return {**details, **json.loads(row.details), **(json.loads(row.personal) if row.personal else {})}


# Removal and erasure.


async def erase_who(tx: Transaction, identifier: str, account: str | None) -> int:
    """Empty the personal fields of all rows about a person; returns how many rows there were.

    These are the rows with the person's email, and those of every account ever recorded with it.
    """
    accounts = select(audit.c.account).where(audit.c.identifier == identifier, audit.c.account.is_not(None)).distinct()
    known = {*(await tx.execute(accounts)).scalars(), *([account] if account else [])}
    statement = (
        update(audit)
        .where((audit.c.identifier == identifier) | audit.c.account.in_(sorted(known)), audit.c.who_salt.is_not(None))
        .values(identifier="", address="", user_agent="", personal="", who_salt=None)
    )
    return (await tx.execute(statement)).rowcount


async def erase_actor(tx: Transaction, identifier: str) -> int:
    """Empty the actor's name in the rows of what that person did to others; returns how many rows there were."""
    statement = update(audit).where(audit.c.actor == identifier, audit.c.actor_salt.is_not(None))
    return (await tx.execute(statement.values(actor="", actor_salt=None))).rowcount


async def oldest(tx: Transaction) -> Row | None:
    found = await after(tx, 0, 1)
    return found[0] if found else None


async def first_since(tx: Transaction, at: int) -> int | None:
    """Return the number of the first row that is not older than `at`."""
    query = select(audit.c.id).where(audit.c.at >= at).order_by(audit.c.id).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()


async def remove_through(tx: Transaction, number: int) -> int:
    """Delete the rows up to this number, and including it; returns how many there were."""
    return (await tx.execute(delete(audit).where(audit.c.id <= number))).rowcount


OWN_RETENTION = Kept("audit/keeping.py removes what is older than the settings say, and signs for it")
STORED = (
    Stored(audit, OWN_RETENTION, AS_IT_WAS, Kept("audit/keeping.py empties its personal fields, and records that")),
    Stored(audit_head, Kept("one row: the end of the chain"), AS_IT_WAS, IMPERSONAL),
)
