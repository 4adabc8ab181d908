"""INSERT … ON CONFLICT for both engines: the SQL is the same, but SQLAlchemy has one construct for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table

from gateway.store.engine import Transaction

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgreSQLInsert
    from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert


def upsert(tx: Transaction, table: Table) -> PostgreSQLInsert | SQLiteInsert:
    """Return an insert into `table` that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    # Imported only when used: a worker on SQLite need not load two megabytes of PostgreSQL's dialect.
    if tx.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        return insert_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    return insert_postgresql(table)
