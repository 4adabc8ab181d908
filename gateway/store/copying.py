"""Backup copies of the whole store: taken while it is in use, restored while it is not."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gateway.model.counted import counted
from gateway.store.location import PostgreSQL, SQLite, open_private, without_password
from gateway.store.unavailable import StoreUnavailable, broken_store
from gateway.store.version import UNSETTLED, VERSION_TABLE

SQLITE_FILE = "store.db"
POSTGRESQL_FILE = "store.dump"
LOCK_SECONDS = 1.0
ENDINGS = ("-wal", "-shm", "-journal", ".generation")
SET_MARK = f"RESET search_path; ALTER TABLE {VERSION_TABLE} RENAME TO {UNSETTLED}"
TAKE_MARK_OFF = f"ALTER TABLE {UNSETTLED} RENAME TO {VERSION_TABLE}"
# Who has no name is a process of the server itself, such as autovacuum.
OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL"""
ERROR = re.compile(r"\b(?:error|ERROR|FATAL|PANIC): ")


class InUse(Exception):
    """The store is open elsewhere; the message says what to do."""


def copy_to(location: SQLite | PostgreSQL, folder: Path) -> Path:
    """Copy the store into a new file in `folder`, as a consistent snapshot, and return the file.

    Readers and writers are not blocked meanwhile. Raises StoreUnavailable.
    """
    match location:
        case SQLite():
            return copy_sqlite(location, folder / SQLITE_FILE)
        case PostgreSQL():
            return dump(location, folder / POSTGRESQL_FILE)


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy being restored, which nothing serves from yet: migrate and settle it at `url`, then `put_in_place`.

    Its version is kept in `version_table` meanwhile (see store.version.UNSETTLED).
    """

    url: str
    version_table: str


def stage(location: SQLite | PostgreSQL, folder: Path, tables: Iterable[str]) -> Staged:
    """Put the copy in `folder` where it can be migrated and settled. Raises InUse, and StoreUnavailable.

    `tables` are all that this version has.

    A file is staged beside the store. In a database the copy replaces the store, and a mark prevents every start until
    it is settled. If this is interrupted, either the former store is untouched or nothing serves, so revocations stay
    in force.
    """
    match location:
        case SQLite():
            return stage_sqlite(location, folder / SQLITE_FILE)
        case PostgreSQL():
            load_dump(location, folder / POSTGRESQL_FILE, tables)
            return Staged(location.dsn, UNSETTLED)


def put_in_place(location: SQLite | PostgreSQL, aside: str) -> Path | None:
    """Make the settled copy the store. Returns the path of the former store, if it was a file.

    Raises InUse, and StoreUnavailable.
    """
    match location:
        case SQLite():
            return replace_sqlite(location, aside)
        case PostgreSQL():
            run(location, "psql", "--no-psqlrc", "--quiet", "--command", TAKE_MARK_OFF, "--dbname")
            return None


def copy_sqlite(location: SQLite, to: Path) -> Path:
    """Copy in one step of SQLite's backup API: in WAL mode it reads one snapshot, and writers continue."""
    with broken_store():
        os.close(open_private(to))
        source = sqlite3.connect(location.read_only_uri, uri=True, timeout=LOCK_SECONDS)
        target = sqlite3.connect(to)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # a single file, without a journal beside it
            verdict = target.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            target.close()
            source.close()
    if verdict != "ok":
        raise StoreUnavailable(f"the copy is damaged, and so is the store: {verdict}")
    return to


def stage_sqlite(location: SQLite, copy: Path) -> Staged:
    staged = stage_empty(location)
    with broken_store():
        shutil.copyfile(copy, staged.path)
    return Staged(staged.url, VERSION_TABLE)


def stage_empty(location: SQLite) -> SQLite:
    """Make an empty file beside the store, for `put_in_place`. Raises InUse, and StoreUnavailable."""
    staged = staged_beside(location)
    with broken_store():
        location.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in (location, staged):
            refuse_if_in_use(file)
        for leftover in (staged.path, *beside(staged)):  # of an interrupted restore or copy
            leftover.unlink(missing_ok=True)
        os.close(open_private(staged.path))
    return staged


def replace_sqlite(location: SQLite, aside: str) -> Path | None:
    """Replace the store by one rename: before it the former store is in its place, after it the settled copy."""
    staged = staged_beside(location)
    former = location.path.with_name(f"{location.path.name}.{aside}")
    with broken_store():
        leave_wal(staged)
        sync(staged.path)
        refuse_if_in_use(location)
        had_one = not location.is_empty
        if had_one:
            os.link(location.path, former)
        os.replace(staged.path, location.path)
        for leftover in (*beside(staged), *beside(location, "-wal", "-shm")):
            leftover.unlink(missing_ok=True)
        sync(location.path.parent)
    return former if had_one else None


def staged_beside(location: SQLite) -> SQLite:
    return SQLite(location.path.with_name(location.path.name + ".arriving"))


def beside(location: SQLite, *endings: str) -> list[Path]:
    """Return the files that SQLite and the gateway create beside the store."""
    return [location.path.with_name(location.path.name + ending) for ending in endings or ENDINGS]


def refuse_if_in_use(location: SQLite) -> None:
    """Raise InUse if another process has the store open: leaving WAL mode needs exclusive access, which shows it."""
    if not location.is_empty and leave_wal(location) == "wal":
        raise InUse(used(location))


def used(location: SQLite) -> str:
    return f"{location.place} is in use; stop the gateway first (systemctl stop otium-gateway.socket otium-gateway)"


def leave_wal(location: SQLite) -> str:
    """Make the store a single file, without a journal beside it; return the journal mode it has afterwards."""
    connection = sqlite3.connect(location.path, timeout=LOCK_SECONDS)
    try:
        return str(connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return "wal"
    except sqlite3.DatabaseError:
        return "damaged"  # possibly the reason for the restore
    finally:
        connection.close()


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# PostgreSQL, with its own client programs.


def refuse_pooler(location: PostgreSQL) -> None:
    """Raise StoreUnavailable at a pooler: these programs would leave their settings in sessions that others get."""
    from gateway.store.postgresql import is_pooler

    if asyncio.run(is_pooler(location)):
        raise StoreUnavailable("a pooler answers there; set store.direct_url to the address of PostgreSQL itself")


def dump(location: PostgreSQL, to: Path) -> Path:
    refuse_pooler(location)
    os.close(open_private(to))
    run(location, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file", str(to), "--dbname")
    return to


def load_dump(location: PostgreSQL, file: Path, tables: Iterable[str]) -> None:
    """Replace `tables`, and whatever is in the dump, by the dump and mark it as unsettled, in one transaction.

    The dump itself drops only what is in it: it doesn't know of later tables, which may refer to that. A table of
    another program that refers to it stops the restore, which says so.
    """
    refuse_pooler(location)
    others = run(location, "psql", "--no-psqlrc", "--tuples-only", "--command", OTHERS, "--dbname")
    if others.strip() != "0":
        open_ = counted(int(others), "other connection")
        raise InUse(f"{open_} to the database; stop all gateways first, and a pooler")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "store.sql"
        options = ("--clean", "--if-exists", "--no-owner", "--no-privileges")
        execute(("pg_restore", *options, f"--file={script}", str(file)))
        run(
            location, "psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1",
            f"--command={drop(tables)}", f"--file={script}", f"--command={SET_MARK}", "--dbname",
        )  # fmt: skip


def drop(tables: Iterable[str]) -> str:
    return f"SET client_min_messages = warning; DROP TABLE IF EXISTS {', '.join((UNSETTLED, *tables))}"


def run(location: PostgreSQL, program: str, *arguments: str) -> str:
    """Run a PostgreSQL client against the database and return its output. The password is not visible in ps."""
    name, password = without_password(location.dsn)
    return execute((program, *arguments, name), {"PGPASSWORD": password} if password else {})


def execute(command: tuple[str, ...], more: Mapping[str, str] = MappingProxyType({})) -> str:
    """Run a program, with `more` in its environment, and return its output. Raises StoreUnavailable."""
    program = command[0]
    if shutil.which(program) is None:
        raise StoreUnavailable(f"{program} is missing (apt-get install postgresql-client); it is run as: {program} …")
    result = subprocess.run(  # noqa: S603 - our own arguments
        command, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise StoreUnavailable(f"{program}: {error_in(result.stderr).removeprefix(f'{program}: ')}")
    return result.stdout


def error_in(said: str) -> str:
    """Return what a program's output says of why it failed: the first error, after any notices, with its detail."""
    lines = said.strip().splitlines() or ["it failed without a word"]
    at = next((number for number, line in enumerate(lines) if ERROR.search(line)), 0)
    details = [line.partition(": ")[2].strip() for line in lines[at + 1 : at + 2] if line.startswith("DETAIL: ")]
    return "; ".join((lines[at], *details))
