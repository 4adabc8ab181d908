"""The people of a tenant as CSV, a piece at a time. Times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from datetime import UTC, datetime

from gateway.access_review.lines import Line
from gateway.audit.export import cell
from gateway.throttle.slices import Slices
from gateway.web.spreadsheets import csv_lines

COLUMNS = (
    "email",
    "name",
    "role",
    "modules",
    "status",
    "second_step",
    "single_sign_on",
    "api_tokens",
    "api_token_used",
    "break_glass",
    "last_seen",
    "added",
    "kind",
    "networks",
)


async def as_csv(pages: AsyncIterator[list[Line]], owners: Collection[str]) -> AsyncIterator[bytes]:
    """Yield the whole list in pieces of some ten kilobytes. `owners` are identifiers."""
    yield csv_lines([COLUMNS])
    async for found in pages:
        slices, rows = Slices(), list[tuple[str, ...]]()
        for line in found:
            rows.append(tuple(cell(value) for value in values_of(line, owners)))
            await slices.pause()
        yield csv_lines(rows)


def values_of(line: Line, owners: Collection[str]) -> Iterator[str | int]:
    """Yield a person's values in the order of COLUMNS."""
    account = line.account
    yield account.identifier
    yield account.name
    yield account.role.value
    yield ",".join(sorted(account.modules))
    yield line.state.value
    yield ",".join(line.second_steps) or "none"
    yield "yes" if line.is_linked else "no"
    yield line.tokens
    yield day_of(line.token_used_at)
    yield "yes" if account.enrolled.is_exempt else "no"
    yield day_of(line.active_at)
    yield day_of(account.created_at)
    yield "service account" if account.is_service else "person"
    yield "limited" if line.is_limited(owners) else "any"


def day_of(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
