"""The error of a store that can't be used, and what of the drivers' errors it stands for."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

UNDONE = frozenset(("40P01", "40001"))  # SQLSTATE: deadlock_detected, serialization_failure


class StoreUnavailable(Exception):
    """The store can't be read or written. The caller must refuse the request (fail closed), never guess."""


class Undone(StoreUnavailable):
    """The database undid the transaction in favour of another one (see store.retry)."""


@contextlib.contextmanager
def broken_store() -> Iterator[None]:
    """Translate the drivers' errors for a store that is unavailable, full, locked, damaged or not created yet.

    A violated constraint or a value that no column accepts is a bug of ours and is not translated.
    """
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except (DBAPIError, PoolTimeout, DisconnectionError, sqlite3.Error, OSError) as error:
        raise kind_of(error)(first_line(error)) from error
    except driver_errors() as error:
        raise kind_of(error)(first_line(error)) from error


def driver_errors() -> tuple[type[Exception], ...]:
    """Return asyncpg's own errors, if it is loaded: SQLAlchemy passes some on, and the session lookup bypasses it."""
    asyncpg = sys.modules.get("asyncpg")
    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) if asyncpg else ()


def kind_of(error: BaseException) -> type[StoreUnavailable]:
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return Undone if state in UNDONE else StoreUnavailable


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
