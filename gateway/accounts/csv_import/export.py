"""The CSV files that an import gives out: a sample to begin with, and the rows with mistakes, to be corrected.

Both can be uploaded as they are. A cell that a spreadsheet would take for a formula gets an apostrophe in front, which
reading it takes away again (`plain` in csv_import.file).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncIterator

from gateway.accounts.csv_import.file import REQUIRED
from gateway.accounts.csv_import.record import ImportRow
from gateway.audit.export import cell
from gateway.languages.reader import translate
from gateway.model.account import Module, Role
from gateway.throttle.slices import Slices
from gateway.web.spreadsheets import csv_lines

TENANT = "tenant"
REASON = "reason"
SAMPLE = (
    ("maria.silva@example.com", "Maria Silva", Module.FINANCE, Role.EMPLOYEE),
    ("jan.kowalski@example.com", "Jan Kowalski", Module.HR, Role.MANAGER),
    ("aylin.demir@example.com", "Aylin Demir", "", Role.EMPLOYEE),
)


def write_sample(tenant: str, separator: str) -> bytes:
    """Return a file of three people. With `tenant`, it has that column too."""
    more = (tenant,) if tenant else ()
    header = (*REQUIRED, *((TENANT,) if tenant else ()))
    return BOM_UTF8 + csv_lines([header, *((*row, *more) for row in SAMPLE)], separator)


async def write_mistakes(
    batches: AsyncIterator[list[ImportRow]], separator: str, *, has_tenant: bool
) -> AsyncIterator[bytes]:
    """Yield the rows as they were typed, each with the reason in a column of its own."""
    columns: tuple[str, ...] = ()
    async for rows in batches:
        if not columns:
            more = has_tenant or any(row.typed.get(TENANT) for row in rows)
            columns = (*REQUIRED, *((TENANT,) if more else ()))
            yield BOM_UTF8 + csv_lines([(*columns, REASON)], separator)
        lines, slices = [], Slices()
        for row in rows:
            typed = row.typed
            lines.append((*(cell(typed.get(name, "")) for name in columns), cell(translate(row.told))))
            await slices.pause()
        yield csv_lines(lines, separator)
