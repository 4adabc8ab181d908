"""Statements on identity providers, and the accounts that are linked to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    delete,
    false,
    func,
    insert,
    select,
    update,
)

from gateway.crypto.sealing import Place, Sealer
from gateway.model.secret import Secret
from gateway.model.token import new_id
from gateway.sso import origins, waits
from gateway.sso.keys import rows as keys
from gateway.sso.keys.rows import KeyState
from gateway.sso.oidc.record import Claims, Kind, Provider
from gateway.store import Transaction
from gateway.store.schema import accounts, metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, OF_ACCOUNT, Kept, Sealed, Stored
from gateway.store.upsert import upsert

identity_providers = Table(
    "identity_providers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("issuer", String(500), nullable=False),
    Column("client_id", String(200), nullable=False),
    Column("client_secret", LargeBinary, nullable=False),  # sealed
    Column("scopes", String(500), nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("creates_accounts", Boolean, nullable=False),
    Column("counts_for_two", Boolean, nullable=False),  # if it says that it asked for two factors
    Column("signs", Boolean, nullable=False, server_default=false()),  # with a key, in place of the secret
    Column("acr_values", String(200), nullable=False, server_default=""),  # what it is asked for then
    Column("created_at", BigInteger, nullable=False),
    Column("tried_at", BigInteger),  # the last successful dry run
)

sso_links = Table(
    "sso_links",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("provider", String(40), ForeignKey("identity_providers.id"), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("asserted", Text),  # of an administrator, at the last sign-in (see roles.mapping.Asserted)
    Index("uq_sso_links_provider_subject", "provider", "subject", unique=True),
    Index("uq_sso_links_provider_account", "provider", "account", unique=True),
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A provider and what its tenant lets it do. Times are UTC seconds.

    `acr_values` are the classes of sign-in that have two factors there; at Entra ID, authentication contexts. `signs`:
    we prove ourselves to it with a key, which it then has, and not with the secret.
    """

    provider: Provider
    creates_accounts: bool = False
    counts_for_two: bool = False
    tried_at: int | None = None
    acr_values: tuple[str, ...] = ()
    signs: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        """The classes of sign-in to ask the provider for."""
        return self.acr_values if self.counts_for_two else ()

    def has_two_factors(self, claims: Claims) -> bool:
        """Whether a sign-in counts for two factors. Where a class is asked for, only that shows it."""
        shows = claims.reaches(self.acr_values) if self.acr_values else claims.shows_two_factors
        return self.counts_for_two and shows


is_linked = (
    select(sso_links.c.id)
    .join(identity_providers, identity_providers.c.id == sso_links.c.provider)
    .where(
        sso_links.c.account == accounts.c.id,
        identity_providers.c.tenant == accounts.c.tenant,
        identity_providers.c.is_enabled,
    )
    .correlate(accounts)
    .exists()
)
"""A condition on `accounts`: whether the tenant's provider signs the account in."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An account's link, as the person sees it. Times are UTC seconds."""

    issuer: str
    is_enabled: bool
    created_at: int
    used_at: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """An account as the provider knows it."""

    id: str
    account: str
    subject: str


# Providers.


async def put_provider(tx: Transaction, sealer: Sealer, wanted: Registered, now: int, but: str | None = None) -> int:
    """Add the provider of a tenant, or replace its settings. Returns how many sessions that ended.

    Another issuer or client knows other people by the same names, so all that the former one did ends: its links,
    sign-ins that wait for it, and sessions, except the one with the id `but`.
    """
    provider = wanted.provider
    await origins.hold(tx, provider.id, alone=True)  # before sessions are locked, as whoever opens one does
    before = await find_of_tenant(tx, sealer, provider.tenant)
    values = {
        "kind": provider.kind.value,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": sealer.seal(provider.client_secret.reveal().encode(), place(provider.id)),
        "scopes": " ".join(provider.scopes),
        "is_enabled": provider.is_enabled,
        "creates_accounts": wanted.creates_accounts,
        "counts_for_two": wanted.counts_for_two,
        "acr_values": " ".join(wanted.acr_values),
        "signs": wanted.signs,
        "tried_at": wanted.tried_at,
    }
    if before is None:
        row = {"id": provider.id, "tenant": provider.tenant, "created_at": now, **values}
        await tx.execute(insert(identity_providers).values(**row))
        return 0
    ended = 0 if knows_the_same(before.provider, provider) else await forget_people(tx, provider.id, now, but)
    if not provider.is_enabled:
        await origins.end_attempts(tx, provider.id, now)
    await tx.execute(update(identity_providers).where(identity_providers.c.id == provider.id).values(**values))
    return ended


def knows_the_same(one: Provider, other: Provider) -> bool:
    """Whether two versions of a provider know the same people by the same names (see Claims.key)."""
    is_entra = (one.kind is Kind.ENTRA, other.kind is Kind.ENTRA)
    return (one.issuer, one.client_id) == (other.issuer, other.client_id) and is_entra in ((True, True), (False, False))


async def forget_people(tx: Transaction, provider: str, now: int, but: str | None) -> int:
    """Remove links and waiting sign-ins, and end the sessions. Returns how many ended."""
    await tx.execute(delete(sso_links).where(sso_links.c.provider == provider))
    await waits.forget(tx, provider)
    return await origins.forget(tx, provider, now, but)


async def find_of_tenant(tx: Transaction, sealer: Sealer, tenant: str) -> Registered | None:
    query = select(identity_providers).where(identity_providers.c.tenant == tenant)
    row = (await tx.execute(query)).one_or_none()
    return await _read(tx, sealer, row)


async def find_provider(tx: Transaction, sealer: Sealer, provider: str) -> Registered | None:
    query = select(identity_providers).where(identity_providers.c.id == provider)
    row = (await tx.execute(query)).one_or_none()
    return await _read(tx, sealer, row)


async def _read(tx: Transaction, sealer: Sealer, row: Row[Any] | None) -> Registered | None:
    if row is None:
        return None
    found = read_provider(sealer, row)
    key = await keys.open_key(tx, sealer, row.id, KeyState.CURRENT) if found.signs else None
    return replace(found, provider=replace(found.provider, client_key=key))


async def sign(tx: Transaction, provider: str, tried_at: int) -> None:
    """Prove ourselves to a provider with the key from now on; a trial went well with it."""
    statement = update(identity_providers).where(identity_providers.c.id == provider)
    await tx.execute(statement.values(signs=True, tried_at=tried_at))


async def note_trial(tx: Transaction, provider: str, now: int) -> None:
    await tx.execute(update(identity_providers).where(identity_providers.c.id == provider).values(tried_at=now))


async def remove_provider(tx: Transaction, provider: str, now: int, but: str | None = None) -> int | None:
    """Remove a provider and all that it did, except the session with the id `but`.

    Returns how many sessions that ended, or None if there is no such provider.
    """
    await origins.hold(tx, provider, alone=True)
    ended = await forget_people(tx, provider, now, but)
    await keys.forget(tx, provider)
    removed = await tx.execute(delete(identity_providers).where(identity_providers.c.id == provider))
    return ended if removed.rowcount == 1 else None


# Links.


async def find_link(tx: Transaction, provider: str, subject: str) -> Link | None:
    query = select(sso_links.c.id, sso_links.c.account, sso_links.c.subject).where(
        sso_links.c.provider == provider, sso_links.c.subject == subject
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Link(*row)


async def find_link_of(tx: Transaction, account: str) -> Link | None:
    query = select(sso_links.c.id, sso_links.c.account, sso_links.c.subject).where(sso_links.c.account == account)
    row = (await tx.execute(query)).first()
    return None if row is None else Link(*row)


async def find_connection(tx: Transaction, account: str) -> Connection | None:
    query = (
        select(
            identity_providers.c.issuer, identity_providers.c.is_enabled, sso_links.c.created_at, sso_links.c.used_at
        )
        .join(identity_providers, identity_providers.c.id == sso_links.c.provider)
        .where(sso_links.c.account == account)
    )
    row = (await tx.execute(query)).first()
    return None if row is None else Connection(*row)


async def remove_links_of(tx: Transaction, account: str, since: int = 0) -> bool:
    """Remove the links of an account, made since then. Returns whether it had any."""
    statement = delete(sso_links).where(sso_links.c.account == account, sso_links.c.created_at >= since)
    return (await tx.execute(statement)).rowcount > 0


async def add_link(tx: Transaction, provider: str, subject: str, account: str, now: int) -> bool:
    """Link an account. Returns False if the account or the subject has a link already."""
    row = {"id": new_id("sso"), "provider": provider, "subject": subject, "account": account, "created_at": now}
    statement = upsert(tx, sso_links).values(**row).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def note_use(tx: Transaction, link: str, now: int) -> None:
    await tx.execute(update(sso_links).where(sso_links.c.id == link).values(used_at=now))


async def count_links(tx: Transaction, provider: str) -> int:
    query = select(func.count()).select_from(sso_links).where(sso_links.c.provider == provider)
    return (await tx.execute(query)).scalar_one()


def read_provider(sealer: Sealer, row: Row[Any]) -> Registered:
    found = Provider(
        id=row.id,
        tenant=row.tenant,
        issuer=row.issuer,
        client_id=row.client_id,
        client_secret=Secret(sealer.open(row.client_secret, place(row.id)).decode()),
        kind=Kind(row.kind),
        scopes=tuple(row.scopes.split()),
        is_enabled=row.is_enabled,
    )
    return Registered(
        found,
        creates_accounts=row.creates_accounts,
        counts_for_two=row.counts_for_two,
        tried_at=row.tried_at,
        acr_values=tuple(row.acr_values.split()),
        signs=row.signs,
    )


def place(provider: str) -> Place:
    return Place("identity_providers", "client_secret", provider)


STORED = (
    Stored(
        identity_providers,
        Kept("as long as its tenant uses it"),
        AS_IT_WAS,
        IMPERSONAL,
        Sealed(
            identity_providers.c.client_secret,
            identity_providers.c.is_enabled,
            "providers",
            "client secrets of identity providers",
            is_vital=True,
        ),
    ),
    Stored(sso_links, Kept("as long as its account"), AS_IT_WAS, OF_ACCOUNT),
)
