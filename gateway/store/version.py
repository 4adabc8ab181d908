"""The schema version of the store, and the one that this code needs, without loading Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gateway.store.engine import Transaction

STEPS = Path(__file__).parent / "migrations" / "versions"
VERSION_TABLE = "alembic_version"
UNSETTLED = "alembic_version_unsettled"
"""Replaces VERSION_TABLE while a restored copy may contain sessions that have ended since; nothing serves from it."""
NEWEST = max(path.name.partition("_")[0] for path in STEPS.glob("[0-9]*.py"))


async def read_version(tx: Transaction) -> str:
    return str((await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


async def find_version(tx: Transaction) -> str | None:
    """Return the schema version, or None for a store that was never migrated."""
    is_there = await tx.run_sync(lambda connection: inspect(connection).has_table(VERSION_TABLE))
    return await read_version(tx) if is_there else None


def is_unsettled(connection: Connection) -> bool:
    """Whether a restore was interrupted in this store."""
    return inspect(connection).has_table(UNSETTLED)
