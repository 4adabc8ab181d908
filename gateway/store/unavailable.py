"""The error of a store that can't be used: which of the drivers' errors it stands for, in plain words with advice."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
import sys
from collections.abc import Iterator, Mapping

from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

UNDONE = frozenset(("40P01", "40001"))  # SQLSTATE: deadlock_detected, serialization_failure
START = "start PostgreSQL, or correct host and port"

# By SQLSTATE, and by SQLite's result code.
ADVICE: Mapping[str | int | None, str] = {
    "28000": "correct the user, or how it may connect (pg_hba.conf of the server)",
    "28P01": "correct the password, in the address or in the file that passfile= names",
    "3D000": "create the database, or correct its name",
    "25006": "give the address of the primary",
    "42501": "make this user the owner of the database, and of what is in it",
    "53100": "make room on the server's disk",
    "53300": "raise max_connections in postgresql.conf, or put PgBouncer in front",
    "57P03": "try again when the server has started",
    sqlite3.SQLITE_BUSY: "try again, or end the program that holds it",
    sqlite3.SQLITE_CORRUPT: "restore a backup",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "let this user write the file and its folder",
}


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
        raise translate(error) from error
    except driver_errors() as error:
        raise translate(error) from error


@contextlib.contextmanager
def unreachable_server() -> Iterator[None]:
    """Translate the errors of connecting to a database server."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable("; ".join(explain_network(error))) from error
    except driver_errors() as error:
        raise translate(error) from error


def driver_errors() -> tuple[type[Exception], ...]:
    """Return asyncpg's own errors, if it is loaded: SQLAlchemy passes some on, and the session lookup bypasses it."""
    asyncpg = sys.modules.get("asyncpg")
    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) if asyncpg else ()


def translate(error: BaseException) -> StoreUnavailable:
    driver = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = getattr(driver, "sqlstate", None)
    kind = Undone if state in UNDONE else StoreUnavailable
    # SQLAlchemy's own words are put before those of asyncpg.
    reason = first_line(driver.__cause__ or driver if state else driver)
    advice = ADVICE.get(state or getattr(driver, "sqlite_errorcode", 0) & 0xFF)
    return kind(f"{reason}; {advice}" if advice else reason)


def explain_network(error: OSError) -> tuple[str, str]:
    """Return why a server can't be reached, and what to do."""
    reason = error.strerror or first_line(error)
    match error:
        case ssl.SSLCertVerificationError():
            reason = f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
            return reason, "correct the host, or sslrootcert=FILE, the authority that issued the certificate"
        case ssl.SSLError():
            return f"TLS failed: {reason}", "compare the server's settings with the address (sslmode= and so on)"
        case socket.gaierror():
            return f"unknown host: {reason}", "correct the host, or this machine's DNS"
        case TimeoutError():
            return reason, "correct host and port, or open the firewalls between"
        case PermissionError():
            return reason, "let this user connect (IPAddressAllow= in the systemd unit, or the socket's folder)"
        case ConnectionRefusedError():
            return "connection refused", START
        case FileNotFoundError():
            return "there is no such socket", START
        case _ if "rejected SSL upgrade" in reason:
            return "it has no TLS", "switch it on there (ssl = on), or change sslmode="
    return reason, START


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
