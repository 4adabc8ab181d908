"""What a noun says of each of its tables, for what goes through all tables: retention, a restore, rotating the secret.

A noun declares it beside its rows, and app/nouns.py gathers the declarations; a test misses a table that is not
declared. Erasure needs no declaration: rows whose foreign key leads to an account are removed with that account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Executable, MetaData, Table


@dataclass(frozen=True, slots=True)
class Kept:
    """Its rows stay, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Longest:
    """For how many seconds, by the settings, a limit may look back or lock, and a session may last."""

    limit: int
    session: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values. They are in use where `in_use` holds, and called `words` when they are counted.

    `is_vital`: where they can't be opened, somebody can't sign in or a mail is lost. So a backup names their keys.
    """

    column: Column[bytes]
    in_use: ColumnElement[bool]
    name: str
    words: str
    is_vital: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """`stale` finds the rows that nobody will ask for any more at a time. `restored` ends what was open in a backup."""

    table: Table
    stale: Callable[[Longest, int], ColumnElement[bool]] | Kept
    restored: Callable[[int], Executable] | Kept
    sealed: Sealed | None = None


# A role, a password, a used code: what changed since the backup can't be known.
AS_IT_WAS = Kept("docs/operations.md says what to look at after a restore")


def account_of(table: Table) -> Column[str] | None:
    """Return the column that says whose rows they are."""
    return next((key.parent for key in table.foreign_keys if key.target_fullname == "accounts.id"), None)


def tables_of_accounts(metadata: MetaData) -> list[tuple[Table, Column[str]]]:
    """Return the tables whose rows go with an account."""
    found = ((table, account_of(table)) for table in metadata.sorted_tables)
    return [(table, column) for table, column in reversed(list(found)) if column is not None]
