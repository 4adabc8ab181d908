"""Floods are counted, not listed: what strangers can do without end takes rows by the minute and not by the try.

Theory. Each key (event, facts, whom, from where) has its first row at once. What follows within the minute is counted
in `audit_counts`, in the transaction that would have written the row; so any number of workers count together, and a
crash loses nothing. When the minute is over, a chore (`audit.keeping`) takes the count out and puts one row into the
chain that says how many there were. Rows that are chained are never touched.

An attacker who makes up a new email for each try has a new key each time. So an address has a number of rows an hour
for each event, and so has everybody together; beyond it, tries are counted under the address, or under the event alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    Text,
    and_,
    delete,
    or_,
    select,
    tuple_,
)

from gateway.model.event import Entry, Event, Outcome
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert
from gateway.throttle.limits import address_bucket

audit_counts = Table(
    "audit_counts",  # what is counted rather than listed, until its minute is over
    metadata,
    Column("key", String(64), primary_key=True),  # a SHA-256, in hexadecimal
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("times", Integer, nullable=False),
    Column("entry", Text, nullable=False),  # what its row will say; "" for a count that is never told
)

MINUTE, HOUR = 60, 3_600
LISTED_FROM_ADDRESS = 120  # rows of one event in an hour
LISTED_IN_ALL = 3_000
SETTLED_AT_ONCE = 500
# Refusals that cost the sender no try, so that no limit ends them.
ENDLESS = frozenset(("locked", "blocked", "used", "expired", "superseded", "changed"))
# Counted whatever became of it: the time that this takes would tell whether an email has an account.
ALIKE = frozenset((Event.PASSWORD_RESET_ASKED,))
STEPS_LISTED = 10  # in a minute, of one account at one address: who knows the password can repeat the first step


async def is_listed(tx: Transaction, entry: Entry) -> bool:
    """Return whether `entry` gets a row of its own; if not, it has been counted."""
    free = listed_in_a_minute(entry)
    if free is not None and await add_one(tx, key_of(entry), minute_of(entry), entry, begin=1 - free) > 0:
        return False
    if entry.outcome is Outcome.SUCCESS and entry.event not in ALIKE:
        return True
    event, address, hour = entry.event.value, address_bucket(entry.address), entry.at // HOUR * HOUR
    of_address = await add_one(tx, digest(event, address), hour)
    of_all = await add_one(tx, digest(event), hour)
    if entry.outcome is Outcome.SUCCESS or (of_address <= LISTED_FROM_ADDRESS and of_all <= LISTED_IN_ALL):
        return True
    where = address if of_all <= LISTED_IN_ALL else ""
    anybody = replace(entry, identifier="", tenant=None, account=None, address=where, details={})
    await add_one(tx, digest(event, where, "more"), minute_of(entry), anybody)
    return False


def listed_in_a_minute(entry: Entry) -> int | None:
    """Return how many rows of the same key a minute has, or None where a limit sees to that."""
    if entry.event is Event.LOGIN_STEP:
        return STEPS_LISTED
    return 1 if entry.details.get("reason") in ENDLESS else None


def minute_of(entry: Entry) -> int:
    return entry.at // MINUTE * MINUTE


def key_of(entry: Entry) -> str:
    facts = json.dumps(dict(entry.facts), sort_keys=True)
    return digest(entry.event.value, entry.identifier, address_bucket(entry.address), facts)


def digest(*parts: str) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()


async def add_one(tx: Transaction, key: str, since: int, told: Entry | None = None, *, begin: int = 1) -> int:
    """Count under `key` in the time that began at `since` (UTC seconds), and return how many there are.

    The first counts as `begin`. What is counted beyond 0 is told later as `told`, if that is given.
    """
    statement = upsert(tx, audit_counts).values(key=key, since=since, times=begin, entry=write(told) if told else "")
    statement = statement.on_conflict_do_update(
        index_elements=["key", "since"], set_={"times": audit_counts.c.times + 1}
    )
    return int((await tx.execute(statement.returning(audit_counts.c.times))).scalar_one())


def write(entry: Entry) -> str:
    """Return what the row that tells the count will say of those who were counted."""
    return json.dumps(
        {
            "event": entry.event.value,
            "outcome": entry.outcome.value,
            "identifier": entry.identifier,
            "tenant": entry.tenant,
            "account": entry.account,
            "address": entry.address,
            "facts": dict(entry.facts),
        }
    )


async def take_settled(tx: Transaction, before: int, now: int) -> list[Entry] | None:
    """Take out some of the counts of minutes that began before `before`; return their rows, None if there are no more.

    The counts of hours are only forgotten. Of any number of workers that do this at once, each has others.
    """
    query = select(audit_counts).where(settled(before, now)).order_by(audit_counts.c.since, audit_counts.c.key)
    found = (await tx.execute(query.limit(SETTLED_AT_ONCE).with_for_update(skip_locked=True))).all()
    if not found:
        return None
    keys = [(row.key, row.since) for row in found]
    await tx.execute(delete(audit_counts).where(tuple_(audit_counts.c.key, audit_counts.c.since).in_(keys)))
    return [read(row.entry, row.since, row.times, now) for row in found if row.entry and row.times > 0]


async def has_settled(tx: Transaction, before: int, now: int) -> bool:
    return (await tx.execute(select(audit_counts.c.key).where(settled(before, now)).limit(1))).first() is not None


def settled(before: int, now: int) -> ColumnElement[bool]:
    is_over = and_(audit_counts.c.entry != "", audit_counts.c.since < before)
    is_old = and_(audit_counts.c.entry == "", audit_counts.c.since < now - 2 * HOUR)
    return or_(is_over, is_old)


def read(text: str, since: int, times: int, now: int) -> Entry:
    told = json.loads(text)
    facts: Mapping[str, str | int | bool] = told["facts"]
    return Entry(
        Event.REPEATED,
        Outcome(told["outcome"]),
        now,
        told["identifier"],
        tenant=told["tenant"],
        account=told["account"],
        address=told["address"],
        details={"of": told["event"], **facts, "times": times, "since": since},
    )


STORED = (Stored(audit_counts, Kept("audit/keeping.py writes down what was counted, and removes it"), AS_IT_WAS),)
