"""The declaration of each table for what goes through all tables: retention, restore, erasure, secret rotation.

A noun declares it beside its rows, and app/nouns.py gathers the declarations; a test fails for a table without one.

Rows with a foreign key to an account are deleted with it, but an account that was used is never deleted. So each table
also says what `otium-gateway audit erase` does to it. That is for a person who has left or asks for it, and whose
account may still be active. It removes what is recorded of what they did, wherever that would stay, and nothing that
the account needs: nobody may be locked out by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Executable, MetaData, Table
from sqlalchemy.sql.dml import UpdateBase


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows are kept, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest times in the settings, in seconds: a limit's window or lockout, a session, and page views."""

    limit: int
    session: int
    page_views: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values. The values in rows that match `in_use` are still needed; messages call them `words`.

    `is_vital`: without them, people can't sign in or mails are lost, so a backup lists the names of their keys.
    """

    column: Column[bytes]
    in_use: ColumnElement[bool]
    name: str
    words: str
    is_vital: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A table's declaration. `stale` matches expired rows; `restored` ends what was open when the backup was made.

    `erased` removes what a person did from the rows. It takes their email, and their account's id or "".
    `is_copied` is False for rows that mean something in their own database only. `otium-gateway store copy` leaves
    those of the target, after what `restored` does to them.
    """

    table: Table
    stale: Callable[[Longest, int], ColumnElement[bool]] | Kept
    restored: Callable[[int], Executable] | Kept
    erased: Callable[[str, str], UpdateBase] | Kept
    sealed: Sealed | None = None
    is_copied: bool = True


# Roles, passwords and used codes: changes since the backup can't be detected.
AS_IT_WAS = Kept("docs/operations.md says what to look at after a restore")
OF_ACCOUNT = Kept("it is part of the account, which stays, and may be needed to sign in")
EXPIRING = Kept("it expires, and is deleted then")
IMPERSONAL = Kept("it tells of no person")


def account_of(table: Table) -> Column[str] | None:
    """Return the column with the account that owns a row."""
    return next((key.parent for key in table.foreign_keys if key.target_fullname == "accounts.id"), None)


def tables_of_accounts(metadata: MetaData) -> list[tuple[Table, Column[str]]]:
    """Return the tables whose rows are deleted with an account."""
    found = ((table, account_of(table)) for table in metadata.sorted_tables)
    return [(table, column) for table, column in reversed(list(found)) if column is not None]
