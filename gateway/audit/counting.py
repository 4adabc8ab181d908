"""Flood control of the audit log: events that strangers can trigger without limit are counted by the minute, not listed
one by one.

Theory. The first event of each key (event, facts, identifier, address) gets a row at once. Further ones within the
minute are counted in `audit_counts`, in the transaction that would have written the row: any number of workers add to
the same count, and a crash loses nothing. When the minute is over, a chore (`audit.keeping`) removes the count and adds
one row with the total to the chain. Rows that are chained are never changed.

An attacker who makes up a new email for each try gets a new key each time. So the rows of each event are limited per
hour, for one address and for all together. Beyond these limits, tries are counted under the address, or under the event
alone.
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

from gateway.model.clock import HOUR, MINUTE
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert
from gateway.throttle.limits import address_bucket

audit_counts = Table(
    "audit_counts",  # events counted instead of listed, until their minute is over
    metadata,
    Column("key", String(64), primary_key=True),  # a SHA-256, in hexadecimal
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("times", Integer, nullable=False),
    Column("entry", Text, nullable=False),  # the row to write; "" for a count that gets no row
)

LISTED_FROM_ADDRESS = 120  # rows of one event in an hour
LISTED_IN_ALL = 3_000
SETTLED_AT_ONCE = 500
# Refusals that use up none of the sender's tries, so that no rate limit stops them.
ENDLESS = frozenset(("locked", "blocked", "used", "expired", "superseded", "changed"))
# Counted for every outcome: otherwise the response time would reveal whether an email has an account.
ALIKE = frozenset((Event.PASSWORD_RESET_ASKED,))
STEPS_LISTED = 10  # a minute, of one account at one address: with the password, the first step can be repeated


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
    """Return how many rows a key may have in a minute, or None for events that a rate limit bounds."""
    if entry.event is Event.LOGIN_STEP:
        return STEPS_LISTED
    is_endless = entry.details.get("reason") in ENDLESS or entry.event in (Event.TOKEN_REFUSED, Event.NETWORK_REFUSED)
    return 1 if is_endless else None


def minute_of(entry: Entry) -> int:
    return entry.at // MINUTE * MINUTE


def key_of(entry: Entry) -> str:
    facts = json.dumps(dict(entry.facts), sort_keys=True)
    return digest(entry.event.value, entry.identifier, address_bucket(entry.address), facts)


def digest(*parts: str) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()


async def add_one(tx: Transaction, key: str, since: int, told: Entry | None = None, *, begin: int = 1) -> int:
    """Add one to the count of `key` in the period that began at `since` (UTC seconds), and return the count.

    The first call sets it to `begin`. What is counted above 0 is later recorded as `told`, if that is given.
    """
    statement = upsert(tx, audit_counts).values(key=key, since=since, times=begin, entry=write(told) if told else "")
    statement = statement.on_conflict_do_update(
        index_elements=["key", "since"], set_={"times": audit_counts.c.times + 1}
    )
    return int((await tx.execute(statement.returning(audit_counts.c.times))).scalar_one())


def write(entry: Entry) -> str:
    """Return, as JSON, the row that will report the count."""
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
    """Remove some counts of minutes that began before `before`; return their rows, or None when there are no more.

    Hourly counts are deleted without a row. Workers that do this at once get different counts.
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


STORED = (
    Stored(
        audit_counts,
        Kept("audit/keeping.py writes down what was counted, and removes it"),
        AS_IT_WAS,
        Kept("app/erasure.py has it written down first"),
    ),
)
