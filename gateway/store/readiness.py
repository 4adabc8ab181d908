"""Checks whether a store can be used as it is, before it is opened, so that the check creates and changes nothing.

Opening creates a missing file, which is right for a start and wrong for everything else: a command would leave an empty
store behind, owned by the user who ran it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

from gateway.store.engine import Store, Transaction
from gateway.store.location import SQLite, locate
from gateway.store.unavailable import StoreUnavailable
from gateway.store.version import NEWEST, Version, find_version, is_unsettled, read_version


class NotReady(StoreUnavailable):
    """The store does not exist, or lacks what this version needs; the message says where it is and what to do."""


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Raise NotReady, which says where the store is, in the place of any other StoreUnavailable."""
    try:
        yield
    except NotReady:
        raise
    except StoreUnavailable as error:
        raise NotReady(f"the store at {place} can't be used: {error}") from error


@contextlib.asynccontextmanager
async def open_ready(url: str) -> AsyncIterator[Store]:
    """Open an existing store that has the schema of this version. Raises NotReady, and StoreUnavailable."""
    location = locate(url)
    if isinstance(location, SQLite):
        check_file(location)
        if location.is_empty:
            raise NotReady(missing(location.place))
    store = Store.open(url)
    try:
        async with store.reading() as tx:
            await check_schema(tx, location.place)
        yield store
    finally:
        await store.close()


async def check_schema(tx: Transaction, place: str) -> None:
    """Raise NotReady unless this version can use the schema, and no restore was interrupted."""
    if await tx.run_sync(is_unsettled):
        raise NotReady(unsettled(place))
    check_version(await tx.run_sync(find_version), place)


async def check_same_schema(tx: Transaction, place: str) -> None:
    """Do the same, and also raise NotReady for a newer schema that this version can use, but does not know."""
    await check_schema(tx, place)
    version = await tx.run_sync(read_version)
    if version.schema != NEWEST:
        raise NotReady(f"the store at {place} has the schema {version.schema} of a newer version; use that version")


def check_version(version: Version | None, place: str) -> None:
    if version is None:
        raise NotReady(missing(place))
    if version.is_too_old:
        raise NotReady(f"the store at {place} has an older schema; run `otium-gateway migrate`")
    if version.is_too_new:
        raise NotReady(
            f"the database at {place} was created by a newer version (schema {version.schema}); install that version"
        )


def unsettled(place: str) -> str:
    return f"a restore of the store at {place} was interrupted; run it again (`otium-gateway restore DIR --confirm`)"


def missing(place: str) -> str:
    return f"there is no store at {place} yet; run `otium-gateway migrate`"


def check_file(location: SQLite) -> None:
    """Raise NotReady if this user can't use a store there. SQLite creates files beside it, so the folder counts too."""
    path, folder = location.path, location.path.parent
    nearest = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise NotReady(f"this user can't write in {nearest}; {run_as(nearest)}, or take another folder")
    if not path.exists():
        return
    if not os.access(path, os.R_OK | os.W_OK):
        raise NotReady(f"this user can't read and write {path}; {run_as(path)}")
    if not is_database(path):
        raise NotReady(f"{path} isn't a SQLite database; move it, or set store.url to the right path")


def run_as(path: Path) -> str:
    try:
        return f"run this as {path.owner()}, who owns it"
    except KeyError:
        return f"run this as the user {path.stat().st_uid}, who owns it"


def is_database(path: Path) -> bool:
    """Whether SQLite accepts the file. An empty one becomes a database when it is first written to.

    SQLite itself must open it: opening and closing the file by other means would drop the locks that this process
    holds, and another process could then remove the write-ahead log (sqlite.org/howtocorrupt.html §2.2).
    """
    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        return "not a database" not in str(error)
    return True
