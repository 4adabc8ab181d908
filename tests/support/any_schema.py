"""Transactions on a store of any schema, also an older one: the gateway's own need the schema of this version."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.engine import open_postgresql, open_sqlite
from gateway.store.location import SQLite, locate


@contextlib.asynccontextmanager
async def writing(url: str) -> AsyncIterator[AsyncConnection]:
    location = locate(url)
    if isinstance(location, SQLite):
        location.prepare()
    engine = open_sqlite(location) if isinstance(location, SQLite) else open_postgresql(location)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
