"""The store's revision: a number that grows when a right is taken away that a worker may have in memory.

Triggers write it (migration 0013): when a session ends or changes, when an account is no longer what it was, when a
tenant is suspended. Each revision names the accounts or tenants that it is about, so a worker forgets exactly those.

A worker has applied a revision once it has forgotten that, and all before. `Applied` says which one, with its stamp,
because a number alone does not tell one history from another: after a restore the same number is another revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Integer, String, Table, UniqueConstraint, select

from gateway.store.schema import RowNumber, metadata
from gateway.store.stored import EXPIRING, IMPERSONAL, Kept, Stored

KEPT_SECONDS = 3_600  # a worker that is further behind forgets everything
MAX_CHANGES = 1_000  # so does one that would have to forget more at once

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("stamp", String(16), nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("number", BigInteger, nullable=False, index=True),  # PostgreSQL: 0 until the transaction commits
    Column("stamp", String(16), nullable=False),
    Column("xact", BigInteger),  # PostgreSQL: the transaction, until it commits
    Column("account", String(40), nullable=False),  # either this, or `tenant`, or neither: it is about everybody
    Column("tenant", String(63), nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("xact", "account", "tenant"),
)

STORED = (
    Stored(
        revision,
        stale=Kept("one row"),
        restored=Kept("it is raised by the sessions that a restore ends"),
        erased=IMPERSONAL,
        is_copied=False,
    ),
    Stored(
        changes,
        # The last one stays: whoever has applied it finds it there.
        stale=lambda longest, now: (
            (changes.c.at < now - KEPT_SECONDS) & (changes.c.number < select(revision.c.number).scalar_subquery())
        ),
        restored=Kept("what is older than an hour is deleted"),
        erased=EXPIRING,
        is_copied=False,
    ),
)


class Applied(NamedTuple):
    """A revision, and its stamp."""

    number: int
    stamp: str


class Change(NamedTuple):
    """A row of `changes`: `account`, or `tenant`, or neither, which means everybody."""

    number: int
    stamp: str
    account: str
    tenant: str


def changes_after(applied: Applied, rows: Sequence[Sequence[Any]]) -> list[Change] | None:
    """Return the changes since `applied`, from the answer to a query for up to MAX_CHANGES of them.

    The answer is a row of NULLs if there are none, and empty if `applied` is not in the store: it was deleted, or
    belongs to another history. Returns None then, and if a revision is missing or there are too many.
    """
    if not rows or len(rows) >= MAX_CHANGES:
        return None
    found = [Change(*row) for row in rows if row[0] is not None]
    numbers = [applied.number, *(change.number for change in found)]
    is_complete = all(number - former in (0, 1) for former, number in pairwise(numbers))
    return found if is_complete else None
