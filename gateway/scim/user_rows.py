"""Statements on the accounts that a provider manages. One that it doesn't manage is invisible to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Row,
    Select,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from gateway.accounts import rows as account_rows
from gateway.model.account import Account
from gateway.store import Transaction
from gateway.store.schema import accounts, metadata
from gateway.store.stored import AS_IT_WAS, OF_ACCOUNT, Kept, Stored

AT_ONCE = 500  # ids in one statement

scim_users = Table(
    "scim_users",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False),
    Column("external_id", String(254), nullable=False),  # "" if the provider gives none
    Column("content", Text, nullable=False),  # JSON: what the account itself doesn't have, as it was sent
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_scim_users_tenant_external_id", "tenant", "external_id"),
)


@dataclass(frozen=True, slots=True)
class Managed:
    """An account with what its provider says of it. `content` has SCIM's attributes. Times are UTC seconds."""

    account: Account
    external_id: str
    content: Mapping[str, Any]
    created_at: int
    changed_at: int


def select_managed(tenant: str) -> Select[Any]:
    columns = (
        *account_rows.COLUMNS,
        scim_users.c.external_id,
        scim_users.c.content,
        scim_users.c.created_at.label("managed_at"),
        scim_users.c.changed_at,
    )
    return select(*columns).join(accounts, accounts.c.id == scim_users.c.account).where(scim_users.c.tenant == tenant)


async def find(tx: Transaction, tenant: str, account_id: str, *, lock: bool = False) -> Managed | None:
    query = select_managed(tenant).where(scim_users.c.account == account_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return read(row) if row else None


async def is_managed(tx: Transaction, account_id: str) -> bool:
    query = select(scim_users.c.account).where(scim_users.c.account == account_id)
    return (await tx.execute(query)).first() is not None


async def find_page(
    tx: Transaction, tenant: str, conditions: Sequence[ColumnElement[bool]], start: int, count: int
) -> tuple[int, list[Managed]]:
    """Return how many match, and those from the `start`-th on (the first is 1)."""
    matching = select_managed(tenant).where(*conditions)
    total = int((await tx.execute(select(func.count()).select_from(matching.subquery()))).scalar_one())
    if not count or start > total:
        return total, []
    query = matching.order_by(scim_users.c.account).offset(start - 1).limit(count)
    return total, [read(row) for row in await tx.execute(query)]


async def find_known(tx: Transaction, tenant: str, account_ids: Collection[str]) -> dict[str, str]:
    """Return the emails of those of the accounts that the tenant's provider manages, by id."""
    found: dict[str, str] = {}
    for some in parts_of(sorted(account_ids)):
        query = select(accounts.c.id, accounts.c.identifier).join(scim_users, scim_users.c.account == accounts.c.id)
        rows = await tx.execute(query.where(scim_users.c.tenant == tenant, scim_users.c.account.in_(some)))
        found |= {row.id: row.identifier for row in rows}
    return found


async def count(tx: Transaction, tenant: str) -> int:
    query = select(func.count()).select_from(scim_users).where(scim_users.c.tenant == tenant)
    return int((await tx.execute(query)).scalar_one())


async def add(tx: Transaction, account: Account, content: Mapping[str, Any], now: int) -> None:
    values = {"account": account.id, "tenant": account.tenant, "created_at": now, **columns_of(content, now)}
    await tx.execute(insert(scim_users).values(**values))


async def put(tx: Transaction, account_id: str, content: Mapping[str, Any], now: int) -> None:
    await tx.execute(update(scim_users).where(scim_users.c.account == account_id).values(**columns_of(content, now)))


async def remove(tx: Transaction, account_id: str) -> None:
    await tx.execute(delete(scim_users).where(scim_users.c.account == account_id))


def columns_of(content: Mapping[str, Any], now: int) -> dict[str, Any]:
    kept = {name: value for name, value in content.items() if name not in ("active", "externalId")}
    return {"external_id": content.get("externalId", ""), "content": json.dumps(kept), "changed_at": now}


def read(row: Row[*tuple[Any, ...]]) -> Managed:
    content = json.loads(row.content)
    return Managed(account_rows.read(row), row.external_id, content, row.managed_at, row.changed_at)


def parts_of(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]


STORED = (Stored(scim_users, Kept("as long as its provider manages the account"), AS_IT_WAS, OF_ACCOUNT),)
