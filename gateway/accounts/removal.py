"""Removal of accounts: those that were never used, so that an invitation doesn't occupy an email forever, and service
accounts, which hold no personal data.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select

from gateway.actions.action import Action
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import accounts, email_changes, metadata, sessions
from gateway.store.stored import tables_of_accounts


async def remove_unused(action: Action, account: Account) -> bool:
    """Remove an account, which the caller has locked, if it never had a password or a session.

    Returns whether it was removed. Undoing an email change clears the password too, so an account with a completed
    change counts as used.
    """
    tx = action.tx
    if account.password_hash is not None or await is_used(tx, account.id):
        return False
    await remove(action, account)
    return True


async def remove(action: Action, account: Account) -> None:
    """Delete an account with all its rows."""
    tx = action.tx
    for table, whose in tables_of_accounts(metadata):
        await tx.execute(delete(table).where(whose == account.id))
    await tx.execute(delete(accounts).where(accounts.c.id == account.id))
    await action.record(Event.ACCOUNT_REMOVED, account, {"role": account.role.value})


async def is_used(tx: Transaction, account_id: str) -> bool:
    query = select(
        select(func.count()).where(sessions.c.account == account_id).scalar_subquery(),
        select(func.count())
        .where(email_changes.c.account == account_id, email_changes.c.done_at.is_not(None))
        .scalar_subquery(),
    )
    return any((await tx.execute(query)).one())
