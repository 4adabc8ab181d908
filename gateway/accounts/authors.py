"""The account that a session acts for, read again in the transaction of the action.

A request is authorised before it waits for its turn to write. When it comes, the panic button may have been pressed, or
an administrator demoted: what lasts longer than the session (a token, another email, a list of networks) must not be
made then, or it would outlive what was to end it.
"""

from __future__ import annotations

from gateway.accounts import rows
from gateway.model.account import Account, Role, Status
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.store import Transaction


async def find_author(tx: Transaction, session: Session, *, lock: bool = True) -> Account | None:
    """Return the account of a session; None if either has ended. Whatever ends both waits for the lock.

    Without `lock` if the caller locks another account, or two administrators could wait for one another.
    """
    account = await rows.find(tx, session.account, lock=lock)
    is_allowed = account is not None and account.status is Status.ACTIVE and await session_rows.is_open(tx, session.id)
    return account if is_allowed else None


async def is_admin(tx: Transaction, session: Session) -> bool:
    """Whether the session is open, and its account still an administrator of its tenant."""
    account = await find_author(tx, session, lock=False)
    return account is not None and account.tenant == session.tenant and account.role is Role.ADMIN
