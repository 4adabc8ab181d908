"""Copies of the whole store: taken while it is in use, and put back while it is not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from gateway.store.engine import StoreUnavailable, broken_store
from gateway.store.location import PostgreSQL, SQLite, open_private, without_password

SQLITE_FILE = "store.db"
POSTGRESQL_FILE = "store.dump"
LOOK_SECONDS = 1.0
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class InUse(Exception):
    """Somebody has the store open; the message says what to do."""


def copy_to(location: SQLite | PostgreSQL, folder: Path) -> Path:
    """Copy the store into a new file in `folder`, as it is at one moment, and return the file.

    Nobody has to wait meanwhile. Raises StoreUnavailable.
    """
    match location:
        case SQLite():
            return copy_sqlite(location, folder / SQLITE_FILE)
        case PostgreSQL():
            return dump(location, folder / POSTGRESQL_FILE)


def put_back(location: SQLite | PostgreSQL, folder: Path, aside: str) -> Path | None:
    """Put the copy in `folder` in the place of the store. Returns where the former one is now, if it was a file.

    Raises InUse, and StoreUnavailable.
    """
    match location:
        case SQLite():
            return put_back_sqlite(location, folder / SQLITE_FILE, aside)
        case PostgreSQL():
            load_dump(location, folder / POSTGRESQL_FILE)
            return None


def copy_sqlite(location: SQLite, to: Path) -> Path:
    """One step of SQLite's own backup: in WAL mode it reads one snapshot, and writers go on."""
    with broken_store():
        os.close(open_private(to))
        source = sqlite3.connect(location.read_only_uri, uri=True, timeout=LOOK_SECONDS)
        target = sqlite3.connect(to)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, without others beside it
            verdict = target.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            target.close()
            source.close()
    if verdict != "ok":
        raise StoreUnavailable(f"the copy is damaged, and so is the store: {verdict}")
    return to


def put_back_sqlite(location: SQLite, copy: Path, aside: str) -> Path | None:
    with broken_store():
        location.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        former = set_aside(location, aside)
        arriving = location.path.with_name(location.path.name + ".arriving")
        arriving.unlink(missing_ok=True)
        os.close(open_private(arriving))
        shutil.copyfile(copy, arriving)
        sync(arriving)
        os.replace(arriving, location.path)
        sync(location.path.parent)
    return former


def set_aside(location: SQLite, name: str) -> Path | None:
    """Rename the store's file. Leaving WAL mode needs it for oneself, which shows whether anybody else has it open."""
    if location.is_empty:
        return None
    connection = sqlite3.connect(location.path, timeout=LOOK_SECONDS)
    try:
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        mode = "wal"
    except sqlite3.DatabaseError:
        mode = "damaged"  # which may be why it is restored
    finally:
        connection.close()
    if mode == "wal":
        raise InUse("the store is in use; stop the gateway first (systemctl stop otium-gateway.socket otium-gateway)")
    former = location.path.with_name(f"{location.path.name}.{name}")
    os.rename(location.path, former)
    for ending in ("-wal", "-shm"):
        location.path.with_name(location.path.name + ending).unlink(missing_ok=True)
    return former


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# PostgreSQL, with its own programs.


def dump(location: PostgreSQL, to: Path) -> Path:
    os.close(open_private(to))
    run(location, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file", str(to), "--dbname")
    return to


def load_dump(location: PostgreSQL, file: Path) -> None:
    others = run(location, "psql", "--no-psqlrc", "--tuples-only", "--command", OTHERS, "--dbname")
    if others.strip() != "0":
        raise InUse(f"{others.strip()} others are connected to the database; stop every gateway first")
    run(
        location, "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction",
        str(file), "--dbname",
    )  # fmt: skip


def run(location: PostgreSQL, program: str, *arguments: str) -> str:
    """Run a program of PostgreSQL's against the database and return what it prints. The password is not shown to ps."""
    name, password = without_password(location.dsn)
    if shutil.which(program) is None:
        raise StoreUnavailable(f"{program} is missing (apt-get install postgresql-client); it is run as: {program} …")
    result = subprocess.run(  # noqa: S603 - our own arguments
        [program, *arguments, name],
        env={**os.environ, **({"PGPASSWORD": password} if password else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["it failed without a word"]
        raise StoreUnavailable(f"{program}: {lines[0]}")
    return result.stdout
