"""Rows from before there was a chain are chained when the schema is brought up to date, on both engines."""

from __future__ import annotations

import asyncio
import json

from alembic import command
from sqlalchemy import Connection, text

from gateway.audit import rows
from gateway.audit.verify import Whole
from gateway.store import Store
from gateway.store.migrate import migrate, settings
from tests.audit.log import verify, write_many
from tests.support import any_schema

OLD = {
    "event": "2fa_reset", "outcome": "success", "tenant": "acme", "account": "acc_1", "identifier": "ann@acme.example",
    "address": "192.0.2.7", "user_agent": "Firefox", "session": None, "request_id": "r",
    "details": json.dumps({"by": "adam@acme.example", "reason": "lost", "device": "Ann's phone", "count": 3}),
}  # fmt: skip
COUNT = 1_100  # more than are chained at once


def fill(connection: Connection) -> None:
    """Make the store as the version before left it, with gaps in the numbers as PostgreSQL makes them."""
    config = settings()
    config.attributes["connection"] = connection
    command.upgrade(config, "0003")
    names = ", ".join(["id", "at", *OLD])
    values = ", ".join(f":{name}" for name in ["id", "at", *OLD])
    made = [{"id": 3 * n + 1, "at": 1_700_000_000 + n, **OLD} for n in range(COUNT)]
    connection.execute(text(f"INSERT INTO audit ({names}) VALUES ({values})"), made)


async def prepare(url: str) -> None:
    async with any_schema.writing(url) as connection:
        await connection.run_sync(fill)


def test_rows_from_before_are_chained_and_say_what_they_said(empty_url: str) -> None:
    asyncio.run(prepare(empty_url))
    assert migrate(empty_url)[0] == "0004"

    async def look() -> None:
        store = Store.open(empty_url)
        await write_many(store, 3)
        found = await verify(store)
        assert isinstance(found, Whole), found
        assert (found.rows, found.end.number) == (COUNT + 3, COUNT + 3)
        async with store.reading() as tx:
            (row,) = await rows.after(tx, COUNT - 1, 1)
        assert rows.details_of(row) == json.loads(str(OLD["details"]))
        assert (row.actor, json.loads(row.personal)) == ("adam@acme.example", {"device": "Ann's phone"})
        assert (row.identifier, row.at) == ("ann@acme.example", 1_700_000_000 + COUNT - 1)
        await store.close()

    asyncio.run(look())
