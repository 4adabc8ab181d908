"""Brings the store's schema to this version. The only module that loads Alembic.

On PostgreSQL an advisory lock lets one machine migrate while others wait; SQLite's own write lock does the same.
A schema newer than this code knows is left alone, and nothing starts on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from gateway.store.engine import broken_store
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.schema import metadata

if TYPE_CHECKING:
    from alembic.operations.ops import MigrationScript  # noqa: F401

SCRIPTS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x0710_4A7E  # an arbitrary number that only this program uses


class SchemaTooNew(Exception):
    """The store was used by a later version, and this one must not touch it."""


def migrate(url: str, *, dry_run: bool = False) -> list[str]:
    """Create or upgrade the schema at `url`; return the revisions applied, oldest first (or to be applied).

    Raises SchemaTooNew, and StoreUnavailable where the store can't be reached.
    """
    with broken_store():
        location = locate(url)
        if isinstance(location, PostgreSQL):
            import asyncio

            return asyncio.run(migrate_postgresql(location, dry_run))
        location.prepare()
        return migrate_sqlite(location, dry_run)


def migrate_sqlite(location: SQLite, dry_run: bool) -> list[str]:
    engine = create_engine(location.sync_url, poolclass=NullPool, connect_args={"isolation_level": None})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        applied = apply(connection, dry_run)
        connection.commit()
    return applied


async def migrate_postgresql(location: PostgreSQL, dry_run: bool) -> list[str]:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(location.async_url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
            return await connection.run_sync(apply, dry_run)
    finally:
        await engine.dispose()


def apply(connection: Connection, dry_run: bool) -> list[str]:
    """Run what is missing, in the transaction that is open."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    if current is not None and current not in known:
        raise SchemaTooNew(
            f"the store has schema {current}, which this version does not know; install the version that made it"
        )
    missing = known[known.index(current) + 1 :] if current else known
    if missing and not dry_run:

        def upgrade(revision: object, _: object) -> list[object]:
            return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type, return-value]

        with EnvironmentContext(config, scripts, fn=upgrade) as environment:
            environment.configure(connection, target_metadata=metadata, transactional_ddl=False)
            environment.run_migrations()
    return missing
