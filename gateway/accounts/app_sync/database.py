"""Reads the users of an unmodified application from its own database, without changing anything there.

SQLite: the file is opened read-only, and no file may be created beside it. In WAL mode even a reader creates files
there, and those created by root would lock the application out. So a database that no process has open (it has no
WAL) is read as immutable, any other through its existing files. An authorizer denies everything except SELECT.

PostgreSQL: a READ ONLY transaction with a prepared statement, which can only be a single one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from gateway.accounts.app_sync.plan import COLUMNS, Row
from gateway.accounts.csv_import.file import REQUIRED
from gateway.store.location import PostgreSQL, SQLite, locate

CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 120.0
BUSY_SECONDS = 10.0
WAL_FORMAT = 2  # byte 18 of the header, https://www.sqlite.org/fileformat.html
COMMENT = re.compile(r"\s+|--[^\n]*|/\*.*?\*/", re.DOTALL)
ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
NOT_ONE_SELECT = "the query has to be a single SELECT (WITH ... SELECT is one)"


class UnreadableSource(ValueError):
    """The application's users can't be read. The message says why and what to do, and contains no password."""


async def read(url: str, query: str) -> list[Row]:
    """Return each row as (number from 1, text by column name). Raises UnreadableSource."""
    check_query(query)
    match find(url):
        case SQLite(path):
            names, values = await asyncio.to_thread(read_sqlite, path, query)
        case PostgreSQL(dsn):
            names, values = await read_postgresql(dsn, query)
    columns = check_columns(names)
    return [(number, read_row(columns, row)) for number, row in enumerate(values, start=1)]


def find(url: str) -> SQLite | PostgreSQL:
    try:
        return locate(url)
    except ValueError:
        raise UnreadableSource(
            "the application's database is sqlite:///file, sqlite:////absolute/file or postgresql://user@host/database"
        ) from None


def name_of(url: str) -> str:
    """Return the database's URL without user, password and options, to name it in reports and in stored rows."""
    match find(url):
        case SQLite(path):
            return f"sqlite:///{path}"
        case PostgreSQL(dsn):
            parts = urlsplit(dsn)
            host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]
            return f"postgresql://{host}{parts.path}"


def check_query(query: str) -> None:
    """Raise UnreadableSource unless the query begins with SELECT or WITH. The database itself prevents writes."""
    at = 0
    while comment := COMMENT.match(query, at):
        at = comment.end()
    if not re.match(r"(?:select|with)\b", query[at:], re.IGNORECASE):
        raise UnreadableSource(NOT_ONE_SELECT)


def check_columns(names: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in names]
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    twice = [name for name in columns if columns.count(name) > 1]
    if missing:
        raise UnreadableSource(
            f"the query has to give the columns {', '.join(REQUIRED)}; {missing[0]} is missing (write AS {missing[0]})"
        )
    if unknown:
        raise UnreadableSource(f"the query gives a column {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    if twice:
        raise UnreadableSource(f"the query gives the column {twice[0]} twice")
    return columns


def read_row(columns: Sequence[str], values: Iterable[object]) -> Mapping[str, str]:
    return {name: read_value(value) for name, value in zip(columns, values, strict=True)}


def read_value(value: object) -> str:
    """Return a column's value as text; NULL becomes ""."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return "" if value is None else str(value).strip()


def read_sqlite(path: Path, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    if not path.is_file():
        raise UnreadableSource(f"there is no file {path}")
    with translated(sqlite3.Error, OSError):
        before = fingerprint(path)
        if before[2] and not path.with_name(f"{path.name}-shm").exists():
            raise UnreadableSource(
                f"{path}-wal has changes that nobody works on; start the application, then try again"
            )
        how = "immutable=1" if is_at_rest(path) else "mode=ro&readonly_shm=1"
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=BUSY_SECONDS)
        ) as connection:
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
            )
            cursor = connection.execute(query)
            found = [column[0] for column in cursor.description], cursor.fetchall()
        if how == "immutable=1" and fingerprint(path) != before:
            raise UnreadableSource("the application's database was changed while it was read; try again")
        return found


def is_at_rest(path: Path) -> bool:
    """Whether the file is in WAL mode and no process has it open: the last one to close it removes the WAL."""
    with path.open("rb") as file:
        return file.read(19)[18:] == bytes([WAL_FORMAT]) and fingerprint(path)[2] == 0


def fingerprint(path: Path) -> tuple[int, int, int]:
    """Return the file's modification time (ns), its size and the size of its WAL (bytes), to detect a write."""
    wal, status = path.with_name(f"{path.name}-wal"), path.stat()
    return status.st_mtime_ns, status.st_size, wal.stat().st_size if wal.exists() else 0


async def read_postgresql(dsn: str, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    import asyncpg

    with translated(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError):
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                statement = await connection.prepare(query)
                rows = [tuple(row.values()) for row in await statement.fetch()]
                return [attribute.name for attribute in statement.get_attributes()], rows
        finally:
            await connection.close(timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def translated(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except UnreadableSource:
        raise
    except errors as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        is_several = "one statement at a time" in said or "multiple commands" in said
        raise UnreadableSource(NOT_ONE_SELECT if is_several else f"the application's database says: {said}") from error
