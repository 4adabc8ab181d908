"""Where the store is, read from its URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

SQLITE = "sqlite:///"
POSTGRES_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class SQLite:
    """A database file. Beside it lies the file through which its users tell each other of changes."""

    path: Path

    @property
    def place(self) -> str:
        """Where it is, as operators are told."""
        return str(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has made anything there yet. Raises OSError."""
        return not self.path.exists() or not self.path.stat().st_size

    @property
    def async_url(self) -> str:
        return f"sqlite+aiosqlite:///{self._existing}&uri=true"

    @property
    def sync_url(self) -> str:
        return f"sqlite:///{self._existing}&uri=true"

    @property
    def read_only_uri(self) -> str:
        """For sqlite3.connect(…, uri=True)."""
        return f"file:{quote(str(self.path))}?mode=ro"

    @property
    def generation_path(self) -> Path:
        return self.path.with_name(self.path.name + ".generation")

    def prepare(self) -> None:
        """Make the folder and the file, readable by nobody else. What is there is left as it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():  # to open and close one that is in use here would drop SQLite's locks on it
            os.close(open_private(self.path))

    def identity(self) -> tuple[int, int]:
        return identity_of(self.path)

    @property
    def _existing(self) -> str:
        # mode=rw: a database that is gone is an error, where SQLite would otherwise start an empty one.
        # Quoted twice: SQLAlchemy takes off one layer, SQLite the other.
        return f"file:{quote(quote(str(self.path)))}?mode=rw"


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database server. `dsn` is in the form that asyncpg and libpq share."""

    dsn: str

    @property
    def place(self) -> str:
        """Where it is, as operators are told: without what may hold a password."""
        return without_password(self.dsn)[0].partition("?")[0]


Location = SQLite | PostgreSQL


def locate(url: str) -> Location:
    """Read `sqlite:///relative`, `sqlite:////absolute` or `postgresql://…`. Raises ValueError for anything else."""
    scheme, separator, rest = url.partition("://")
    if url.startswith(SQLITE) and url != SQLITE:
        return SQLite(Path(url.removeprefix(SQLITE)).absolute())
    if scheme in POSTGRES_SCHEMES and separator:
        return PostgreSQL(f"postgresql://{rest}")
    raise ValueError("a store is sqlite:///file, sqlite:////absolute/file or postgresql://user@host/database")


def without_password(dsn: str) -> tuple[str, str]:
    """Return the address without its password, and the password."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, ""
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{place}").geturl(), unquote(parts.password)


def identity_of(path: Path) -> tuple[int, int]:
    """Return what tells this file from one that takes its name later. Raises OSError where there is none."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def open_private(path: Path) -> int:
    """Open a file to read and write, and return its descriptor; a new one is readable by its owner alone.

    An operator's command, run as root, may be the first one here and must not lock the service out: what root
    makes belongs to the owner of the folder.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    if os.geteuid() == 0:
        folder = os.stat(path.parent)
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor
