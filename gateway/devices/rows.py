"""Statements on where an account has signed in, beside those of sessions.rows."""

from __future__ import annotations

from sqlalchemy import func, select

from gateway.sessions.rows import MAX_DEVICES, forgotten_devices
from gateway.store import Transaction
from gateway.store.schema import sessions
from gateway.web.user_agents import label, label_all


async def has_browser(tx: Transaction, account: str, user_agent: str, since: int) -> bool:
    """Whether the account has signed in with a browser of this name since a time."""
    query = select(sessions.c.user_agent).where(sessions.c.account == account, sessions.c.started_at >= since)
    found = (await tx.execute(query.order_by(sessions.c.started_at.desc()).limit(MAX_DEVICES))).scalars().all()
    await label_all(found)
    return label(user_agent) in map(label, found)


async def last_revoked(tx: Transaction, account: str) -> int:
    """Return when a device of the account was last revoked, in UTC seconds; 0 if never."""
    query = select(func.max(forgotten_devices.c.at)).where(forgotten_devices.c.account == account)
    return (await tx.execute(query)).scalar_one() or 0
