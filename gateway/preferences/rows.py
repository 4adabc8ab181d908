"""Statements on preferences: columns of the account's row, and of the tenant's."""

from __future__ import annotations

from sqlalchemy import select, update

from gateway.store import Transaction
from gateway.store.schema import accounts, tenants


async def set_of_account(tx: Transaction, account: str, language: str, zone: str) -> None:
    """`language` is the code of one on offer, `zone` the name of one, "" for the browser's."""
    await tx.execute(update(accounts).where(accounts.c.id == account).values(language=language, zone=zone))


async def find_of_tenant(tx: Transaction, slug: str) -> str:
    """Return the tenant's language, "" if it has chosen none."""
    query = select(tenants.c.language).where(tenants.c.slug == slug)
    return (await tx.execute(query)).scalar_one_or_none() or ""


async def set_of_tenant(tx: Transaction, slug: str, language: str) -> bool:
    """Return whether there is such a tenant."""
    statement = update(tenants).where(tenants.c.slug == slug).values(language=language)
    return (await tx.execute(statement)).rowcount == 1
