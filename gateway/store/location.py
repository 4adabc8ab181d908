"""The location of the store, parsed from its URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from gateway.store.dsn import WRITABLE, Dsn, read

SQLITE = "sqlite:///"
POSTGRES_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class SQLite:
    """A database file. Beside it is the file with which its users announce changes to each other."""

    path: Path

    @property
    def place(self) -> str:
        """The location as shown to operators."""
        return str(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether the file does not exist or is empty. Raises OSError."""
        return not self.path.exists() or not self.path.stat().st_size

    @property
    def url(self) -> str:
        return f"{SQLITE}{self.path}"

    @property
    def async_url(self) -> str:
        return f"sqlite+aiosqlite:///{self._existing}&uri=true"

    @property
    def sync_url(self) -> str:
        return f"sqlite:///{self._existing}&uri=true"

    @property
    def read_only_uri(self) -> str:
        """A read-only URI, for sqlite3.connect(…, uri=True)."""
        return f"file:{quote(str(self.path))}?mode=ro"

    @property
    def generation_path(self) -> Path:
        return self.path.with_name(self.path.name + ".generation")

    def prepare(self) -> None:
        """Create the folder and the file, readable by the owner only. Existing ones are left as they are."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():  # opening and closing a file that is in use here would drop SQLite's locks on it
            os.close(open_private(self.path))

    def identity(self) -> tuple[int, int]:
        return identity_of(self.path)

    @property
    def _existing(self) -> str:
        # mode=rw: a missing database is an error, where SQLite would otherwise create an empty one.
        return f"file:{quote(quote(str(self.path)))}?mode=rw"


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database server, or several of which one is the primary. `dsn` is in the form that asyncpg and libpq share."""

    dsn: str

    @property
    def parts(self) -> Dsn:
        return read(self.dsn)

    @property
    def place(self) -> str:
        """The location as shown to operators: without password, and with host and port wherever they are given."""
        address, _, query = without_password(self.dsn)[0].partition("?")
        where = [part for part in query.split("&") if part.partition("=")[0] in ("host", "port", "dbname", "user")]
        return f"{address}?{'&'.join(where)}" if where else address


Location = SQLite | PostgreSQL


def locate(url: str) -> Location:
    """Parse `sqlite:///relative`, `sqlite:////absolute` or `postgresql://…`. Raises ValueError for anything else."""
    scheme, separator, rest = url.partition("://")
    if url.startswith(SQLITE) and url != SQLITE:
        return SQLite(Path(url.removeprefix(SQLITE)).absolute())
    if scheme in POSTGRES_SCHEMES and separator:
        return PostgreSQL(with_primary(f"postgresql://{rest.rstrip('?&')}"))
    raise ValueError("a store is sqlite:///file, sqlite:////absolute/file or postgresql://user@host/database")


def with_primary(dsn: str) -> str:
    """Ask for a server that accepts writes, if several are named and nothing else is asked for. Raises ValueError."""
    parts = read(dsn)
    if len(parts.hosts) < 2 or "target_session_attrs" in parts.options:
        return dsn
    return f"{dsn}{'&' if parts.options else '?'}{WRITABLE}"


def without_password(dsn: str) -> tuple[str, str]:
    """Return the address without its password, and the password."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, ""
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{place}").geturl(), unquote(parts.password)


def identity_of(path: Path) -> tuple[int, int]:
    """Return device and inode, which change if the file is replaced. Raises OSError if it does not exist."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def open_private(path: Path) -> int:
    """Open a file to read and write, and return its descriptor; a new one is readable by its owner only.

    An operator's command, run as root, may be the first to create it and must not lock the service out: a file that
    root creates is given to the owner of the folder.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    if os.geteuid() == 0:
        folder = os.stat(path.parent)
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor
