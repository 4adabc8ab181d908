"""Which schema the store has, and which one this code needs, without loading Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from gateway.store.engine import Transaction

STEPS = Path(__file__).parent / "migrations" / "versions"
NEWEST = max(path.name.partition("_")[0] for path in STEPS.glob("[0-9]*.py"))


async def read_version(tx: Transaction) -> str:
    return str((await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


async def find_version(tx: Transaction) -> str | None:
    """Return the schema, or None where nothing was ever migrated."""
    is_there = await tx.run_sync(lambda connection: inspect(connection).has_table("alembic_version"))
    return await read_version(tx) if is_there else None
