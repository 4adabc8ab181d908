"""The stored texts of network rules: a column of the tenant's row, and of the account's."""

from __future__ import annotations

from sqlalchemy import select, update

from gateway.model.account import Account
from gateway.model.factor_policy import FactorPolicy
from gateway.model.network_rule import NetworkRule
from gateway.store import Transaction
from gateway.store.schema import accounts, tenants


async def find_of_tenant(tx: Transaction, slug: str) -> str:
    """Return a tenant's text, "" if it has none."""
    query = select(tenants.c.networks).where(tenants.c.slug == slug)
    return (await tx.execute(query)).scalar_one_or_none() or ""


async def find_of_account(tx: Transaction, account: str) -> str:
    query = select(accounts.c.networks).where(accounts.c.id == account)
    return (await tx.execute(query)).scalar_one_or_none() or ""


async def set_of_tenant(tx: Transaction, slug: str, text: str) -> None:
    await tx.execute(update(tenants).where(tenants.c.slug == slug).values(networks=text))


async def set_of_account(tx: Transaction, account: str, text: str) -> None:
    await tx.execute(update(accounts).where(accounts.c.id == account).values(networks=text))


async def find_rule(tx: Transaction, account: Account, policy: FactorPolicy) -> NetworkRule | None:
    """Return the rule that applies to an account; None if there is none."""
    query = (
        select(tenants.c.networks, accounts.c.networks)
        .join(tenants, tenants.c.slug == accounts.c.tenant)
        .where(accounts.c.id == account.id)
    )
    row = (await tx.execute(query)).one_or_none()
    return row and policy.networks_of(account.identifier, account.role, *row)
