"""Statements on domains that wait to be proved, each by a value that belongs to one tenant and one domain."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, delete, select

from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored
from gateway.store.upsert import upsert

domain_challenges = Table(
    "domain_challenges",
    metadata,
    Column("tenant", String(63), ForeignKey("tenants.slug"), primary_key=True),
    Column("domain", String(253), primary_key=True),  # in its ASCII form
    Column("value", String(64), nullable=False),  # to be published, so no secret
    Column("created_at", BigInteger, nullable=False),
)
COLUMNS = (domain_challenges.c.tenant, domain_challenges.c.domain, domain_challenges.c.value)


@dataclass(frozen=True, slots=True)
class Challenge:
    tenant: str
    domain: str
    value: str


async def add(tx: Transaction, challenge: Challenge, now: int) -> None:
    """Keep a challenge, unless the tenant has one for the domain: the record may be published already."""
    row = {"tenant": challenge.tenant, "domain": challenge.domain, "value": challenge.value, "created_at": now}
    await tx.execute(upsert(tx, domain_challenges).values(**row).on_conflict_do_nothing())


async def find(tx: Transaction, tenant: str, domain: str) -> Challenge | None:
    query = select(*COLUMNS).where(domain_challenges.c.tenant == tenant, domain_challenges.c.domain == domain)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Challenge(*row)


async def list_of(tx: Transaction, tenant: str) -> list[Challenge]:
    """Return a tenant's challenges, the newest first."""
    query = select(*COLUMNS).where(domain_challenges.c.tenant == tenant)
    ordered = query.order_by(domain_challenges.c.created_at.desc(), domain_challenges.c.domain)
    return [Challenge(*row) for row in await tx.execute(ordered)]


async def consume(tx: Transaction, challenge: Challenge) -> bool:
    """Delete a challenge. Of concurrent requests, exactly one gets True."""
    statement = delete(domain_challenges).where(
        domain_challenges.c.tenant == challenge.tenant,
        domain_challenges.c.domain == challenge.domain,
        domain_challenges.c.value == challenge.value,
    )
    return (await tx.execute(statement)).rowcount == 1


STORED = (Stored(domain_challenges, Kept("until it is proved or its tenant gives it up"), AS_IT_WAS, IMPERSONAL),)
