"""Statements on CSV imports: one row for each person who is waiting, or was skipped or refused.

The worker that holds the lease continues where the last transaction ended. The state of a row is written in the
transaction that invites the person, so a crash can't cause a second invitation or lose one. No query loads a whole
file: pages load counts and a few rows, and invitations are sent a few at a time.

Long because it has all statements on the two tables of an import, one function each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, insert, literal, or_, select, update

from gateway.accounts.csv_import.record import (
    ELSEWHERE,
    HAS_ACCOUNT,
    Asked,
    Departments,
    Import,
    ImportRow,
    Listing,
    Preview,
    RowState,
    Usage,
)
from gateway.accounts.csv_import.tables import import_rows, imports
from gateway.model.account import Role
from gateway.model.clock import DAY
from gateway.model.sentence import Sentence
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import accounts
from gateway.store.stored import AS_IT_WAS, EXPIRING, Longest, Stored

KEEP_SECONDS = DAY  # how long a file can be started, and its report be read
AT_ONCE = 200  # rows of a statement
SHOWN = 50  # rows of a state on a page
DEPARTMENTS_SHOWN = 10
COLUMNS = (
    imports.c.id,
    imports.c.tenant,
    imports.c.asked,
    imports.c.total,
    imports.c.invited,
    imports.c.skipped,
    imports.c.refused,
    imports.c.separator,
    imports.c.started_at,
    imports.c.finished_at,
)
ROW_COLUMNS = tuple(column for column in import_rows.c if column.name != "import_id")


async def measure(tx: Transaction, tenant: str | None, now: int) -> Usage:
    query = select(func.count(), func.coalesce(func.sum(imports.c.bytes), 0), func.min(imports.c.created_at))
    row = (await tx.execute(query.where(of_tenant(tenant), imports.c.created_at > now - DAY))).one()
    return Usage(row[0], int(row[1]), (row[2] or now) + DAY)


async def add(
    tx: Transaction, tenant: str | None, size: int, rows: Sequence[ImportRow], now: int, separator: str = ","
) -> str:
    """Store the rows of a file of `size` bytes, and return the import's id."""
    import_id = new_id("imp")
    refused = sum(row.state is RowState.REFUSED for row in rows)
    counts = {"total": len(rows), "invited": 0, "skipped": 0, "refused": refused}
    about = {"id": import_id, "tenant": tenant, "bytes": size, "separator": separator}
    await tx.execute(insert(imports).values(**about, created_at=now, due_at=0, **counts))
    for at in range(0, len(rows), AT_ONCE):
        values = [{"import_id": import_id, **values_of(row)} for row in rows[at : at + AT_ONCE]]
        await tx.execute(insert(import_rows), values)
    return import_id


def values_of(row: ImportRow) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in ROW_COLUMNS}


# Reading.


async def find(tx: Transaction, import_id: str, tenant: str | None) -> Import | None:
    """Return an import, if it belongs to `tenant` (None: the owner's)."""
    row = (await tx.execute(select(*COLUMNS).where(imports.c.id == import_id, of_tenant(tenant)))).one_or_none()
    return read(row) if row else None


async def preview(tx: Transaction, work: Import, domain: str) -> Preview:
    """Return the preview of an import. `domain` is that of its author's email.

    A tenant's admin sees existing accounts of that tenant only. The preview doesn't disclose whether an email belongs
    to another tenant's account or to a platform owner.
    """
    verdict = verdict_on(work)
    joined = import_rows.join(accounts, accounts.c.identifier == import_rows.c.identifier, isouter=True)
    mine = import_rows.c.import_id == work.id
    query = select(verdict, func.count()).select_from(joined).where(mine).group_by(verdict)
    counts = {RowState(state): count for state, count in await tx.execute(query)}

    async def list_some(state: RowState, *which: ColumnElement[bool]) -> list[ImportRow]:
        some = select(*ROW_COLUMNS, verdict.label("verdict")).select_from(joined)
        found = await list_rows(tx, some.where(mine, verdict == state.value, *which))
        return [with_reason(row, state) for row in found]

    async def list_invited(which: ColumnElement[bool]) -> Listing:
        invited = select(func.count()).select_from(joined).where(mine, verdict == RowState.INVITED.value, which)
        return Listing(await list_some(RowState.INVITED, which), (await tx.execute(invited)).scalar_one())

    listings = {}
    for state in (RowState.INVITED, RowState.SKIPPED, RowState.REFUSED):
        listings[state] = Listing(await list_some(state), counts.get(state, 0))
    return Preview(
        listings[RowState.INVITED],
        listings[RowState.SKIPPED],
        listings[RowState.REFUSED],
        departments=await find_departments(tx, work, import_rows.c.modules == ""),
        respelled=await find_departments(tx, work, import_rows.c.modules != ""),
        admins=await list_invited(import_rows.c.role == Role.ADMIN.value),
        outsiders=await list_invited(~import_rows.c.identifier.endswith(f"@{domain}", autoescape=True)),
        domain=domain,
    )


def with_reason(row: ImportRow, verdict: RowState) -> ImportRow:
    """Set the reason of a row that would be skipped or refused because of an existing account."""
    if row.state is not RowState.WAITING or verdict is RowState.INVITED:
        return row
    return replace(row, reason=HAS_ACCOUNT if verdict is RowState.SKIPPED else ELSEWHERE)


def verdict_on(work: Import) -> ColumnElement[str]:
    """Return the SQL expression of the state that a row would reach now."""
    refused = import_rows.c.state == RowState.REFUSED.value
    if work.tenant is None:
        refused |= accounts.c.tenant != import_rows.c.tenant
    return case(
        (refused, literal(RowState.REFUSED.value)),
        (accounts.c.tenant == import_rows.c.tenant, literal(RowState.SKIPPED.value)),
        else_=literal(RowState.INVITED.value),
    )


async def list_refused(tx: Transaction, work: Import, after: int) -> list[ImportRow]:
    """Return the next rows that can't be imported, from the line after `after` on."""
    joined = import_rows.join(accounts, accounts.c.identifier == import_rows.c.identifier, isouter=True)
    query = (
        select(*ROW_COLUMNS)
        .select_from(joined)
        .where(
            import_rows.c.import_id == work.id,
            import_rows.c.line > after,
            verdict_on(work) == RowState.REFUSED.value,
        )
    )
    rows = await tx.execute(query.order_by(import_rows.c.line).limit(AT_ONCE))
    return [with_reason(read_row(row), RowState.REFUSED) for row in rows]


async def find_departments(tx: Transaction, work: Import, grants: ColumnElement[bool]) -> Departments:
    """Return the departments of waiting rows that are not written like a module."""
    unknown = (
        import_rows.c.import_id == work.id,
        import_rows.c.state == RowState.WAITING.value,
        import_rows.c.department != "",
        grants,
    )
    count, rows = (
        await tx.execute(select(func.count(import_rows.c.department.distinct()), func.count()).where(*unknown))
    ).one()
    names = select(import_rows.c.department).where(*unknown).group_by(import_rows.c.department)
    some = await tx.execute(names.order_by(import_rows.c.department).limit(DEPARTMENTS_SHOWN))
    return Departments(list(some.scalars()), count, rows)


async def find_left_out(tx: Transaction, work: Import) -> Listing:
    """Return the first rows that were skipped or refused."""
    query = select(*ROW_COLUMNS).where(
        import_rows.c.import_id == work.id,
        import_rows.c.state.in_([RowState.SKIPPED.value, RowState.REFUSED.value]),
    )
    return Listing(await list_rows(tx, query), work.skipped + work.refused)


async def list_rows(tx: Transaction, query: Select[Any]) -> list[ImportRow]:
    return [read_row(row) for row in await tx.execute(query.order_by(import_rows.c.line).limit(SHOWN))]


# Inviting.


async def start(tx: Transaction, import_id: str, asked: Asked, now: int) -> bool:
    """Queue an import. Returns False if it was started before, or has expired."""
    statement = update(imports).where(
        imports.c.id == import_id, imports.c.started_at.is_(None), imports.c.created_at > now - KEEP_SECONDS
    )
    return (await tx.execute(statement.values(started_at=now, asked=asked.encode()))).rowcount == 1


async def is_any_due(tx: Transaction, now: int) -> bool:
    return (await tx.execute(select(imports.c.id).where(*is_due(now)).limit(1))).first() is not None


async def claim(tx: Transaction, now: int, lease_seconds: int) -> Import | None:
    """Lease the oldest queued import to this worker."""
    waiting = select(*COLUMNS).where(*is_due(now)).order_by(imports.c.started_at).limit(1)
    row = (await tx.execute(waiting.with_for_update(skip_locked=True))).one_or_none()
    if row is None:
        return None
    await tx.execute(update(imports).where(imports.c.id == row.id).values(due_at=now + lease_seconds))
    return read(row)


async def hold(tx: Transaction, work: Import, now: int, lease_seconds: int) -> bool:
    """Lock the import and renew its lease. Returns False if another worker has made progress meanwhile."""
    done = imports.c.invited + imports.c.skipped + imports.c.refused
    statement = update(imports).where(imports.c.id == work.id, done == work.done, imports.c.finished_at.is_(None))
    return (await tx.execute(statement.values(due_at=now + lease_seconds))).rowcount == 1


async def list_waiting(tx: Transaction, work: Import, limit: int) -> list[ImportRow]:
    query = select(*ROW_COLUMNS).where(*is_waiting(work)).order_by(import_rows.c.line).limit(limit)
    return [read_row(row) for row in await tx.execute(query)]


async def advance(tx: Transaction, work: Import, told: Sequence[ImportRow], now: int) -> Import:
    """Store the states of the next rows. A step without rows finishes the import."""
    invited = [row.line for row in told if row.state is RowState.INVITED]
    left_out = [
        {"at": row.line, "state": row.state.value, "reason": row.reason}
        for row in told
        if row.state is not RowState.INVITED
    ]
    mine = import_rows.c.import_id == work.id
    if invited:
        await tx.execute(delete(import_rows).where(mine, import_rows.c.line.in_(invited)))
    if left_out:
        await tx.execute(update(import_rows).where(mine, import_rows.c.line == bindparam("at")), left_out)
    counts = {state: sum(row.state is state for row in told) for state in RowState}
    return await note(
        tx,
        replace(
            work,
            invited=work.invited + counts[RowState.INVITED],
            skipped=work.skipped + counts[RowState.SKIPPED],
            refused=work.refused + counts[RowState.REFUSED],
            finished_at=None if told else now,
        ),
    )


async def stop(tx: Transaction, work: Import, reason: Sentence, now: int) -> Import:
    """Refuse the remaining rows and finish the import."""
    statement = update(import_rows).where(*is_waiting(work))
    left = (await tx.execute(statement.values(state=RowState.REFUSED.value, reason=reason))).rowcount
    return await note(tx, replace(work, refused=work.refused + left, finished_at=now))


async def note(tx: Transaction, work: Import) -> Import:
    counts = {"invited": work.invited, "skipped": work.skipped, "refused": work.refused}
    statement = update(imports).where(imports.c.id == work.id)
    await tx.execute(statement.values(finished_at=work.finished_at, **counts))
    return work


def of_tenant(tenant: str | None) -> ColumnElement[bool]:
    return imports.c.tenant.is_not_distinct_from(tenant)


def is_due(now: int) -> Iterable[ColumnElement[bool]]:
    return imports.c.started_at.is_not(None), imports.c.finished_at.is_(None), imports.c.due_at <= now


def is_waiting(work: Import) -> Iterable[ColumnElement[bool]]:
    return import_rows.c.import_id == work.id, import_rows.c.state == RowState.WAITING.value


def read(row: Any) -> Import:
    asked = Asked.decode(row.asked) if row.asked else None
    counts = (row.total, row.invited, row.skipped, row.refused)
    return Import(row.id, row.tenant, asked, *counts, row.separator, row.started_at, row.finished_at)


def read_row(row: Any) -> ImportRow:
    values = {column.name: getattr(row, column.name) for column in ROW_COLUMNS}
    return ImportRow(**{**values, "state": RowState(row.state), "reason": Sentence(row.reason)})


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    is_idle = or_(imports.c.started_at.is_(None), imports.c.finished_at.is_not(None))
    return and_(imports.c.created_at < now - KEEP_SECONDS - DAY, is_idle)


def is_row_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    return import_rows.c.import_id.in_(select(imports.c.id).where(is_stale(longest, now)))


STORED = (
    Stored(import_rows, is_row_stale, AS_IT_WAS, EXPIRING),
    Stored(imports, is_stale, AS_IT_WAS, EXPIRING),
)
