"""Statements on page views.

The primary key is also the order in which they are read, and on SQLite the only index that a new row has to be put
into, besides that of retention. Rows are chosen by their writer, not numbered by the store: writing a batch again,
because its commit was not confirmed, adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    select,
    tuple_,
    update,
)

from gateway.page_views.record import MAX_PATH, Switch, View, Viewed
from gateway.store import Transaction
from gateway.store.schema import accounts, metadata, sessions, tenants
from gateway.store.stored import AS_IT_WAS, Stored
from gateway.tokens.rows import api_tokens

MAX_SESSIONS = 100  # in a list

page_views = Table(
    "page_views",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("session", String(40), primary_key=True),  # or the API token; neither needs to exist any more
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", String(63), nullable=False),  # the account's at that time
    Column("method", String(32), nullable=False),
    Column("path", String(MAX_PATH), nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("address", String(45), nullable=False),
    Index("ix_page_views_at", "at"),
    sqlite_with_rowid=False,
)
COLUMNS = ", ".join(column.name for column in page_views.columns)
ADD_ONE = f"INSERT INTO page_views ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
# PostgreSQL: one statement for all.
ADD_ALL = f"""INSERT INTO page_views ({COLUMNS}) SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::text[])
    ON CONFLICT DO NOTHING"""  # noqa: S608


async def add(tx: Transaction, views: Sequence[View]) -> None:
    """Write views, without those of accounts that no longer exist."""
    known = await lock_accounts(tx, {view.account for view in views})
    kept = [tuple(view) for view in views if view.account in known]
    if not kept:
        return
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql(ADD_ONE, kept)
    else:
        await tx.exec_driver_sql(ADD_ALL, tuple(map(list, zip(*kept, strict=True))))


async def lock_accounts(tx: Transaction, wanted: Iterable[str]) -> set[str]:
    """Return those that exist; they can't be deleted until the transaction ends."""
    query = select(accounts.c.id).where(accounts.c.id.in_(sorted(wanted))).order_by(accounts.c.id)
    return set((await tx.execute(query.with_for_update(read=True, key_share=True))).scalars())


async def list_sessions(tx: Transaction, account: str, tenant: str | None) -> list[Viewed]:
    """Return the sessions with page views, the latest first, at most MAX_SESSIONS. `tenant` None means any."""
    found = (
        select(
            page_views.c.session,
            func.min(page_views.c.at).label("first_at"),
            func.max(page_views.c.at).label("last_at"),
            func.count().label("requests"),
        )
        .where(page_views.c.account == account, *within(tenant))
        .group_by(page_views.c.session)
        .order_by(func.max(page_views.c.at).desc(), page_views.c.session)
        .limit(MAX_SESSIONS)
        .subquery()
    )
    query = (
        select(found, sessions.c.user_agent, api_tokens.c.name)
        .outerjoin(sessions, sessions.c.id == found.c.session)
        .outerjoin(api_tokens, api_tokens.c.id == found.c.session)
        .order_by(found.c.last_at.desc(), found.c.session)
    )
    return [
        Viewed(row.session, row.user_agent or "", row.name or "", row.first_at, row.last_at, row.requests)
        for row in await tx.execute(query)
    ]


async def has_any(tx: Transaction, account: str) -> bool:
    query = select(page_views.c.account).where(page_views.c.account == account).limit(1)
    return (await tx.execute(query)).first() is not None


async def list_newest(
    tx: Transaction, account: str, session: str, tenant: str | None, before: tuple[int, int] | None, most: int
) -> list[View]:
    """Return the views of one session, newest first; `before` is `at` and `number` of the last one that was read."""
    query = select(page_views).where(page_views.c.account == account, page_views.c.session == session, *within(tenant))
    if before is not None:
        query = query.where(tuple_(page_views.c.at, page_views.c.number) < before)
    query = query.order_by(page_views.c.at.desc(), page_views.c.number.desc()).limit(most)
    return [View(*row) for row in await tx.execute(query)]


async def list_after(
    tx: Transaction, account: str, tenant: str | None, after: tuple[str, int, int], most: int
) -> list[View]:
    """Return the views of an account by session, each from the oldest on, after `after` (session, at, number)."""
    place = tuple_(page_views.c.session, page_views.c.at, page_views.c.number)
    query = select(page_views).where(page_views.c.account == account, place > after, *within(tenant))
    query = query.order_by(page_views.c.session, page_views.c.at, page_views.c.number).limit(most)
    return [View(*row) for row in await tx.execute(query)]


async def delete_some(tx: Transaction, account: str, most: int) -> int:
    """Delete up to `most` views of an account. Returns how many."""
    key = tuple(page_views.primary_key.columns)
    some = select(*key).where(page_views.c.account == account).limit(most)
    return (await tx.execute(delete(page_views).where(tuple_(*key).in_(some)))).rowcount


def within(tenant: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if tenant is None else (page_views.c.tenant == tenant,)


# The switch is a column of the tenant, because the lookup of each session reads it.


async def find_switch(tx: Transaction, tenant: str) -> Switch | None:
    query = select(tenants.c.page_views_since, tenants.c.page_views_reason).where(tenants.c.slug == tenant)
    row = (await tx.execute(query)).one_or_none()
    return Switch(row.page_views_since, row.page_views_reason) if row and row.page_views_since is not None else None


async def list_switches(tx: Transaction) -> dict[str, Switch]:
    """Return the tenants whose page views are recorded."""
    query = select(tenants.c.slug, tenants.c.page_views_since, tenants.c.page_views_reason).where(
        tenants.c.page_views_since.is_not(None)
    )
    return {row.slug: Switch(row.page_views_since, row.page_views_reason) for row in await tx.execute(query)}


async def switch_on(tx: Transaction, tenant: str, switch: Switch) -> bool:
    """Returns whether it was off."""
    statement = update(tenants).where(tenants.c.slug == tenant, tenants.c.page_views_since.is_(None))
    values = statement.values(page_views_since=switch.since, page_views_reason=switch.reason)
    return (await tx.execute(values)).rowcount == 1


async def switch_off(tx: Transaction, tenant: str) -> bool:
    """Returns whether it was on."""
    statement = update(tenants).where(tenants.c.slug == tenant, tenants.c.page_views_since.is_not(None))
    return (await tx.execute(statement.values(page_views_since=None, page_views_reason=""))).rowcount == 1


STORED = (
    Stored(page_views, stale=lambda longest, now: page_views.c.at < now - longest.page_views, restored=AS_IT_WAS),
)
