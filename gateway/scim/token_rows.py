"""Statements on provisioning tokens. The store has only their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)

from gateway.model.clock import DAY, MINUTE
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_id
from gateway.scim.token import hint_of
from gateway.store import Transaction
from gateway.store.schema import metadata, tenants
from gateway.store.stored import EXPIRING, Stored

scim_tokens = Table(
    "scim_tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, index=True),
    Column("key", LargeBinary(32), nullable=False, unique=True),  # SHA-256
    Column("hint", String(16), nullable=False),  # how it begins, by which people tell it from another
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(254), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),  # to the minute
    Column("warned_at", BigInteger),  # when a mail said that it expires
)

WARNING_SECONDS = 30 * DAY  # before a token expires


@dataclass(frozen=True, slots=True)
class ProvisioningToken:
    """Times are UTC seconds; `used_at` is exact to the minute."""

    id: str
    tenant: str
    hint: str
    created_at: int
    created_by: str
    expires_at: int
    used_at: int | None = None

    def is_good(self, now: int) -> bool:
        return now < self.expires_at


COLUMNS = (
    scim_tokens.c.id,
    scim_tokens.c.tenant,
    scim_tokens.c.hint,
    scim_tokens.c.created_at,
    scim_tokens.c.created_by,
    scim_tokens.c.expires_at,
    scim_tokens.c.used_at,
)


async def add(
    tx: Transaction, tenant: str, token: Secret[str], by: str, now: int, expires_at: int
) -> ProvisioningToken:
    added = ProvisioningToken(new_id("sct"), tenant, hint_of(token), now, by, expires_at)
    await tx.execute(
        insert(scim_tokens).values(
            id=added.id,
            tenant=tenant,
            key=key_of(token),
            hint=added.hint,
            created_at=now,
            created_by=by,
            expires_at=expires_at,
        )
    )
    return added


async def find_good(tx: Transaction, key: bytes, now: int, *, lock: bool = False) -> ProvisioningToken | None:
    """Return the token of an active tenant, unless it has expired. `lock` keeps it from being revoked meanwhile."""
    query = (
        select(*COLUMNS)
        .join(tenants, tenants.c.slug == scim_tokens.c.tenant)
        .where(scim_tokens.c.key == key, scim_tokens.c.expires_at > now, tenants.c.status == "active")
    )
    row = (await tx.execute(query.with_for_update(read=True, of=scim_tokens) if lock else query)).one_or_none()
    return None if row is None else ProvisioningToken(*row)


async def note_use(tx: Transaction, token: ProvisioningToken, now: int) -> None:
    """Write down that a token was used, once a minute."""
    minute = now // MINUTE * MINUTE
    is_older = or_(scim_tokens.c.used_at.is_(None), scim_tokens.c.used_at < minute)
    await tx.execute(update(scim_tokens).where(scim_tokens.c.id == token.id, is_older).values(used_at=minute))


async def list_of(tx: Transaction, tenant: str) -> list[ProvisioningToken]:
    """Return the tokens of a tenant, oldest first; those that have expired lately too."""
    query = select(*COLUMNS).where(scim_tokens.c.tenant == tenant)
    return [
        ProvisioningToken(*row) for row in await tx.execute(query.order_by(scim_tokens.c.created_at, scim_tokens.c.id))
    ]


async def list_expiring(tx: Transaction, now: int) -> list[ProvisioningToken]:
    """Return tokens that expire soon and of which nobody was warned.

    Only tokens that were made for at least twice WARNING_SECONDS and have been used, and no newer one of the tenant
    since: then the provider has changed to that.
    """
    token, newer = scim_tokens.c, scim_tokens.alias().c
    has_changed = exists().where(
        newer.tenant == token.tenant, newer.created_at > token.created_at, newer.used_at >= token.used_at
    )
    query = (
        select(*COLUMNS)
        .join(tenants, tenants.c.slug == token.tenant)
        .where(
            token.expires_at > now,
            token.expires_at <= now + WARNING_SECONDS,
            token.created_at <= token.expires_at - 2 * WARNING_SECONDS,
            token.used_at.is_not(None),
            token.warned_at.is_(None),
            ~has_changed,
            tenants.c.status == "active",
        )
    )
    return [ProvisioningToken(*row) for row in await tx.execute(query.order_by(token.expires_at, token.id))]


async def note_warning(tx: Transaction, token_id: str, now: int) -> bool:
    """Returns False if another worker has sent it, or the token was revoked."""
    statement = update(scim_tokens).where(scim_tokens.c.id == token_id, scim_tokens.c.warned_at.is_(None))
    return (await tx.execute(statement.values(warned_at=now))).rowcount == 1


async def find(tx: Transaction, token_id: str) -> ProvisioningToken | None:
    row = (await tx.execute(select(*COLUMNS).where(scim_tokens.c.id == token_id))).one_or_none()
    return None if row is None else ProvisioningToken(*row)


async def remove(tx: Transaction, token_id: str, tenant: str) -> bool:
    """Revoke a token. Returns whether the tenant had it."""
    statement = delete(scim_tokens).where(scim_tokens.c.id == token_id, scim_tokens.c.tenant == tenant)
    return (await tx.execute(statement)).rowcount == 1


STORED = (
    Stored(
        scim_tokens,
        lambda longest, now: scim_tokens.c.expires_at < now - 30 * DAY,
        # One that was revoked after the backup would be good again.
        lambda now: delete(scim_tokens),
        EXPIRING,
    ),
)
