"""Migrates the store's schema to this version. The only module that loads Alembic.

All missing steps run in one transaction: all of them or none. On PostgreSQL an advisory lock lets one node migrate
while others wait; SQLite's own write lock does the same. A schema newer than this code is left alone; whether this code
can use it is for the store to say (store/version.py).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from gateway.store.engine import open_postgresql, turn_to_wal
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.readiness import NotReady, check_file, naming, unsettled
from gateway.store.unavailable import broken_store
from gateway.store.version import NEWEST, UNSETTLED, VERSION_TABLE, is_unsettled, read_since

STEPS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x0710_4A7E  # an arbitrary number that only this program uses
# Everybody else waits behind a change of a table that waits for a backup to end: fail, and start again later.
LIMIT_LOCKS = "SET LOCAL lock_timeout = '5s'"
WAIT_SECONDS = 60.0  # for another program that migrates the same file, or writes to it
MAY_CREATE = text("SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")


class SchemaTooNew(NotReady):
    """The store was used by a later version, and this one must not change it."""


def migrate(url: str, *, dry_run: bool = False, version_table: str = VERSION_TABLE) -> list[str]:
    """Create or upgrade the schema at `url`; return the revisions applied, oldest first (or to be applied).

    `version_table` is the table that has the store's version, another one during a restore. Not to be called inside an
    event loop. Raises NotReady.
    """
    location = locate(url)
    with naming(location.place), broken_store():
        match location:
            case SQLite():
                return migrate_sqlite(location, dry_run, version_table)
            case PostgreSQL():
                return asyncio.run(migrate_postgresql(location, dry_run, version_table))


def migrate_sqlite(location: SQLite, dry_run: bool, version_table: str) -> list[str]:
    check_file(location)
    if dry_run and location.is_empty:
        return known_revisions(settings())
    location.prepare()
    limits = {"isolation_level": None, "timeout": WAIT_SECONDS}
    engine = create_engine(location.sync_url, poolclass=NullPool, connect_args=limits)
    with engine.connect() as connection:
        turn_to_wal(connection.connection.cursor())  # type: ignore[arg-type]
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        applied = upgrade(connection, dry_run, location.place, version_table)
        connection.commit()
    return applied


async def migrate_postgresql(location: PostgreSQL, dry_run: bool, version_table: str) -> list[str]:
    from gateway.store.postgresql import UNHURRIED

    engine = open_postgresql(location, UNHURRIED)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(take_migration_lock)
            await connection.execute(text(LIMIT_LOCKS))
            return await connection.run_sync(upgrade, dry_run, location.place, version_table)
    finally:
        await engine.dispose()


def take_migration_lock(connection: Connection) -> None:
    """On PostgreSQL, wait until nobody else migrates, and keep others from it until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})


def upgrade(connection: Connection, dry_run: bool, place: str, version_table: str) -> list[str]:
    """Run the missing steps in the open transaction."""
    if version_table != UNSETTLED and is_unsettled(connection):
        raise NotReady(unsettled(place))
    config = settings()
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    current = context.get_current_revision()
    if current == NEWEST:  # without loading every step, at each start
        return []
    missing = missing_revisions(known_revisions(config), current, read_since(connection))
    if missing and connection.dialect.name == "postgresql" and not connection.execute(MAY_CREATE).scalar_one():
        raise NotReady(f"this user can't create tables in the store at {place}; make it the owner of the database")
    if missing and not dry_run:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = version_table
        command.upgrade(config, "head")
    return missing


def missing_revisions(known: list[str], current: str | None, since: str | None) -> list[str]:
    """Return the revisions of `known`, oldest first, that come after `current`.

    Raises SchemaTooNew for an unknown one, unless versions with a schema from `since` on can use it.
    """
    if current is None:
        return known
    if current not in known and since in known:
        return []
    if current not in known:
        raise SchemaTooNew(
            f"the store has schema {current}, which this version does not know; install the version that made it"
        )
    return known[known.index(current) + 1 :]


def known_revisions(config: Config) -> list[str]:
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def describe(revisions: list[str]) -> list[str]:
    """Return a line for each revision: its number, and what it adds."""
    scripts = ScriptDirectory.from_config(settings())
    return [f"{revision}: {scripts.get_revision(revision).doc}" for revision in revisions]


def settings() -> Config:
    """Return Alembic's settings without a file. A literal % has to be doubled in them."""
    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    return config
