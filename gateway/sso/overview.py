"""Statements on the providers of all tenants, without their secrets: for the owner's page and the shell.

They work, too, when a secret can't be opened: an operator who lost the key has to be able to turn the provider off.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update

from gateway.accounts import claims
from gateway.accounts.claims import Claim
from gateway.sso.checking import list_demanding
from gateway.sso.oidc.record import Kind
from gateway.sso.rows import identity_providers, sso_links
from gateway.store import Transaction


@dataclass(frozen=True, slots=True)
class Connected:
    """A tenant's provider. `people` are connected to it; `domains` lead to it. `tried_at` is UTC seconds."""

    id: str
    tenant: str
    kind: Kind
    issuer: str
    client_id: str
    is_enabled: bool
    is_required: bool
    creates_accounts: bool
    counts_for_two: bool
    signs: bool
    tried_at: int | None
    people: int
    domains: tuple[str, ...]


async def list_connected(tx: Transaction, tenant: str | None = None) -> list[Connected]:
    """Return the providers of all tenants, or of one, ordered by tenant."""
    provider = identity_providers.c
    people = select(func.count()).where(sso_links.c.provider == provider.id).scalar_subquery()
    query = select(
        provider.id, provider.tenant, provider.kind, provider.issuer, provider.client_id, provider.is_enabled,
        provider.creates_accounts, provider.counts_for_two, provider.signs, provider.tried_at, people.label("people"),
    ).order_by(provider.tenant)  # fmt: skip
    found = (await tx.execute(query if tenant is None else query.where(provider.tenant == tenant))).all()
    demanding, held = frozenset(await list_demanding(tx)), await claims.list_all(tx)
    return [
        Connected(
            **{**row._mapping, "kind": Kind(row.kind)},
            is_required=row.tenant in demanding,
            domains=domains_of(row.tenant, held),
        )
        for row in found
    ]


async def find_connected(tx: Transaction, tenant: str) -> Connected | None:
    return next(iter(await list_connected(tx, tenant)), None)


async def switch(tx: Transaction, tenant: str, *, is_on: bool) -> bool:
    """Turn a tenant's provider on or off. Returns whether that changed."""
    is_other = identity_providers.c.is_enabled.is_not(is_on)
    statement = update(identity_providers).where(identity_providers.c.tenant == tenant, is_other)
    return (await tx.execute(statement.values(is_enabled=is_on))).rowcount == 1


def domains_of(tenant: str, held: list[Claim]) -> tuple[str, ...]:
    return tuple(claim.domain for claim in held if claim.tenant == tenant)
