"""Which account may have an email: domains claimed by a tenant, and former emails reserved for their account.

The platform owner grants a domain to a tenant, or the tenant proves it (gateway.sso.domains); no other tenant can then
get accounts in it, by any route. A claim covers subdomains, unless one is claimed separately. Taken, reserved, claimed
and owners' emails get the same answer, so that it doesn't disclose who belongs to which tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    String,
    Table,
    delete,
    false,
    func,
    or_,
    select,
    update,
)

from gateway.model.account import Unacceptable, is_at_service_domain, normalise_domain
from gateway.model.clock import DAY
from gateway.model.sentence import Sentence
from gateway.store import Transaction
from gateway.store.schema import accounts, email_changes, metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert

domain_claims = Table(
    "domain_claims",  # email domains reserved for a tenant
    metadata,
    Column("domain", String(253), primary_key=True),  # in its ASCII form
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, index=True),
    Column("claimed_at", BigInteger, nullable=False),
    Column("claimed_by", String(254), nullable=False),
    Column("is_proved", Boolean, nullable=False, server_default=false()),  # by its tenant, and not granted
)

UNDO_SECONDS = 7 * DAY  # how long a former email stays reserved for its account


@dataclass(frozen=True, slots=True)
class Claim:
    """`is_proved`: its tenant proved it, and may give it up. Otherwise the owner granted it."""

    domain: str
    tenant: str
    is_proved: bool = field(default=False, compare=False)


COLUMNS = (domain_claims.c.domain, domain_claims.c.tenant, domain_claims.c.is_proved)


def check_claim(text: str) -> str:
    """Return the normalised domain. Raises Unacceptable, also for a single label: it would cover a whole TLD.

    So it does for the domain of service accounts, which is every tenant's.
    """
    try:
        domain = normalise_domain(text.strip().removeprefix("@"))
    except Unacceptable:
        domain = ""
    if "." not in domain or is_at_service_domain(domain):
        raise Unacceptable(Sentence("Write the domain as it stands after the @, like acme.example."))
    return domain


async def may_have(
    tx: Transaction, tenant: str, identifier: str, owners: frozenset[str], now: int, *, account: str = ""
) -> bool:
    """Whether an account of `tenant` may get this email: a new account, or the one with the id `account`.

    False if it is taken, an owner's, in a domain that another tenant claims, or reserved as another account's former
    email. Callers don't learn which.
    """
    query = select(accounts.c.id).where(accounts.c.identifier == identifier)
    is_taken = (await tx.execute(query)).first() is not None
    is_ours = await is_open_to(tx, tenant, identifier)
    is_reserved = await is_reserved_for_another(tx, identifier, account, now)
    return is_ours and not is_taken and not is_reserved and identifier not in owners


async def is_open_to(tx: Transaction, tenant: str, identifier: str) -> bool:
    """Whether no other tenant claims the domain of an email. A preview may disclose this, and nothing else.

    The domain of service accounts is closed to people: a person must not pass for one, nor get its rights.
    """
    return await list_open_to(tx, [(tenant, identifier)]) == [True]


async def list_open_to(tx: Transaction, wanted: Sequence[tuple[str, str]]) -> list[bool]:
    """Do the same for each of several tenants and emails."""
    claims = await find_all(tx, {domain_of(identifier) for _, identifier in wanted})

    def is_open(tenant: str, identifier: str) -> bool:
        claim = claims.get(domain_of(identifier))
        return not is_at_service_domain(identifier) and (claim is None or claim.tenant == tenant)

    return [is_open(tenant, identifier) for tenant, identifier in wanted]


def domain_of(identifier: str) -> str:
    return identifier.rpartition("@")[2]


async def is_reserved_for_another(tx: Transaction, identifier: str, account: str, now: int) -> bool:
    """Whether this is the former email of another account, which may still undo the change."""
    query = select(email_changes.c.id).where(
        email_changes.c.old == identifier,
        email_changes.c.account != account,
        *is_reserving(now),
    )
    return (await tx.execute(query)).first() is not None


async def list_reserved(tx: Transaction, identifiers: Collection[str], now: int) -> set[str]:
    """Return which of these are former emails of accounts that may still undo the change."""
    query = select(email_changes.c.old).where(email_changes.c.old.in_(identifiers), *is_reserving(now))
    return set((await tx.execute(query)).scalars())


def is_reserving(now: int) -> Iterable[ColumnElement[bool]]:
    return email_changes.c.done_at > now - UNDO_SECONDS, email_changes.c.ended_at.is_(None)


async def find(tx: Transaction, domain: str) -> Claim | None:
    """Return the claim that covers a domain: its own, or that of its nearest claimed parent."""
    return (await find_all(tx, {domain})).get(domain)


async def find_all(tx: Transaction, domains: Set[str]) -> dict[str, Claim]:
    """Map the domains that a claim covers to it."""
    covering = {domain: list_covering(domain) for domain in domains}
    asked = sorted({name for names in covering.values() for name in names})
    query = select(*COLUMNS).where(domain_claims.c.domain.in_(asked))
    claims = {row.domain: Claim(*row) for row in await tx.execute(query)}
    found = {domain: [claims[name] for name in names if name in claims] for domain, names in covering.items()}
    return {domain: nearest[0] for domain, nearest in found.items() if nearest}


def list_covering(domain: str) -> list[str]:
    """Return the domains whose claim covers this one, nearest first: itself, and its parents of two labels or more."""
    labels = domain.split(".")
    return [domain, *(".".join(labels[at:]) for at in range(1, len(labels) - 1))]


async def list_all(tx: Transaction) -> list[Claim]:
    query = select(*COLUMNS).order_by(domain_claims.c.domain)
    return [Claim(*row) for row in await tx.execute(query)]


async def add(tx: Transaction, claim: Claim, by: str, now: int) -> Claim:
    """Claim a domain, unless it is claimed already. Returns the claim in force."""
    await tx.execute(
        upsert(tx, domain_claims)
        .values(domain=claim.domain, tenant=claim.tenant, claimed_at=now, claimed_by=by, is_proved=claim.is_proved)
        .on_conflict_do_nothing(index_elements=["domain"])
    )
    query = select(*COLUMNS).where(domain_claims.c.domain == claim.domain)
    return Claim(*(await tx.execute(query)).one())


async def release(tx: Transaction, claim: Claim) -> bool:
    """Delete a claim. Returns whether it existed."""
    statement = delete(domain_claims).where(
        domain_claims.c.domain == claim.domain, domain_claims.c.tenant == claim.tenant
    )
    return (await tx.execute(statement)).rowcount == 1


async def count_strangers(tx: Transaction, claim: Claim) -> int:
    """Count the accounts of other tenants with an email that the claim covers. They keep it."""
    query = select(func.count()).where(is_at(claim.domain), accounts.c.tenant != claim.tenant)
    return int((await tx.execute(query)).scalar_one())


async def count_people(tx: Transaction, claim: Claim) -> int:
    """Count the accounts of the claim's tenant with an email that it covers."""
    query = select(func.count()).where(is_at(claim.domain), accounts.c.tenant == claim.tenant)
    return int((await tx.execute(query)).scalar_one())


def is_at(domain: str) -> ColumnElement[bool]:
    """Whether an account's email is at the domain, or below it."""
    return or_(
        accounts.c.identifier.endswith(f"@{domain}", autoescape=True),
        accounts.c.identifier.endswith(f".{domain}", autoescape=True),
    )


STORED = (
    Stored(
        domain_claims,
        Kept("until it is released"),
        AS_IT_WAS,
        erased=lambda identifier, account: (
            update(domain_claims).where(domain_claims.c.claimed_by == identifier).values(claimed_by="")
        ),
    ),
)
