"""What workers have written of page views, in the order in which it came, and how it becomes the rows of sessions.

A row of a session costs ten times as much as a view, because each is put in another place of the table. So a worker
writes one batch for all its sessions, twice a second. Once a minute, or when there is much, a job moves batches to the
rows, which then have the views of a minute; and so does whatever reads or deletes rows, before it does. Every worker
moves the batches of all workers and machines, so nothing waits for one that is gone. What an account that was deleted
meanwhile had in a batch is dropped then.

A moved batch leaves its number for an hour: a worker whose commit was not confirmed writes the batch again, and that
must add nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from gateway.page_views import rows
from gateway.page_views.record import Batch, Line, Run, Whose, join_lines
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, Stored
from gateway.store.upsert import upsert
from gateway.throttle.slices import Slices

AT_ONCE = 100_000  # views: about 3 MB
MOST = 500  # batches
STEP = 50  # lines that are read without a pause
NUMBER_SECONDS = 3_600

page_view_batches = Table(
    "page_view_batches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),  # 0 once it is moved
    Column("lines", Text, nullable=False),
    Index("ix_page_view_batches_at", "at", sqlite_where=text("size > 0"), postgresql_where=text("size > 0")),
)
columns = page_view_batches.c
STORED = (
    Stored(
        page_view_batches,
        stale=lambda longest, now: or_(
            (columns.size == 0) & (columns.at < now - NUMBER_SECONDS), columns.at < now - longest.page_views
        ),
        restored=AS_IT_WAS,
    ),
)


async def add(tx: Transaction, batch: Batch) -> None:
    """Write a batch, unless it was written before."""
    await tx.execute(upsert(tx, page_view_batches).values(**batch._asdict()).on_conflict_do_nothing())


async def move(store: Store) -> None:
    """Move all batches to the rows. Raises StoreUnavailable."""
    while True:
        async with store.reading() as tx:
            batches = await list_waiting(tx)
        if not batches:
            return
        runs = await runs_of(batches)
        try:
            await then_rest(_replace(store, batches, runs, is_known=True))
        except IntegrityError:  # an account was deleted meanwhile
            await then_rest(_replace(store, batches, runs, is_known=False))


async def list_waiting(tx: Transaction) -> list[Batch]:
    """Return the oldest batches that are not moved yet: up to MOST, and about AT_ONCE views."""
    oldest = columns.at, columns.number
    sizes = select(columns.number, columns.size).where(columns.size > 0).order_by(*oldest).limit(MOST)
    found = (await tx.execute(sizes)).all()
    before = accumulate((size for _, size in found), initial=0)
    wanted = [number for (number, _), so_far in zip(found, before, strict=False) if so_far < AT_ONCE]
    query = select(page_view_batches).where(columns.number.in_(wanted), columns.size > 0).order_by(*oldest)
    return [Batch(*row) for row in await tx.execute(query)]


async def runs_of(batches: Sequence[Batch]) -> list[Run]:
    """Return the rows for batches, in the order of the table."""
    slices = Slices()
    sessions: dict[Whose, list[Line]] = {}
    for batch in batches:
        for number, written in enumerate(batch.lines.split("\n"), batch.number):
            account, session, tenant, at, size, views = written.split(" ", 5)
            whose = account, session, tenant
            lines = sessions.get(whose)
            if lines is None:
                lines = sessions[whose] = []
            lines.append((int(at), number, int(size), views))
            if number % STEP == 0:
                await slices.pause()
    runs: list[Run] = []
    for whose in sorted(sessions):
        runs.extend(join_lines(whose, sorted(sessions[whose])))
        await slices.pause()
    return runs


async def _replace(store: Store, batches: Sequence[Batch], runs: Sequence[Run], *, is_known: bool) -> None:
    """Put rows in the place of batches, unless these have been moved meanwhile."""
    numbers = [batch.number for batch in batches]
    ours = select(columns.number).where(columns.number.in_(numbers), columns.size > 0).order_by(columns.number)
    async with store.transaction() as tx:
        if len((await tx.execute(ours.with_for_update())).all()) < len(numbers):
            return
        await tx.execute(update(page_view_batches).where(columns.number.in_(numbers)).values(size=0, lines=""))
        await rows.add(tx, runs if is_known else await rows.of_known(tx, runs))
