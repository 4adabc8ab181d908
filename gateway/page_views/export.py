"""A person's page views as CSV or JSON Lines, by session, a piece at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.audit.export import Format, line_of
from gateway.model.clock import write_utc
from gateway.page_views import batches, rows
from gateway.page_views.record import View
from gateway.page_views.service import Reader
from gateway.store import Store
from gateway.throttle.slices import Slices
from gateway.web.spreadsheets import csv_lines

COLUMNS = ("at", "session", "method", "path", "status", "address")
AT_ONCE = 50  # rows


async def as_bytes(store: Store, reader: Reader, form: Format) -> AsyncIterator[bytes]:
    """Yield the whole export."""
    if form is Format.CSV:
        yield csv_lines([COLUMNS])
    await batches.move(store)
    after = ("", 0, 0)
    while True:
        async with store.reading() as tx:
            found = await rows.list_after(tx, reader.account, reader.tenant, after, AT_ONCE)
        slices, lines = Slices(), list[bytes]()
        for run in found:
            for view in run.read():
                lines.append(line_of(form, shown(run.session, view)))
                await slices.pause()
        if found:
            yield b"".join(lines)
        if len(found) < AT_ONCE:
            return
        after = found[-1].session, found[-1].at, found[-1].number


def shown(session: str, view: View) -> dict[str, object]:
    """Return a view under the names of COLUMNS; `status` is None if another proxy answered."""
    values = (write_utc(view.at), session, view.method, view.path, view.status or None, view.address)
    return dict(zip(COLUMNS, values, strict=True))
