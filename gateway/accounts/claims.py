"""Whose an email may become: email domains that a tenant claims, and addresses that are kept for who had them.

The platform owner grants a domain to a tenant; no other tenant gets accounts there, by whatever way. A claim covers the
subdomains too, unless one of them is claimed by itself. Whether an email is taken, kept, claimed or an owner's has one
answer, so that nobody learns from it who belongs to whom.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, delete, func, or_, select

from gateway.model.account import Unacceptable, normalise_domain
from gateway.model.sentence import Sentence
from gateway.store import Transaction
from gateway.store.schema import accounts, email_changes, metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert

domain_claims = Table(
    "domain_claims",  # email domains that belong to a tenant
    metadata,
    Column("domain", String(253), primary_key=True),  # in its ASCII form
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, index=True),
    Column("claimed_at", BigInteger, nullable=False),
    Column("claimed_by", String(254), nullable=False),
)

UNDO_SECONDS = 7 * 86_400  # how long a former email is kept for the account that had it


@dataclass(frozen=True, slots=True)
class Claim:
    domain: str
    tenant: str


def check_claim(text: str) -> str:
    """Return a domain that can be claimed. Raises Unacceptable; a single label would be everybody below it."""
    try:
        domain = normalise_domain(text.strip().removeprefix("@"))
    except Unacceptable:
        domain = ""
    if "." not in domain:
        raise Unacceptable(Sentence("Write the domain as it stands after the @, like acme.example."))
    return domain


async def may_have(
    tx: Transaction, tenant: str, identifier: str, owners: frozenset[str], now: int, *, account: str = ""
) -> bool:
    """Whether an account of `tenant` may get this email: a new account, or the one with the id `account`.

    One answer for every reason: it is taken, or an owner's, or another tenant claims its domain, or it is kept for an
    account that had it until a few days ago.
    """
    query = select(accounts.c.id).where(accounts.c.identifier == identifier)
    is_taken = (await tx.execute(query)).first() is not None
    is_ours = await is_open_to(tx, tenant, identifier)
    is_kept = await is_kept_for_another(tx, identifier, account, now)
    return is_ours and not is_taken and not is_kept and identifier not in owners


async def is_open_to(tx: Transaction, tenant: str, identifier: str) -> bool:
    """Whether no other tenant claims the domain of an email. This is all that a preview may say."""
    claim = await find(tx, identifier.rpartition("@")[2])
    return claim is None or claim.tenant == tenant


async def is_kept_for_another(tx: Transaction, identifier: str, account: str, now: int) -> bool:
    """Whether another account had this email until lately, and may still undo the change."""
    query = select(email_changes.c.id).where(
        email_changes.c.old == identifier,
        email_changes.c.account != account,
        email_changes.c.done_at > now - UNDO_SECONDS,
        email_changes.c.ended_at.is_(None),
    )
    return (await tx.execute(query)).first() is not None


async def find(tx: Transaction, domain: str) -> Claim | None:
    """Return the claim that covers a domain: its own, or that of the nearest domain above it."""
    labels = domain.split(".")
    covering = [domain, *(".".join(labels[at:]) for at in range(1, len(labels) - 1))]
    query = select(domain_claims.c.domain, domain_claims.c.tenant).where(domain_claims.c.domain.in_(covering))
    found = [Claim(*row) for row in await tx.execute(query)]
    return max(found, key=lambda claim: len(claim.domain), default=None)


async def list_all(tx: Transaction) -> list[Claim]:
    query = select(domain_claims.c.domain, domain_claims.c.tenant).order_by(domain_claims.c.domain)
    return [Claim(*row) for row in await tx.execute(query)]


async def add(tx: Transaction, claim: Claim, by: str, now: int) -> Claim:
    """Claim a domain. Returns the claim that holds: an earlier one stays."""
    await tx.execute(
        upsert(tx, domain_claims)
        .values(domain=claim.domain, tenant=claim.tenant, claimed_at=now, claimed_by=by)
        .on_conflict_do_nothing(index_elements=["domain"])
    )
    query = select(domain_claims.c.domain, domain_claims.c.tenant).where(domain_claims.c.domain == claim.domain)
    return Claim(*(await tx.execute(query)).one())


async def release(tx: Transaction, claim: Claim) -> bool:
    """Return whether there was such a claim."""
    statement = delete(domain_claims).where(
        domain_claims.c.domain == claim.domain, domain_claims.c.tenant == claim.tenant
    )
    return (await tx.execute(statement)).rowcount == 1


async def count_strangers(tx: Transaction, claim: Claim) -> int:
    """Return how many accounts of other tenants have an email that the claim covers. They stay."""
    query = select(func.count()).where(
        or_(
            accounts.c.identifier.endswith(f"@{claim.domain}", autoescape=True),
            accounts.c.identifier.endswith(f".{claim.domain}", autoescape=True),
        ),
        accounts.c.tenant != claim.tenant,
    )
    return int((await tx.execute(query)).scalar_one())


STORED = (Stored(domain_claims, Kept("until it is released"), AS_IT_WAS),)
