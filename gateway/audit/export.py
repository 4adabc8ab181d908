"""The log as CSV or JSON Lines, a piece at a time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum

from gateway.audit import rows
from gateway.audit.chain import Row
from gateway.audit.search import Filter, find_all
from gateway.model.clock import write_utc
from gateway.model.entry import Entry
from gateway.store import Store
from gateway.throttle.slices import Slices
from gateway.web.spreadsheets import csv_lines, guard
from gateway.web.user_agents import label_all


class Format(StrEnum):
    JSON_LINES = "jsonl"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        return "text/csv" if self is Format.CSV else "application/jsonl"


COLUMNS = (
    "number",
    "at",
    "event",
    "outcome",
    "tenant",
    "account",
    "email",
    "address",
    "device",
    "user_agent",
    "session",
    "request_id",
    "details",
    "hash",
)


async def note_export(store: Store, wanted: Filter, form: Format, entry: Entry) -> None:
    """Record the export in the audit log, before its first row is sent; `entry` says whose export it is.

    The person who was searched for is not recorded: that would put one person's name into another person's row.
    """
    asked = {
        "event": wanted.events,
        "person": wanted.person,
        "address": wanted.address,
        "since": wanted.since,
        "until": wanted.until,
        "words": wanted.words,
        "tenant": wanted.tenant,
    }
    filters = " ".join(name for name, value in asked.items() if value not in (None, "", frozenset()))
    details = {"format": form.value, "filters": filters or "none"}
    async with store.transaction() as tx:
        await rows.record(tx, entry.with_details(details))


async def as_bytes(store: Store, wanted: Filter, form: Format) -> AsyncIterator[bytes]:
    """Yield the whole export in pieces of some hundred kilobytes."""
    if form is Format.CSV:
        yield csv_lines([COLUMNS])
    async for found in find_all(store, wanted):
        names, slices, lines = await label_all(row.user_agent for row in found), Slices(), list[bytes]()
        for row in found:
            lines.append(line_of(form, shown(row, names[row.user_agent] if row.user_agent else "")))
            await slices.pause()
        yield b"".join(lines)


def line_of(form: Format, values: Mapping[str, object]) -> bytes:
    if form is Format.CSV:
        return csv_lines([tuple(cell(value) for value in values.values())])
    return f"{json.dumps(values, ensure_ascii=False)}\n".encode()


def shown(row: Row, device: str) -> Mapping[str, object]:
    """Return a row under the names of COLUMNS; `at` is ISO 8601 in UTC."""
    values = (
        row.id,
        write_utc(row.at),
        row.event,
        row.outcome,
        row.tenant,
        row.account,
        row.identifier,
        row.address,
        device,
        row.user_agent,
        row.session,
        row.request_id,
        rows.details_of(row),
        row.hash.hex(),
    )
    return dict(zip(COLUMNS, values, strict=True))


def cell(value: object) -> str:
    """Return a cell's text, which no spreadsheet runs as a formula."""
    if value is None:
        return ""
    return guard(json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value))
