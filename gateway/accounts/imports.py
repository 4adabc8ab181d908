"""Inviting many people from a file: shown first, then done in the background, a few rows a transaction.

Whichever worker holds the lease goes on where the last transaction ended: `done` counts the rows behind it and is
raised in the transaction that invites them, so that nobody is invited twice, or forgotten, over a crash.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from sqlalchemy import insert, select, update

from gateway.accounts.bulk import Create, Reject, Skip, Verdict, judge
from gateway.store import Transaction
from gateway.store.schema import imports

Row = tuple[int, Mapping[str, str]]  # the line in the file, and its cells
COLUMNS = (
    imports.c.id,
    imports.c.tenant,
    imports.c.asked,
    imports.c.content,
    imports.c.report,
    imports.c.done,
    imports.c.started_at,
    imports.c.finished_at,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for an import, and from where. `account` is looked at again before anything is done in their name."""

    account: str
    name: str
    identifier: str
    session: str
    address: str
    user_agent: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a row: `word` is invited, skipped or refused."""

    line: int
    word: str
    email: str
    reason: str


@dataclass(frozen=True, slots=True)
class Import:
    """`tenant` is None for the owner's; `done` of `rows` have been worked through."""

    id: str
    tenant: str | None
    asked: Asked
    rows: tuple[Row, ...]
    report: tuple[Told, ...]
    done: int
    started_at: int | None
    finished_at: int | None


def judge_row(row: Row, tenant: str | None, taken: Mapping[str, str], owners: frozenset[str]) -> Verdict:
    """Return what a row would become for whom `tenant` is in reach. `taken` are emails with the tenant of each."""
    line, cells = row
    if tenant is not None:
        if cells.get("tenant", "") not in ("", tenant):
            return Reject(line, cells.get("email", ""), "This row is for another company than yours.")
        cells = {**cells, "tenant": tenant}
    verdict = judge(line, {**cells, "password_hash": ""}, set())
    if not isinstance(verdict, Create):
        return verdict
    whose = taken.get(verdict.identifier)
    if whose == verdict.tenant:
        return Skip(line, verdict.identifier, "There is an account with this email already.")
    if whose is not None or verdict.identifier in owners:
        return Reject(line, verdict.identifier, "This email can't be invited: it is in use elsewhere.")
    return verdict


def judge_rows(
    rows: tuple[Row, ...], tenant: str | None, taken: Mapping[str, str], owners: frozenset[str]
) -> list[Verdict]:
    """Return what each row would become; a second row with the same email is skipped."""
    seen = dict(taken)
    verdicts = []
    for row in rows:
        verdict = judge_row(row, tenant, seen, owners)
        if isinstance(verdict, Create):
            seen[verdict.identifier] = verdict.tenant
        verdicts.append(verdict)
    return verdicts


async def add(tx: Transaction, tenant: str | None, asked: Asked, rows: list[Row], now: int) -> str:
    """Keep a file that was read, and return the id under which it is shown and started."""
    import_id = f"imp_{secrets.token_hex(10)}"
    await tx.execute(
        insert(imports).values(
            id=import_id,
            tenant=tenant,
            asked=json.dumps(astuple(asked)),
            content=json.dumps(rows),
            report="[]",
            total=len(rows),
            done=0,
            created_at=now,
            due_at=0,
        )
    )
    return import_id


async def find(tx: Transaction, import_id: str, tenant: str | None) -> Import | None:
    """Return an import, if it belongs to `tenant`; None is the owner's own."""
    query = select(*COLUMNS).where(imports.c.id == import_id, imports.c.tenant.is_not_distinct_from(tenant))
    row = (await tx.execute(query)).one_or_none()
    return read(row) if row else None


async def start(tx: Transaction, import_id: str, now: int) -> bool:
    """Return whether it had not been started before."""
    statement = update(imports).where(imports.c.id == import_id, imports.c.started_at.is_(None))
    return (await tx.execute(statement.values(started_at=now))).rowcount == 1


async def is_any_due(tx: Transaction, now: int) -> bool:
    query = select(imports.c.id).where(
        imports.c.started_at.is_not(None), imports.c.finished_at.is_(None), imports.c.due_at <= now
    )
    return (await tx.execute(query.limit(1))).first() is not None


async def claim(tx: Transaction, now: int, lease_seconds: int) -> Import | None:
    """Take one that waits to be worked on; nobody else has it until the lease ends."""
    waiting = (
        select(*COLUMNS)
        .where(imports.c.started_at.is_not(None), imports.c.finished_at.is_(None), imports.c.due_at <= now)
        .order_by(imports.c.started_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await tx.execute(waiting)).one_or_none()
    if row is None:
        return None
    await tx.execute(update(imports).where(imports.c.id == row.id).values(due_at=now + lease_seconds))
    return read(row)


async def hold(tx: Transaction, work: Import, now: int, lease_seconds: int) -> bool:
    """Take the next rows for this transaction; False if somebody else has gone on meanwhile."""
    statement = update(imports).where(imports.c.id == work.id, imports.c.done == work.done)
    return (await tx.execute(statement.values(due_at=now + lease_seconds))).rowcount == 1


async def advance(tx: Transaction, work: Import, told: list[Told], now: int) -> Import:
    """Note what became of the next rows, which this transaction holds."""
    done = work.done + len(told)
    report = (*work.report, *told)
    finished_at = now if done >= len(work.rows) else None
    written = json.dumps([[told.line, told.word, told.email, told.reason] for told in report])
    statement = update(imports).where(imports.c.id == work.id)
    await tx.execute(statement.values(done=done, report=written, finished_at=finished_at))
    return replace(work, report=report, done=done, finished_at=finished_at)


def read(row: Any) -> Import:
    return Import(
        row.id,
        row.tenant,
        Asked(*json.loads(row.asked)),
        tuple((line, cells) for line, cells in json.loads(row.content)),
        tuple(Told(*told) for told in json.loads(row.report)),
        row.done,
        row.started_at,
        row.finished_at,
    )
