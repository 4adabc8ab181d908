"""Statements on a provider's groups and their members. A member is an account that the same provider manages."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from gateway.model.token import new_id
from gateway.scim.user_rows import AT_ONCE, parts_of
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, OF_ACCOUNT, Kept, Stored
from gateway.store.upsert import upsert

scim_groups = Table(
    "scim_groups",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False),
    Column("name", String(254), nullable=False),
    Column("name_key", Text, nullable=False),  # names are compared without case
    Column("external_id", String(254), nullable=False),  # "" if the provider gives none
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("uq_scim_groups_tenant_name_key", "tenant", "name_key", unique=True),
)

scim_members = Table(
    "scim_members",
    metadata,
    Column("of_group", String(40), ForeignKey("scim_groups.id"), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True, index=True),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Times are UTC seconds."""

    id: str
    tenant: str
    name: str
    external_id: str
    created_at: int
    changed_at: int


COLUMNS = (
    scim_groups.c.id,
    scim_groups.c.tenant,
    scim_groups.c.name,
    scim_groups.c.external_id,
    scim_groups.c.created_at,
    scim_groups.c.changed_at,
)


async def handles_of(tx: Transaction, account_id: str) -> set[str]:
    """Return the names of an account's groups and what the provider calls them, which at Entra ID is the object ID."""
    query = select(scim_groups.c.name, scim_groups.c.external_id).join(
        scim_members, scim_members.c.of_group == scim_groups.c.id
    )
    found = await tx.execute(query.where(scim_members.c.account == account_id))
    return {handle for handles in found for handle in handles if handle}


async def add(tx: Transaction, tenant: str, name: str, external_id: str, now: int) -> Group | None:
    """Add a group. Returns None if the tenant has one of that name."""
    group = Group(new_id("grp"), tenant, name, external_id, now, now)
    statement = upsert(tx, scim_groups).values(
        id=group.id,
        tenant=tenant,
        name=name,
        name_key=key_of_name(name),
        external_id=external_id,
        created_at=now,
        changed_at=now,
    )
    added = await tx.execute(statement.on_conflict_do_nothing(index_elements=["tenant", "name_key"]))
    return group if added.rowcount == 1 else None


async def find(tx: Transaction, tenant: str, group_id: str, *, lock: bool = False) -> Group | None:
    query = select(*COLUMNS).where(scim_groups.c.tenant == tenant, scim_groups.c.id == group_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return Group(*row) if row else None


async def find_page(
    tx: Transaction, tenant: str, conditions: Sequence[ColumnElement[bool]], start: int, count: int
) -> tuple[int, list[Group]]:
    """Return how many match, and those from the `start`-th on (the first is 1)."""
    matching = select(*COLUMNS).where(scim_groups.c.tenant == tenant, *conditions)
    total = int((await tx.execute(select(func.count()).select_from(matching.subquery()))).scalar_one())
    if not count or start > total:
        return total, []
    query = matching.order_by(scim_groups.c.id).offset(start - 1).limit(count)
    return total, [Group(*row) for row in await tx.execute(query)]


async def count(tx: Transaction, tenant: str) -> int:
    query = select(func.count()).select_from(scim_groups).where(scim_groups.c.tenant == tenant)
    return int((await tx.execute(query)).scalar_one())


async def is_name_free(tx: Transaction, group: Group, name: str) -> bool:
    """Whether no other group of the tenant has a name. The caller has locked the tenant against other changes."""
    query = select(scim_groups.c.id).where(
        scim_groups.c.tenant == group.tenant,
        scim_groups.c.name_key == key_of_name(name),
        scim_groups.c.id != group.id,
    )
    return (await tx.execute(query)).first() is None


async def put(tx: Transaction, group: Group) -> None:
    statement = update(scim_groups).where(scim_groups.c.id == group.id)
    await tx.execute(
        statement.values(
            name=group.name,
            name_key=key_of_name(group.name),
            external_id=group.external_id,
            changed_at=group.changed_at,
        )
    )


async def remove(tx: Transaction, group_id: str) -> None:
    await tx.execute(delete(scim_members).where(scim_members.c.of_group == group_id))
    await tx.execute(delete(scim_groups).where(scim_groups.c.id == group_id))


# Members.


async def list_members(tx: Transaction, group_ids: Collection[str], limit: int) -> list[tuple[str, str]]:
    """Return group and account of each membership in the groups, at most `limit` of them.

    In parts: a part takes the event loop some milliseconds.
    """
    key = tuple_(scim_members.c.of_group, scim_members.c.account)
    query = select(scim_members.c.of_group, scim_members.c.account).where(scim_members.c.of_group.in_(group_ids))
    found: list[tuple[str, str]] = []
    while len(found) < limit:
        rest = query.where(key > tuple_(*found[-1])) if found else query
        rows = await tx.execute(
            rest.order_by(scim_members.c.of_group, scim_members.c.account).limit(min(AT_ONCE, limit - len(found)))
        )
        part = [(row.of_group, row.account) for row in rows]
        found += part
        if len(part) < AT_ONCE:
            break
    return found


async def find_members(tx: Transaction, group_id: str, account_ids: Collection[str]) -> set[str]:
    """Return those of the accounts that are in the group."""
    found = set[str]()
    for some in parts_of(sorted(account_ids)):
        query = select(scim_members.c.account).where(
            scim_members.c.of_group == group_id, scim_members.c.account.in_(some)
        )
        found |= set((await tx.execute(query)).scalars())
    return found


async def add_members(tx: Transaction, group_id: str, account_ids: Collection[str]) -> None:
    for some in parts_of(sorted(account_ids)):
        await tx.execute(insert(scim_members), [{"of_group": group_id, "account": account} for account in some])


async def remove_members(tx: Transaction, group_id: str, account_ids: Collection[str]) -> None:
    for some in parts_of(sorted(account_ids)):
        statement = delete(scim_members).where(scim_members.c.of_group == group_id, scim_members.c.account.in_(some))
        await tx.execute(statement)


async def leave_all(tx: Transaction, account_id: str) -> None:
    await tx.execute(delete(scim_members).where(scim_members.c.account == account_id))


def key_of_name(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def has_member(account_id: str) -> ColumnElement[bool]:
    """Return the condition that an account is in a group."""
    inside: Any = select(scim_members.c.account).where(
        scim_members.c.of_group == scim_groups.c.id, scim_members.c.account == account_id
    )
    return inside.exists()  # type: ignore[no-any-return]


STORED = (
    Stored(scim_groups, Kept("until its provider removes it"), AS_IT_WAS, IMPERSONAL),
    Stored(scim_members, Kept("as long as its group and its account"), AS_IT_WAS, OF_ACCOUNT),
)
