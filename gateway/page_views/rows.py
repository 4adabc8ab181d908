"""Statements on page views. A row has up to MAX_RUN of one session (see record.Run and batches).

The primary key is also the order in which they are read, and on SQLite the only index that a new row has to be put
into, besides that of retention. Rows are chosen by their writer, not numbered by the store: writing a batch again,
because its commit was not confirmed, adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    select,
    tuple_,
    update,
)

from gateway.page_views.record import Device, Run, Switch, Viewed
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
    Column("tenant", String(63), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("views", Text, nullable=False),
    Index("ix_page_views_at", "at"),
    sqlite_with_rowid=False,
)
COLUMNS = ", ".join(column.name for column in page_views.columns)
ADD_ONE = f"INSERT INTO page_views ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
# PostgreSQL: one statement for all.
ADD_ALL = f"""INSERT INTO page_views ({COLUMNS}) SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::integer[], $8::text[])
    ON CONFLICT DO NOTHING"""  # noqa: S608
Place = tuple[int, int]  # of a row in its session: `at` and `number`


async def add(tx: Transaction, runs: Sequence[Run]) -> None:
    """Write rows. Raises IntegrityError if one is of an account that no longer exists (see `of_known`)."""
    if not runs:
        return
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql(ADD_ONE, list(runs))
    else:
        await tx.exec_driver_sql(ADD_ALL, tuple(map(list, zip(*runs, strict=True))))


async def of_known(tx: Transaction, runs: Sequence[Run]) -> list[Run]:
    """Return the rows whose accounts exist; these can't be deleted until the transaction ends."""
    wanted = sorted({run.account for run in runs})
    query = select(accounts.c.id).where(accounts.c.id.in_(wanted)).order_by(accounts.c.id)
    known = set((await tx.execute(query.with_for_update(read=True, key_share=True))).scalars())
    return [run for run in runs if run.account in known]


async def list_sessions(tx: Transaction, account: str, tenant: str | None) -> list[Viewed]:
    """Return the sessions with page views, the latest first, at most MAX_SESSIONS. `tenant` None means any."""
    found = (
        select(
            page_views.c.session,
            func.min(page_views.c.first_at).label("first_at"),
            func.max(page_views.c.at).label("last_at"),
            func.sum(page_views.c.size).label("requests"),
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
        Viewed(row.session, Device(row.user_agent or "", row.name or ""), row.first_at, row.last_at, int(row.requests))
        for row in await tx.execute(query)
    ]


async def find_device(tx: Transaction, account: str, session: str) -> Device:
    agent = select(sessions.c.user_agent).where(sessions.c.id == session, sessions.c.account == account)
    token = select(api_tokens.c.name).where(api_tokens.c.id == session, api_tokens.c.account == account)
    return Device(*[(await tx.execute(query)).scalar_one_or_none() or "" for query in (agent, token)])


async def has_any(tx: Transaction, account: str) -> bool:
    query = select(page_views.c.account).where(page_views.c.account == account).limit(1)
    return (await tx.execute(query)).first() is not None


async def list_newest(
    tx: Transaction, account: str, session: str, tenant: str | None, before: Place | None, most: int
) -> tuple[list[Run], bool]:
    """Return rows of one session, newest first, until they have `most` views, and whether there are older ones.

    `before` is the place of the last row that was read.
    """
    place = tuple_(page_views.c.at, page_views.c.number)
    mine = (page_views.c.account == account, page_views.c.session == session, *within(tenant))
    query = select(page_views.c.at, page_views.c.number, page_views.c.size).where(*mine)
    if before is not None:
        query = query.where(place < before)
    newest_first = page_views.c.at.desc(), page_views.c.number.desc()
    found = (await tx.execute(query.order_by(*newest_first).limit(most + 1))).all()
    so_far = list(accumulate(row[2] for row in found))
    wanted = sum(before_it < most for before_it in (0, *so_far[:-1])) if found else 0
    if not wanted:
        return [], False
    last = found[wanted - 1]
    rows = select(page_views).where(*mine, place >= (last[0], last[1])).order_by(*newest_first)
    if before is not None:
        rows = rows.where(place < before)
    return [Run(*row) for row in await tx.execute(rows.limit(wanted))], len(found) > wanted


async def list_after(
    tx: Transaction, account: str, tenant: str | None, after: tuple[str, int, int], most: int
) -> list[Run]:
    """Return rows of an account by session, each from the oldest on, after `after` (session, at, number)."""
    place = tuple_(page_views.c.session, page_views.c.at, page_views.c.number)
    query = select(page_views).where(page_views.c.account == account, place > after, *within(tenant))
    query = query.order_by(page_views.c.session, page_views.c.at, page_views.c.number).limit(most)
    return [Run(*row) for row in await tx.execute(query)]


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
    Stored(
        page_views,
        stale=lambda longest, now: page_views.c.at < now - longest.page_views,
        restored=AS_IT_WAS,
        erased=lambda identifier, account: delete(page_views).where(page_views.c.account == account),
    ),
)
