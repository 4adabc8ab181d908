"""What workers have written of page views, in the order in which it came, and how it becomes the rows of sessions.

A row of a session costs ten times as much as a view, because each is put in another place of the table. So a worker
writes one batch for all its sessions, twice a second. Once a minute, or when there is much, a job moves batches to the
rows, which then have the views of a minute. Each worker moves its own, whose lines it still has in memory, and reads
only batches that were left behind by workers that are gone. Whatever reads or deletes rows moves the batches of all
workers and machines first. What an account that was deleted meanwhile had in a batch is dropped then.

A moved batch leaves its number for an hour: a worker whose commit was not confirmed writes the batch again, and that
must add nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from sqlalchemy import BigInteger, Column, ColumnElement, Index, Integer, Table, Text, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from gateway.page_views import rows
from gateway.page_views.record import Batch, Line, Run, Whose, join_lines, read_line
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert
from gateway.throttle.slices import Slices

AT_ONCE = 100_000  # views: about 3 MB
MOST = 500  # batches
ORPHANED_SECONDS = 90  # after which a batch is moved by any worker
STEP = 50  # lines that are read without a pause
NUMBER_SECONDS = 3_600

page_view_batches = Table(
    "page_view_batches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),  # 0 once it is moved
    Column("lines", Text, nullable=False),
    # "WHERE size > 0" is in the migration only: for that, SQLAlchemy would load PostgreSQL's dialect on SQLite as well.
    Index("ix_page_view_batches_at", "at"),
)
columns = page_view_batches.c
OLDEST_FIRST = columns.at, columns.number
STORED = (
    Stored(
        page_view_batches,
        stale=lambda longest, now: or_(
            (columns.size == 0) & (columns.at < now - NUMBER_SECONDS), columns.at < now - longest.page_views
        ),
        restored=AS_IT_WAS,
        erased=Kept("app/erasure.py has them moved to the rows first"),
    ),
)

Lines = list[tuple[Whose, Line]]  # of a batch


async def add(tx: Transaction, batch: Batch) -> None:
    """Write a batch, unless it was written before."""
    await tx.execute(upsert(tx, page_view_batches).values(**batch._asdict()).on_conflict_do_nothing())


async def move(store: Store, kept: dict[int, Lines] | None = None, before: int | None = None) -> None:
    """Move all batches to the rows; or those whose lines are `kept` by their numbers, and those from `before` a time.

    Lines that are moved, by whomever, are kept no longer. Raises StoreUnavailable.
    """
    kept = {} if kept is None else kept
    whose = true() if before is None else or_(columns.number.in_(list(kept)), columns.at < before)
    known = list(kept)
    while True:
        async with store.reading() as tx:
            numbers = await list_waiting(tx, whose)
            batches = await read(tx, [number for number in numbers if number not in kept])
        if not numbers:
            break
        runs = await runs_of([kept[number] for number in numbers if number in kept], batches)
        try:
            await then_rest(_replace(store, numbers, runs, is_known=True))
        except IntegrityError:  # an account was deleted meanwhile
            await then_rest(_replace(store, numbers, runs, is_known=False))
    for number in known:
        kept.pop(number, None)


async def list_waiting(tx: Transaction, whose: ColumnElement[bool]) -> list[int]:
    """Return the numbers of the oldest batches that are not moved yet: up to MOST, and about AT_ONCE views."""
    sizes = select(columns.number, columns.size).where(columns.size > 0, whose).order_by(*OLDEST_FIRST).limit(MOST)
    found = (await tx.execute(sizes)).all()
    before = accumulate((size for _, size in found), initial=0)
    return [number for (number, _), so_far in zip(found, before, strict=False) if so_far < AT_ONCE]


async def read(tx: Transaction, numbers: Sequence[int]) -> list[Batch]:
    """Return batches that are not moved yet."""
    if not numbers:
        return []
    query = select(page_view_batches).where(columns.number.in_(numbers), columns.size > 0).order_by(*OLDEST_FIRST)
    return [Batch(*row) for row in await tx.execute(query)]


async def runs_of(kept: Iterable[Lines], batches: Iterable[Batch]) -> list[Run]:
    """Return the rows for batches, of some of which the lines were kept, in the order of the table."""
    slices = Slices()
    sessions: dict[Whose, list[Line]] = {}
    for lines in (*kept, *[await read_lines(batch, slices) for batch in batches]):
        for whose, line in lines:
            mine = sessions.get(whose)
            if mine is None:
                sessions[whose] = [line]
            else:
                mine.append(line)
        await slices.pause()
    runs: list[Run] = []
    for whose in sorted(sessions):
        runs.extend(join_lines(whose, sorted(sessions[whose])))
        await slices.pause()
    return runs


async def read_lines(batch: Batch, slices: Slices) -> Lines:
    lines: Lines = []
    for number, line in enumerate(batch.lines.split("\n"), batch.number):
        lines.append(read_line(line, number))
        if number % STEP == 0:
            await slices.pause()
    return lines


async def _replace(store: Store, numbers: Sequence[int], runs: Sequence[Run], *, is_known: bool) -> None:
    """Put rows in the place of batches, unless these have been moved meanwhile."""
    ours = select(columns.number).where(columns.number.in_(numbers), columns.size > 0).order_by(columns.number)
    async with store.transaction() as tx:
        if len((await tx.execute(ours.with_for_update())).all()) < len(numbers):
            return
        await tx.execute(update(page_view_batches).where(columns.number.in_(numbers)).values(size=0, lines=""))
        await rows.add(tx, runs if is_known else await rows.of_known(tx, runs))
