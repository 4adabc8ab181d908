"""Statements on the mapping of a provider, and on what it last asserted of administrators.

The latter is kept beside an administrator's link, so that a mapping can be judged by it before it is saved.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, Text, select, update

from gateway.model.account import Role
from gateway.sso.roles.mapping import NO_MAP, Asserted, RoleMap, read_asserted, read_rules, write_rules
from gateway.sso.rows import sso_links
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored
from gateway.store.upsert import upsert

sso_role_maps = Table(
    "sso_role_maps",
    metadata,
    Column("provider", String(40), ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    Column("rules", Text, nullable=False),  # see mapping.write_rules
    Column("claim", String(100), nullable=False),
    Column("default_role", String(16), nullable=False),
    Column("names_follow", Boolean, nullable=False),
    Column("roles_follow", Boolean, nullable=False),
    Column("told_at", BigInteger),  # that the last administrator stays one, since the mapping was saved
)


async def find_map(tx: Transaction, provider: str) -> RoleMap:
    """Return the mapping of a provider, or the one of those that have none."""
    maps = sso_role_maps.c
    query = select(maps.rules, maps.claim, maps.default_role, maps.names_follow, maps.roles_follow)
    row = (await tx.execute(query.where(maps.provider == provider))).one_or_none()
    if row is None:
        return NO_MAP
    return RoleMap(
        read_rules(row.rules), row.claim, Role(row.default_role), names_follow=row.names_follow,
        roles_follow=row.roles_follow,
    )  # fmt: skip


async def put_map(tx: Transaction, provider: str, wanted: RoleMap) -> None:
    values = {
        "rules": write_rules(wanted.rules),
        "claim": wanted.claim,
        "default_role": wanted.default.value,
        "names_follow": wanted.names_follow,
        "roles_follow": wanted.roles_follow,
        "told_at": None,
    }
    statement = upsert(tx, sso_role_maps).values(provider=provider, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["provider"], set_=values))


async def note_told(tx: Transaction, provider: str, now: int) -> bool:
    """Note that administrators are told that the last one stays. Returns False if they were told already."""
    statement = update(sso_role_maps).where(sso_role_maps.c.provider == provider, sso_role_maps.c.told_at.is_(None))
    return (await tx.execute(statement.values(told_at=now))).rowcount == 1


# What was asserted of administrators.


async def note_asserted(tx: Transaction, provider: str, account: str, asserted: Asserted | None) -> None:
    """Keep what the provider asserted of an account, or nothing."""
    statement = update(sso_links).where(sso_links.c.provider == provider, sso_links.c.account == account)
    await tx.execute(statement.values(asserted=asserted.text if asserted else None))


async def has_link(tx: Transaction, provider: str, account: str) -> bool:
    query = select(sso_links.c.id).where(sso_links.c.provider == provider, sso_links.c.account == account)
    return (await tx.execute(query)).one_or_none() is not None


async def find_asserted(tx: Transaction, provider: str, account: str) -> Asserted | None:
    """Return what the provider last asserted of an administrator; None if that is not known."""
    query = select(sso_links.c.asserted).where(sso_links.c.provider == provider, sso_links.c.account == account)
    text = (await tx.execute(query)).scalar_one_or_none()
    return read_asserted(text) if text else None


STORED = (Stored(sso_role_maps, Kept("as long as its provider"), AS_IT_WAS, IMPERSONAL),)
