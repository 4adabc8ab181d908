"""Statements on imported accounts: one row per account and source, with what the last import saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, LargeBinary, String, Table, bindparam, select, update

from gateway.accounts.app_sync.plan import Known
from gateway.accounts.rows import add_tenant
from gateway.model.account import Account, Role, Status
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import accounts, audit, metadata
from gateway.store.stored import AS_IT_WAS, OF_ACCOUNT, Kept, Stored
from gateway.store.upsert import upsert

imported = Table(
    "imported",  # accounts that follow the application's own users
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("identifier", String(254), nullable=False),  # the email there
    Column("hash_digest", LargeBinary(32)),  # SHA-256 of the password hash there
    Column("was_created", Boolean, nullable=False),  # by the import
    Column("imported_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),  # by the import, because the user was missing there
    Column("user_key", String(320)),  # the user's id there, or the email as spelled there
)


async def list_known(tx: Transaction, source: str) -> list[Known]:
    query = select(
        imported.c.account,
        imported.c.identifier,
        imported.c.hash_digest,
        imported.c.was_created,
        imported.c.imported_at,
        imported.c.disabled_at,
        imported.c.user_key,
    ).where(imported.c.source == source)
    return [Known(*row) for row in await tx.execute(query)]


async def list_with_new_password(tx: Transaction, source: str) -> set[str]:
    """Return the accounts whose password was changed in the gateway since the last import."""
    query = (
        select(imported.c.account)
        .join(audit, audit.c.account == imported.c.account)
        .where(
            imported.c.source == source,
            audit.c.event == Event.PASSWORD_CHANGED.value,
            audit.c.at > imported.c.imported_at,
        )
        .distinct()
    )
    return set((await tx.execute(query)).scalars())


async def remember(tx: Transaction, source: str, known: Sequence[Known]) -> None:
    """Add or update rows; `was_created` is set only when one is added."""
    if not known:
        return
    statement = upsert(tx, imported)
    seen = ("identifier", "hash_digest", "imported_at", "disabled_at", "user_key")
    statement = statement.on_conflict_do_update(
        index_elements=["account", "source"], set_={name: statement.excluded[name] for name in seen}
    )
    await tx.execute(statement, [{**asdict(each), "source": source} for each in known])


async def touch(tx: Transaction, source: str, account_ids: Sequence[str], now: int) -> None:
    """Record an import that found these accounts unchanged."""
    if account_ids:
        statement = (
            update(imported)
            .where(imported.c.source == source, imported.c.account == bindparam("seen"))
            .values(imported_at=now)
        )
        await tx.execute(statement, [{"seen": account_id} for account_id in account_ids])


async def has_other_admin(tx: Transaction, account: Account) -> bool:
    """Whether the account's tenant has another active admin."""
    query = (
        select(accounts.c.id)
        .where(
            accounts.c.tenant == account.tenant,
            accounts.c.role == Role.ADMIN.value,
            accounts.c.status == Status.ACTIVE.value,
            accounts.c.id != account.id,
            ~accounts.c.is_service,
        )
        .limit(1)
    )
    return (await tx.execute(query)).one_or_none() is not None


async def mark_disabled(tx: Transaction, source: str, account_id: str, now: int) -> None:
    statement = (
        update(imported).where(imported.c.account == account_id, imported.c.source == source).values(disabled_at=now)
    )
    await tx.execute(statement)


async def set_profile(tx: Transaction, account: Account) -> None:
    """Store name, tenant and modules. Adds the tenant if it is new."""
    await add_tenant(tx, account.tenant, account.tenant)
    statement = (
        update(accounts)
        .where(accounts.c.id == account.id)
        .values(name=account.name, tenant=account.tenant, modules=",".join(sorted(account.modules)))
    )
    await tx.execute(statement)


STORED = (Stored(imported, Kept("as long as its account"), AS_IT_WAS, OF_ACCOUNT),)
