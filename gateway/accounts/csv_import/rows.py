"""Files of people in the store: one row for each person who waits to be invited, or was left out.

Whichever worker holds the lease goes on where the last transaction ended. What became of a row is written in the
transaction that does it, so nobody is invited twice, or forgotten, over a crash. Nothing here reads a whole file:
pages ask for counts and for a few rows, and work is done a few rows at a time.

Long because all statements on the two tables of an import stand here, a function each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, literal, or_, select, update

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
from gateway.model.sentence import Sentence
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import accounts
from gateway.store.stored import AS_IT_WAS, Longest, Stored

DAY = 86_400
KEEP_SECONDS = DAY  # so long a file waits to be started, and a report to be read
AT_ONCE = 200  # rows of a statement
SHOWN = 50  # rows of a kind on a page
DEPARTMENTS_SHOWN = 10
COLUMNS = (
    imports.c.id,
    imports.c.tenant,
    imports.c.asked,
    imports.c.total,
    imports.c.invited,
    imports.c.skipped,
    imports.c.refused,
    imports.c.started_at,
    imports.c.finished_at,
)
ROW_COLUMNS = tuple(column for column in import_rows.c if column.name != "import_id")


async def measure(tx: Transaction, tenant: str | None, now: int) -> Usage:
    query = select(func.count(), func.coalesce(func.sum(imports.c.bytes), 0), func.min(imports.c.created_at))
    row = (await tx.execute(query.where(of_tenant(tenant), imports.c.created_at > now - DAY))).one()
    return Usage(row[0], int(row[1]), (row[2] or now) + DAY)


async def add(tx: Transaction, tenant: str | None, size: int, rows: Sequence[ImportRow], now: int) -> str:
    """Keep what was read of a file of `size` bytes; return the id under which it is shown and started."""
    import_id = new_id("imp")
    refused = sum(row.state is RowState.REFUSED for row in rows)
    counts = {"total": len(rows), "invited": 0, "skipped": 0, "refused": refused}
    statement = insert(imports).values(id=import_id, tenant=tenant, bytes=size, created_at=now, due_at=0, **counts)
    await tx.execute(statement)
    for at in range(0, len(rows), AT_ONCE):
        values = [{"import_id": import_id, **values_of(row)} for row in rows[at : at + AT_ONCE]]
        await tx.execute(insert(import_rows), values)
    return import_id


def values_of(row: ImportRow) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in ROW_COLUMNS}


# Looking.


async def find(tx: Transaction, import_id: str, tenant: str | None) -> Import | None:
    """Return an import, if it belongs to `tenant`; None is the owner's own."""
    row = (await tx.execute(select(*COLUMNS).where(imports.c.id == import_id, of_tenant(tenant)))).one_or_none()
    return read(row) if row else None


async def preview(tx: Transaction, work: Import) -> Preview:
    """Return what would become of its rows.

    A tenant's admin is told of accounts of that tenant only. Whether another company, or a platform owner, has an
    address makes no difference to what is shown.
    """
    verdict = verdict_on(work)
    joined = import_rows.join(accounts, accounts.c.identifier == import_rows.c.identifier, isouter=True)
    mine = import_rows.c.import_id == work.id
    query = select(verdict, func.count()).select_from(joined).where(mine).group_by(verdict)
    counts = {RowState(state): count for state, count in await tx.execute(query)}
    listings = {}
    for state in (RowState.INVITED, RowState.SKIPPED, RowState.REFUSED):
        some = select(*ROW_COLUMNS, verdict.label("verdict")).select_from(joined).where(mine, verdict == state.value)
        rows = [with_reason(row, state) for row in await list_rows(tx, some)]
        listings[state] = Listing(rows, counts.get(state, 0))
    departments = await find_departments(tx, work)
    return Preview(listings[RowState.INVITED], listings[RowState.SKIPPED], listings[RowState.REFUSED], departments)


def with_reason(row: ImportRow, verdict: RowState) -> ImportRow:
    """Return a row with the reason for which it would be left out: its own, or what is true of its email by now."""
    if row.state is not RowState.WAITING or verdict is RowState.INVITED:
        return row
    return replace(row, reason=HAS_ACCOUNT if verdict is RowState.SKIPPED else ELSEWHERE)


def verdict_on(work: Import) -> ColumnElement[str]:
    """Return what a row would become: the state of it that work would lead to, if nothing changes."""
    refused = import_rows.c.state == RowState.REFUSED.value
    if work.tenant is None:
        refused |= accounts.c.tenant != import_rows.c.tenant
    return case(
        (refused, literal(RowState.REFUSED.value)),
        (accounts.c.tenant == import_rows.c.tenant, literal(RowState.SKIPPED.value)),
        else_=literal(RowState.INVITED.value),
    )


async def find_departments(tx: Transaction, work: Import) -> Departments:
    unknown = (
        import_rows.c.import_id == work.id,
        import_rows.c.state == RowState.WAITING.value,
        import_rows.c.department != "",
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


# Working.


async def start(tx: Transaction, import_id: str, asked: Asked, now: int) -> bool:
    """Let it be worked on in the name of `asked`. Returns whether it had not been started, and is not too old."""
    statement = update(imports).where(
        imports.c.id == import_id, imports.c.started_at.is_(None), imports.c.created_at > now - KEEP_SECONDS
    )
    return (await tx.execute(statement.values(started_at=now, asked=asked.encode()))).rowcount == 1


async def is_any_due(tx: Transaction, now: int) -> bool:
    return (await tx.execute(select(imports.c.id).where(*is_due(now)).limit(1))).first() is not None


async def claim(tx: Transaction, now: int, lease_seconds: int) -> Import | None:
    """Take one that waits to be worked on; nobody else has it until the lease ends."""
    waiting = select(*COLUMNS).where(*is_due(now)).order_by(imports.c.started_at).limit(1)
    row = (await tx.execute(waiting.with_for_update(skip_locked=True))).one_or_none()
    if row is None:
        return None
    await tx.execute(update(imports).where(imports.c.id == row.id).values(due_at=now + lease_seconds))
    return read(row)


async def hold(tx: Transaction, work: Import, now: int, lease_seconds: int) -> bool:
    """Take the next rows for this transaction; False if somebody else has gone on meanwhile."""
    done = imports.c.invited + imports.c.skipped + imports.c.refused
    statement = update(imports).where(imports.c.id == work.id, done == work.done, imports.c.finished_at.is_(None))
    return (await tx.execute(statement.values(due_at=now + lease_seconds))).rowcount == 1


async def list_waiting(tx: Transaction, work: Import, limit: int) -> list[ImportRow]:
    query = select(*ROW_COLUMNS).where(*is_waiting(work)).order_by(import_rows.c.line).limit(limit)
    return [read_row(row) for row in await tx.execute(query)]


async def advance(tx: Transaction, work: Import, told: Sequence[ImportRow], now: int) -> Import:
    """Note what became of the next rows, which this transaction holds; the last step is the one without any."""
    for row in told:
        mine = (import_rows.c.import_id == work.id, import_rows.c.line == row.line)
        if row.state is RowState.INVITED:
            await tx.execute(delete(import_rows).where(*mine))
        else:
            await tx.execute(update(import_rows).where(*mine).values(state=row.state.value, reason=row.reason))
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
    """Refuse what is left."""
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
    return Import(row.id, row.tenant, asked, *counts, row.started_at, row.finished_at)


def read_row(row: Any) -> ImportRow:
    values = {column.name: getattr(row, column.name) for column in ROW_COLUMNS}
    return ImportRow(**{**values, "state": RowState(row.state), "reason": Sentence(row.reason)})


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    is_idle = or_(imports.c.started_at.is_(None), imports.c.finished_at.is_not(None))
    return and_(imports.c.created_at < now - KEEP_SECONDS - DAY, is_idle)


def is_row_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    return import_rows.c.import_id.in_(select(imports.c.id).where(is_stale(longest, now)))


STORED = (Stored(import_rows, is_row_stale, AS_IT_WAS), Stored(imports, is_stale, AS_IT_WAS))
