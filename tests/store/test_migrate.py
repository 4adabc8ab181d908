"""The schema is made and brought up to date, on both engines."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from gateway.app.nouns import STORED
from gateway.store import StoreUnavailable
from gateway.store.migrate import STEPS, SchemaTooNew, migrate, missing_revisions
from gateway.store.schema import metadata
from tests.support import any_schema

Result = TypeVar("Result")
ALL = sorted(path.name[:4] for path in (STEPS / "versions").glob("[0-9]*.py"))


def inside(url: str, work: Callable[[Connection], Result]) -> Result:
    """Return what `work` makes of a connection to the store."""

    async def run() -> Result:
        async with any_schema.writing(url) as connection:
            return await connection.run_sync(work)

    return asyncio.run(run())


def write_revision(connection: Connection) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    connection.execute(text("UPDATE schema_since SET revision = '9998'"))


def test_the_steps_lead_to_the_schema_that_the_code_uses(empty_url: str) -> None:
    def compare(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    assert {stored.table for stored in STORED} <= set(metadata.tables.values())  # a noun may have tables of its own
    migrate(empty_url)
    assert inside(empty_url, compare) == []


def test_a_migration_waits_for_another_one_of_the_same_file(tmp_path: Path) -> None:
    """SQLite's own patience would end after five seconds, which many steps or a large table take longer than."""
    path = tmp_path / "store.db"
    migrate(f"sqlite:///{path}")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as thread:
        other.execute("BEGIN IMMEDIATE")
        waiting = thread.submit(migrate, f"sqlite:///{path}")
        try:
            assert wait([waiting], 6).not_done == {waiting}
        finally:
            other.execute("ROLLBACK")
        assert waiting.result() == []


def test_constraints_and_numbering_are_the_same_in_the_steps_and_in_the_code(empty_url: str) -> None:
    """What Alembic does not compare: CHECK constraints, the names of keys, and SQLite's AUTOINCREMENT. Triggers are made
    by the steps alone.
    """
    migrate(empty_url)
    by_steps = inside(empty_url, describe)
    inside(empty_url, remake)
    assert by_steps == inside(empty_url, describe)


def describe(connection: Connection) -> dict[str, set[str]]:
    """Return each table's constraints as the database itself writes them, in no order."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        return {
            name: {part.strip() for part in re.split(r",(?![^()]*\))|\n", sql)} - {""}
            for name, sql in connection.execute(text(query))
        }
    query = """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE conrelid <> 0 AND connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%' AND contype <> 't'
    """
    return {name: {definition} for name, definition in connection.execute(text(query))}


def remake(connection: Connection) -> None:
    metadata.drop_all(connection)
    metadata.create_all(connection)


def test_a_second_run_has_nothing_to_do(empty_url: str) -> None:
    assert migrate(empty_url) == ALL
    assert migrate(empty_url) == []


def test_a_dry_run_tells_what_is_missing_and_changes_nothing(empty_url: str) -> None:
    assert migrate(empty_url, dry_run=True) == ALL
    assert migrate(empty_url, dry_run=True) == ALL


def test_a_dry_run_makes_no_file(tmp_path: Path) -> None:
    assert migrate(f"sqlite:///{tmp_path}/folder/gateway.db", dry_run=True) == ALL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_schema_of_a_later_version_is_left_alone(store_url: str, dry_run: bool) -> None:
    inside(store_url, write_revision)
    with pytest.raises(SchemaTooNew, match="9999, which this version does not know"):
        migrate(store_url, dry_run=dry_run)


def test_a_store_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in (f"sqlite:///{tmp_path}/file/gateway.db", "postgresql://u@127.0.0.1:1/gateway"):
        with pytest.raises(StoreUnavailable):
            migrate(url)


def test_what_is_missing_comes_after_what_is_there() -> None:
    known = ["1", "2", "3"]
    assert missing_revisions(known, None, None) == known
    assert missing_revisions(known, "1", None) == ["2", "3"]
    assert missing_revisions(known, "3", "2") == []
    assert missing_revisions(known, "5", "3") == []  # of a later version, which leaves us what we read
