"""Statements on API tokens. Only the SHA-256 of a token is stored. sessions.by_token finds the token of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    select,
    update,
)

from gateway.accounts import rows as account_rows
from gateway.accounts.directory import in_tenant
from gateway.model.account import Account, Role, Status
from gateway.model.api_token import Grant, Kind, read_networks
from gateway.model.clock import DAY
from gateway.store import Transaction
from gateway.store.schema import accounts, metadata, tenants
from gateway.store.stored import AS_IT_WAS, EXPIRING, OF_ACCOUNT, Stored
from gateway.store.upsert import upsert
from gateway.throttle.slices import Slices

SHOWN_SECONDS = 90 * DAY  # how long a token that has ended stays in lists
MAX_LISTED = 200  # of one account
WARNING_SECONDS = 7 * DAY  # before a token expires
MAX_WARNED = 500  # at once

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("methods", String(200), nullable=False),  # separated by spaces, as are the next two; "" for all
    Column("paths", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger),  # to the minute, as are the next two
    Column("used_from", String(45)),
    Column("used_by", String(512)),
    Column("warned_at", BigInteger),  # when a mail said that it expires
)

api_token_networks = Table(
    "api_token_networks",  # from which each token has been used
    metadata,
    Column("token", String(40), primary_key=True),
    Column("network", String(64), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Index("ix_api_token_networks_account", "account"),
)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token for lists. Times are UTC seconds; `used_by` is a user agent."""

    id: str
    account: str
    kind: Kind
    name: str
    role: Role
    grant: Grant
    created_at: int
    revoked_at: int | None
    used_at: int | None
    used_from: str
    used_by: str

    def is_live(self, now: int) -> bool:
        return self.revoked_at is None and now < self.grant.expires_at


async def add(tx: Transaction, row: TokenRow, digest: bytes) -> None:
    grant = row.grant
    await tx.execute(
        insert(api_tokens).values(
            id=row.id,
            account=row.account,
            digest=digest,
            kind=row.kind.value,
            name=row.name,
            role=row.role.value,
            methods=" ".join(sorted(grant.methods)),
            paths=" ".join(grant.paths),
            networks=" ".join(map(str, grant.networks)),
            created_at=row.created_at,
            expires_at=grant.expires_at,
        )
    )


async def find(tx: Transaction, token: str) -> TokenRow | None:
    row = (await tx.execute(select(api_tokens).where(api_tokens.c.id == token))).one_or_none()
    return read(row) if row else None


async def find_by_digest(tx: Transaction, digest: bytes) -> TokenRow | None:
    row = (await tx.execute(select(api_tokens).where(api_tokens.c.digest == digest))).one_or_none()
    return read(row) if row else None


async def list_of(tx: Transaction, account: str, now: int) -> list[TokenRow]:
    """Return an account's tokens, newest first, without those that ended long ago. At most MAX_LISTED, the live ones
    before all others, so that no number of ended ones hides one that still works.
    """
    query = select(api_tokens).where(api_tokens.c.account == account, api_tokens.c.expires_at > now - SHOWN_SECONDS)
    newest = api_tokens.c.created_at.desc(), api_tokens.c.id
    found = await tx.execute(query.order_by(case((is_live(now), 0), else_=1), *newest).limit(MAX_LISTED))
    return sorted(map(read, found), key=lambda row: (-row.created_at, row.id))


async def list_of_people(tx: Transaction, tenant: str, now: int, most: int) -> list[tuple[TokenRow, str, str]]:
    """Return the live tokens of a tenant's people, at most `most`, each with name and email of its account."""
    query = (
        select(api_tokens, accounts.c.name.label("owner"), accounts.c.identifier)
        .join(accounts, accounts.c.id == api_tokens.c.account)
        .where(accounts.c.tenant == tenant, ~accounts.c.is_service, is_live(now))
        .order_by(accounts.c.name, api_tokens.c.created_at.desc(), api_tokens.c.id)
        .limit(most)
    )
    slices, found = Slices(), list[tuple[TokenRow, str, str]]()
    for row in await tx.execute(query):
        found.append((read(row), row.owner, row.identifier))
        await slices.pause()
    return found


async def list_services(tx: Transaction, tenant: str | None, now: int) -> list[tuple[Account, int]]:
    """Return a tenant's service accounts by name, each with the number of its live tokens. None means all tenants."""
    live = select(func.count()).where(api_tokens.c.account == accounts.c.id, is_live(now)).scalar_subquery()
    query = select(*account_rows.COLUMNS, live.label("live")).where(*in_tenant(tenant), accounts.c.is_service)
    found = await tx.execute(query.order_by(accounts.c.name, accounts.c.id))
    return [(account_rows.read(row), row.live) for row in found]


async def count_services(tx: Transaction, tenant: str) -> int:
    query = select(func.count()).where(accounts.c.tenant == tenant, accounts.c.is_service)
    return int((await tx.execute(query)).scalar_one())


async def count_live(tx: Transaction, account: str, now: int) -> int:
    query = select(func.count()).where(api_tokens.c.account == account, is_live(now))
    return int((await tx.execute(query)).scalar_one())


async def count_live_in_tenant(tx: Transaction, tenant: str, now: int) -> int:
    query = (
        select(func.count())
        .select_from(api_tokens)
        .join(accounts, accounts.c.id == api_tokens.c.account)
        .where(accounts.c.tenant == tenant, is_live(now))
    )
    return int((await tx.execute(query)).scalar_one())


async def count_made(tx: Transaction, account: str, since: int) -> int:
    """Return how many tokens were made for an account since then, live or not."""
    query = select(func.count()).where(api_tokens.c.account == account, api_tokens.c.created_at > since)
    return int((await tx.execute(query)).scalar_one())


async def revoke(tx: Transaction, token: str, now: int) -> bool:
    """End a token; return whether it was live. It is dead on its next request, on every node."""
    statement = update(api_tokens).where(api_tokens.c.id == token, is_live(now))
    return (await tx.execute(statement.values(revoked_at=now))).rowcount == 1


async def revoke_all(tx: Transaction, account: str, now: int) -> int:
    """End every token of an account; return how many were live."""
    statement = update(api_tokens).where(api_tokens.c.account == account, is_live(now))
    return (await tx.execute(statement.values(revoked_at=now))).rowcount


async def note_use(tx: Transaction, token: str, at: int, address: str, agent: str) -> None:
    statement = update(api_tokens).where(
        api_tokens.c.id == token, (api_tokens.c.used_at.is_(None)) | (api_tokens.c.used_at < at)
    )
    await tx.execute(statement.values(used_at=at, used_from=address, used_by=agent))


async def list_expiring(tx: Transaction, now: int) -> list[TokenRow]:
    """Return tokens that expire soon and of which nobody was warned, the next to expire first. At most MAX_WARNED.

    Only tokens that have been used, and were made for at least twice WARNING_SECONDS.
    """
    token = api_tokens.c
    query = (
        select(api_tokens)
        .join(accounts, accounts.c.id == token.account)
        .join(tenants, tenants.c.slug == accounts.c.tenant)
        .where(
            is_live(now),
            token.expires_at <= now + WARNING_SECONDS,
            token.created_at <= token.expires_at - 2 * WARNING_SECONDS,
            token.used_at.is_not(None),
            token.warned_at.is_(None),
            accounts.c.status == Status.ACTIVE.value,
            tenants.c.status == "active",
        )
    )
    found = await tx.execute(query.order_by(token.expires_at, token.id).limit(MAX_WARNED))
    return [read(row) for row in found]


async def note_warning(tx: Transaction, token: str, now: int) -> bool:
    """Returns False if another worker has sent it, or the token was revoked."""
    statement = update(api_tokens).where(api_tokens.c.id == token, is_live(now), api_tokens.c.warned_at.is_(None))
    return (await tx.execute(statement.values(warned_at=now))).rowcount == 1


async def add_network(tx: Transaction, token: str, account: str, network: str, now: int) -> bool:
    """Note from where a token is used. Returns whether it was used from there for the first time."""
    statement = upsert(tx, api_token_networks).values(token=token, network=network, account=account, first_at=now)
    return (await tx.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def count_networks(tx: Transaction, token: str, since: int) -> int:
    """Return how many networks a token has been used from for the first time since then."""
    query = select(func.count()).where(api_token_networks.c.token == token, api_token_networks.c.first_at > since)
    return int((await tx.execute(query)).scalar_one())


def is_live(now: int) -> ColumnElement[bool]:
    return and_(api_tokens.c.revoked_at.is_(None), api_tokens.c.expires_at > now)


def read(row: Row[Any]) -> TokenRow:
    return TokenRow(
        id=row.id,
        account=row.account,
        kind=Kind(row.kind),
        name=row.name,
        role=Role(row.role),
        grant=Grant(
            row.id,
            row.expires_at,
            frozenset(row.methods.split()),
            tuple(row.paths.split()),
            read_networks(row.networks),
        ),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
        used_from=row.used_from or "",
        used_by=row.used_by or "",
    )


STORED = (
    Stored(
        api_tokens,
        stale=lambda longest, now: api_tokens.c.expires_at < now - SHOWN_SECONDS,
        restored=lambda now: update(api_tokens).where(api_tokens.c.revoked_at.is_(None)).values(revoked_at=now),
        erased=OF_ACCOUNT,
    ),
    Stored(
        api_token_networks,
        lambda longest, now: api_token_networks.c.token.not_in(select(api_tokens.c.id)),
        AS_IT_WAS,
        EXPIRING,
    ),
)
