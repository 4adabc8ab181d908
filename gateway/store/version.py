"""The schema version of the store, and the one that this code needs, without loading Alembic.

A newer schema is usable as long as nothing was taken away that this version reads. The store says so itself: in
`schema_since` is the schema of the oldest version that can use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, Integer, String, Table, inspect, select, text

from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored

STEPS = Path(__file__).parent / "migrations" / "versions"
VERSION_TABLE = "alembic_version"
UNSETTLED = "alembic_version_unsettled"
"""Replaces VERSION_TABLE while a restored copy may contain sessions that have ended since; nothing serves from it."""
NEWEST = max(path.name.partition("_")[0] for path in STEPS.glob("[0-9]*.py"))

schema_since = Table(
    "schema_since",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", String(32), nullable=False),
)
STORED = (Stored(schema_since, Kept("one row"), AS_IT_WAS, IMPERSONAL, is_copied=False),)


@dataclass(frozen=True, slots=True)
class Version:
    """The store's schema, and that of the oldest version that can use it."""

    schema: str
    since: str

    @property
    def is_too_old(self) -> bool:
        return self.schema < NEWEST

    @property
    def is_too_new(self) -> bool:
        return self.schema > NEWEST and self.since > NEWEST


def read_version(connection: Connection) -> Version:
    schema = str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())  # noqa: S608
    return Version(schema, read_since(connection) or schema)


def find_version(connection: Connection) -> Version | None:
    """Return the schema version, or None for a store that was never migrated."""
    return read_version(connection) if inspect(connection).has_table(VERSION_TABLE) else None


def read_since(connection: Connection) -> str | None:
    """Return the schema of the oldest version that can use the store; None if the store is older than that note."""
    if not inspect(connection).has_table(schema_since.name):
        return None
    return connection.execute(select(schema_since.c.revision)).scalar_one_or_none()


def is_unsettled(connection: Connection) -> bool:
    """Whether a restore was interrupted in this store."""
    return inspect(connection).has_table(UNSETTLED)
