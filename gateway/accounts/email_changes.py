"""Statements on email changes: requested, agreed to by both addresses, done or ended.

An account has at most one open change. Each step is one conditional UPDATE, under the lock of the account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update

from gateway.accounts.claims import UNDO_SECONDS
from gateway.model.clock import DAY
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import email_changes
from gateway.store.stored import EXPIRING, Stored

WAIT_SECONDS = 72 * 3_600  # how long the old address has to stop a change that an administrator requested
COLUMNS = (
    email_changes.c.id,
    email_changes.c.account,
    email_changes.c.old,
    email_changes.c.new,
    email_changes.c.asked_by,
    email_changes.c.asked_at,
    email_changes.c.due_at,
    email_changes.c.old_agreed_at,
    email_changes.c.new_agreed_at,
    email_changes.c.done_at,
    email_changes.c.ended_at,
)

is_open = email_changes.c.done_at.is_(None) & email_changes.c.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class Change:
    """`asked_by` is an administrator's name, "" for the person's own request. Times are UTC seconds.

    From `due_at` on, the change needs no consent of the old address.
    """

    id: str
    account: str
    old: str
    new: str
    asked_by: str
    asked_at: int
    due_at: int
    old_agreed_at: int | None = None
    new_agreed_at: int | None = None
    done_at: int | None = None
    ended_at: int | None = None

    @property
    def is_open(self) -> bool:
        return self.done_at is None and self.ended_at is None

    def may_happen(self, now: int) -> bool:
        """Whether the new address has agreed, and the old one has agreed or its time is over."""
        return (
            self.is_open and self.new_agreed_at is not None and (self.old_agreed_at is not None or now >= self.due_at)
        )

    def can_be_undone(self, now: int) -> bool:
        return self.ended_at is None and self.done_at is not None and now < self.done_at + UNDO_SECONDS


async def add(tx: Transaction, account: str, old: str, new: str, asked_by: str, now: int) -> Change:
    """Add a change, and end the account's earlier open one."""
    await end_open(tx, account, now)
    due_at = now + WAIT_SECONDS if asked_by else now
    change = Change(new_id("emc"), account, old, new, asked_by, now, due_at)
    await tx.execute(
        insert(email_changes).values(
            id=change.id, account=account, old=old, new=new, asked_by=asked_by, asked_at=now, due_at=due_at
        )
    )
    return change


async def find(tx: Transaction, change_id: str) -> Change | None:
    row = (await tx.execute(select(*COLUMNS).where(email_changes.c.id == change_id))).one_or_none()
    return Change(*row) if row else None


async def find_open(tx: Transaction, account: str) -> Change | None:
    row = (await tx.execute(select(*COLUMNS).where(email_changes.c.account == account, is_open))).one_or_none()
    return Change(*row) if row else None


async def list_due(tx: Transaction, now: int, limit: int) -> list[Change]:
    """Return the changes that the new address has confirmed and whose `due_at` has passed, oldest first."""
    query = (
        select(*COLUMNS)
        .where(is_open, email_changes.c.new_agreed_at.is_not(None), email_changes.c.due_at <= now)
        .order_by(email_changes.c.due_at)
        .limit(limit)
    )
    return [Change(*row) for row in await tx.execute(query)]


async def agree_new(tx: Transaction, change_id: str, now: int) -> bool:
    return await set_where(tx, email_changes.c.id == change_id, is_open, new_agreed_at=now) == 1


async def agree_old(tx: Transaction, change_id: str, now: int) -> bool:
    return await set_where(tx, email_changes.c.id == change_id, is_open, old_agreed_at=now) == 1


async def finish(tx: Transaction, change: Change, now: int) -> bool:
    """Mark as done, with a `done_at` later than all earlier ones, even in the same second: `undo` needs the order."""
    query = select(func.max(email_changes.c.done_at)).where(email_changes.c.account == change.account)
    last = (await tx.execute(query)).scalar_one()
    done_at = now if last is None else max(now, last + 1)
    return await set_where(tx, email_changes.c.id == change.id, is_open, done_at=done_at) == 1


async def end_open(tx: Transaction, account: str, now: int) -> int:
    """End the open change. Returns how many there were (0 or 1)."""
    return await set_where(tx, email_changes.c.account == account, is_open, ended_at=now)


async def undo(tx: Transaction, change: Change, now: int) -> bool:
    """Undo a change and void every later one, so that a later email's owner can't undo this in turn."""
    is_later = (email_changes.c.done_at >= change.done_at) | email_changes.c.done_at.is_(None)
    undone = await set_where(
        tx, email_changes.c.account == change.account, is_later, email_changes.c.ended_at.is_(None), ended_at=now
    )
    return undone > 0


async def set_where(tx: Transaction, *conditions: ColumnElement[bool], **values: Any) -> int:
    return (await tx.execute(update(email_changes).where(*conditions).values(**values))).rowcount


STORED = (
    Stored(
        email_changes,
        # Seven days until confirmed, seven more until undone, and a day of margin.
        lambda longest, now: email_changes.c.asked_at < now - 15 * DAY,
        restored=lambda now: update(email_changes).where(is_open).values(ended_at=now),
        erased=EXPIRING,
    ),
)
