"""Statements on accounts and tenants."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from gateway.accounts import claims
from gateway.languages.zones import find_zone
from gateway.model.account import Account, Module, Role, Status, read_modules
from gateway.model.factor import read_enrolled
from gateway.model.factor_policy import TenantPolicy, read_tenant_policy
from gateway.model.secret import Secret
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import accounts, tenants
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored
from gateway.store.upsert import upsert

BASE64 = string.ascii_letters + string.digits + "+/"
MOST_METHODS = 100
COLUMNS = (
    accounts.c.id,
    accounts.c.identifier,
    accounts.c.name,
    accounts.c.tenant,
    accounts.c.role,
    accounts.c.modules,
    accounts.c.status,
    accounts.c.password_hash,
    accounts.c.created_at,
    accounts.c.enrolled,
    accounts.c.is_service,
)


def new_account_id() -> str:
    """Return a random id, which discloses nothing about the person and is never reused."""
    return new_id("acc")


async def find(tx: Transaction, account_id: str, *, lock: bool = False) -> Account | None:
    """`lock` locks the row until the transaction ends, for changes that rely on what was read.

    SQLite has one write transaction at a time anyway. On PostgreSQL the password could otherwise be changed, and
    every session ended, between this query and the opening of a session.
    """
    query = select(*COLUMNS).where(accounts.c.id == account_id)
    return await find_one(tx, query.with_for_update() if lock else query)


async def find_in_tenant(tx: Transaction, account_id: str, tenant: str, *, lock: bool = False) -> Account | None:
    """Return the account if it belongs to `tenant`."""
    query = select(*COLUMNS).where(accounts.c.id == account_id, accounts.c.tenant == tenant)
    return await find_one(tx, query.with_for_update() if lock else query)


async def find_by_identifier(tx: Transaction, identifier: str) -> Account | None:
    """`identifier` is normalised (see model.account)."""
    return await find_one(tx, select(*COLUMNS).where(accounts.c.identifier == identifier))


async def list_all(tx: Transaction, tenant: str | None = None) -> list[Account]:
    """Return all accounts, or those of one tenant, sorted by tenant and email."""
    query = select(*COLUMNS).order_by(accounts.c.tenant, accounts.c.identifier)
    if tenant is not None:
        query = query.where(accounts.c.tenant == tenant)
    return [read(row) for row in await tx.execute(query)]


async def add(tx: Transaction, account: Account) -> bool:
    """Add an account, and its tenant if that is new. Every new account is added by this function.

    Returns False if the tenant can't have the email: it is taken, its domain is claimed by another tenant, or it is
    reserved for its former account (see accounts.claims). A service account's identifier is no email.
    """
    return await add_all(tx, [account]) == {account.id}


async def add_all(tx: Transaction, new: Sequence[Account]) -> set[str]:
    """Do the same for several accounts that are made at one time. Returns the ids of those that were added."""
    open_to = await claims.list_open_to(tx, [(account.tenant, account.identifier) for account in new])
    allowed = [account for account, is_open in zip(new, open_to, strict=True) if account.is_service or is_open]
    if not allowed:
        return set()
    for tenant in sorted({account.tenant for account in allowed}):
        await add_tenant(tx, tenant, tenant)
    statement = upsert(tx, accounts).on_conflict_do_nothing(index_elements=["identifier"]).returning(accounts.c.id)
    # In one order, so that two transactions don't wait for each other.
    ordered = sorted(allowed, key=lambda account: account.identifier)
    added = set((await tx.execute(statement, list(map(values_of, ordered)))).scalars())
    # Checked after the insert, which waits for the commit of a transaction that is just giving the email up.
    identifiers = [account.identifier for account in allowed if account.id in added]
    reserved = await claims.list_reserved(tx, identifiers, min(account.created_at for account in allowed))
    given_back = {account.id for account in allowed if account.id in added and account.identifier in reserved}
    if given_back:
        await tx.execute(delete(accounts).where(accounts.c.id.in_(given_back)))
    return added - given_back


def values_of(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "identifier": account.identifier,
        "name": account.name,
        "tenant": account.tenant,
        "role": account.role.value,
        "modules": ",".join(sorted(account.modules)),
        "status": account.status.value,
        "password_hash": account.password_hash.reveal() if account.password_hash else None,
        "created_at": account.created_at,
        "is_service": account.is_service,
    }


async def set_password_hash(
    tx: Transaction, account_id: str, new: Secret[str], replacing: Secret[str] | None = None
) -> bool:
    """Store a hash; with `replacing`, only if that is still the stored one. Returns whether it was stored."""
    statement = update(accounts).where(accounts.c.id == account_id).values(password_hash=new.reveal())
    if replacing is not None:
        statement = statement.where(accounts.c.password_hash == replacing.reveal())
    return (await tx.execute(statement)).rowcount == 1


async def list_hash_methods(tx: Transaction) -> list[str]:
    """Return the distinct methods of active accounts' password hashes (see hashes.method_of), at most MOST_METHODS.

    The database cuts off salt and digest: each is base64 after a `$`.
    """
    method: ColumnElement[str] = accounts.c.password_hash
    for ending in (BASE64, "$", BASE64, "$"):
        method = func.rtrim(method, ending)
    query = select(method).where(accounts.c.status == Status.ACTIVE.value, accounts.c.password_hash.is_not(None))
    return list((await tx.execute(query.distinct().limit(MOST_METHODS))).scalars())


async def note_reader(tx: Transaction, account_id: str, language: str, zone: str, *, is_known: bool = True) -> None:
    """Store what the browser of a sign-in accepts, for mails. "" is what it doesn't say, and changes nothing.

    A device that isn't known replaces nothing: a thief's would choose the language of the mail that warns of it.
    """
    found = {accounts.c.last_language: language, accounts.c.last_zone: zone if find_zone(zone) else ""}
    told = {column: value for column, value in found.items() if value}
    if told:
        is_new = or_(*(column != value for column, value in told.items()))
        is_first = accounts.c.last_language == "", accounts.c.last_zone == ""
        which = accounts.c.id == account_id, is_new, *(() if is_known else is_first)
        await tx.execute(update(accounts).where(*which).values(told))


async def clear_password(tx: Transaction, account_id: str) -> None:
    """Remove the password, so that the account can't sign in until a new one is set."""
    await tx.execute(update(accounts).where(accounts.c.id == account_id).values(password_hash=None))


async def set_status(tx: Transaction, account_id: str, status: Status, by: str = "") -> bool:
    """Return whether the status changed. `by` is a program that disables it, and may enable it again."""
    statement = (
        update(accounts)
        .where(accounts.c.id == account_id, accounts.c.status != status.value)
        .values(status=status.value, disabled_by=by if status is Status.DISABLED else "")
    )
    return (await tx.execute(statement)).rowcount == 1


async def is_disabled_by(tx: Transaction, account_id: str, by: str) -> bool:
    """Whether an account is disabled, and that program did it."""
    query = select(accounts.c.id).where(
        accounts.c.id == account_id, accounts.c.status == Status.DISABLED.value, accounts.c.disabled_by == by
    )
    return (await tx.execute(query)).first() is not None


async def set_role(tx: Transaction, account_id: str, role: Role, modules: frozenset[Module]) -> None:
    statement = update(accounts).where(accounts.c.id == account_id)
    await tx.execute(statement.values(role=role.value, modules=",".join(sorted(modules))))


async def set_name(tx: Transaction, account_id: str, name: str) -> None:
    await tx.execute(update(accounts).where(accounts.c.id == account_id).values(name=name))


async def set_identifier(tx: Transaction, account_id: str, identifier: str) -> bool:
    """Set the email, and return whether it was free."""
    other = accounts.alias()
    is_taken = select(other.c.id).where(other.c.identifier == identifier).exists()
    statement = update(accounts).where(accounts.c.id == account_id, ~is_taken).values(identifier=identifier)
    try:
        async with tx.begin_nested():
            return (await tx.execute(statement)).rowcount == 1
    except IntegrityError:  # a concurrent transaction took it, and PostgreSQL waited for its commit
        return False


async def list_admins(tx: Transaction, tenant: str, *, lock: bool = False) -> list[Account]:
    """Return a tenant's active administrators by name: people, no service accounts."""
    query = select(*COLUMNS).where(
        accounts.c.tenant == tenant,
        accounts.c.role == Role.ADMIN.value,
        accounts.c.status == Status.ACTIVE.value,
        ~accounts.c.is_service,
    )
    ordered = query.order_by(accounts.c.name, accounts.c.id)
    return [read(row) for row in await tx.execute(ordered.with_for_update() if lock else ordered)]


async def count_active(tx: Transaction, tenant: str) -> int:
    """Count a tenant's active people."""
    query = select(func.count()).where(
        accounts.c.tenant == tenant, accounts.c.status == Status.ACTIVE.value, ~accounts.c.is_service
    )
    return int((await tx.execute(query)).scalar_one())


async def count_admins(tx: Transaction, tenant: str, *, but: str, has_way_in: ColumnElement[bool]) -> int:
    """Count a tenant's active admins who can sign in, except the account with the id `but`."""
    query = select(func.count()).where(
        accounts.c.tenant == tenant,
        accounts.c.role == Role.ADMIN.value,
        accounts.c.status == Status.ACTIVE.value,
        ~accounts.c.is_service,
        has_way_in,
        accounts.c.id != but,
    )
    return int((await tx.execute(query)).scalar_one())


async def add_tenant(tx: Transaction, slug: str, name: str) -> bool:
    """Add an active tenant. Returns False if the slug exists already."""
    if await has_tenant(tx, slug):  # SQLite's triggers take an insert that does nothing for one that replaces
        return False
    statement = upsert(tx, tenants).values(slug=slug, name=name, status="active")
    return (await tx.execute(statement.on_conflict_do_nothing(index_elements=["slug"]))).rowcount == 1


async def rename_tenant(tx: Transaction, slug: str, name: str) -> bool:
    """Rename a tenant. Returns whether it exists."""
    return (await tx.execute(update(tenants).where(tenants.c.slug == slug).values(name=name))).rowcount == 1


async def has_tenant(tx: Transaction, slug: str) -> bool:
    return (await tx.execute(select(tenants.c.slug).where(tenants.c.slug == slug))).one_or_none() is not None


async def find_tenant_name(tx: Transaction, slug: str) -> str:
    """Return a tenant's name, or the slug if there is no such tenant."""
    return (await tx.execute(select(tenants.c.name).where(tenants.c.slug == slug))).scalar_one_or_none() or slug


async def lock_tenant(tx: Transaction, slug: str) -> None:
    """Lock the tenant against other callers until the transaction ends. Accounts can still be added."""
    await tx.execute(select(tenants.c.slug).where(tenants.c.slug == slug).with_for_update(key_share=True))


async def set_tenant_status(tx: Transaction, slug: str, *, is_active: bool) -> bool:
    """Suspend or resume a tenant. Returns whether there is such a tenant."""
    status = "active" if is_active else "suspended"
    return (await tx.execute(update(tenants).where(tenants.c.slug == slug).values(status=status))).rowcount == 1


async def is_tenant_active(tx: Transaction, slug: str) -> bool:
    status = (await tx.execute(select(tenants.c.status).where(tenants.c.slug == slug))).scalar_one_or_none()
    return status == "active"


async def find_factor_policy(tx: Transaction, slug: str, *, even_suspended: bool = False) -> TenantPolicy | None:
    """Return what an active tenant demands of its people's factors, or None."""
    query = select(tenants.c.factor_policy).where(tenants.c.slug == slug)
    if not even_suspended:
        query = query.where(tenants.c.status == "active")
    text = (await tx.execute(query)).scalar_one_or_none()
    return None if text is None else read_tenant_policy(text)


async def find_models(tx: Transaction, slug: str) -> tuple[str, ...]:
    """Return the AAGUIDs of the only passkeys that a tenant's people can add; none, if they can add any."""
    query = select(tenants.c.passkey_models).where(tenants.c.slug == slug)
    return tuple(((await tx.execute(query)).scalar_one_or_none() or "").split())


async def list_tenants_with_models(tx: Transaction) -> list[str]:
    """Return the tenants whose people can add passkeys of some models only."""
    query = select(tenants.c.slug).where(tenants.c.passkey_models != "").order_by(tenants.c.slug)
    return list((await tx.execute(query)).scalars())


async def set_sign_in(tx: Transaction, slug: str, policy: TenantPolicy, models: Sequence[str]) -> None:
    values = {"factor_policy": policy.text, "passkey_models": " ".join(models)}
    await tx.execute(update(tenants).where(tenants.c.slug == slug).values(**values))


async def is_tenant_suspended(tx: Transaction, slug: str) -> bool:
    """Whether the tenant exists and is suspended. One that doesn't exist yet is added with its first account."""
    status = (await tx.execute(select(tenants.c.status).where(tenants.c.slug == slug))).scalar_one_or_none()
    return status == "suspended"


async def is_welcome(tx: Transaction, account: Account) -> bool:
    """Whether the account may sign in: it is a person's, and active like its tenant."""
    return not account.is_service and account.status is Status.ACTIVE and await is_tenant_active(tx, account.tenant)


async def find_one(tx: Transaction, query: Select[Any]) -> Account | None:
    row = (await tx.execute(query)).one_or_none()
    return read(row) if row else None


def read(row: Row[*tuple[Any, ...]]) -> Account:
    return Account(
        id=row.id,
        identifier=row.identifier,
        name=row.name,
        tenant=row.tenant,
        role=Role(row.role),
        modules=read_modules(row.modules),
        status=Status(row.status),
        password_hash=Secret(row.password_hash) if row.password_hash else None,
        created_at=row.created_at,
        enrolled=read_enrolled(row.enrolled),
        is_service=bool(row.is_service),
    )


STORED = (
    Stored(tenants, Kept("suspended, never removed"), AS_IT_WAS, IMPERSONAL),
    Stored(
        accounts,
        Kept("only one that nobody ever used is removed (accounts/removal.py)"),
        AS_IT_WAS,
        Kept("it stays, disabled once the person has left, so that nobody else gets its email and its data in the app"),
    ),
)
