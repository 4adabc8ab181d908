"""Where the store is, read from its URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

POSTGRES_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class SQLite:
    """A database file. Beside it lies the file through which its users tell each other of changes."""

    path: Path

    @property
    def async_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"

    @property
    def sync_url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def generation_path(self) -> Path:
        return self.path.with_name(self.path.name + ".generation")

    def prepare(self) -> None:
        """Make the folder and the file, readable by nobody else. What is there is left as it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database server. `dsn` is in the form that asyncpg and libpq share."""

    dsn: str

    @property
    def async_url(self) -> str:
        return "postgresql+asyncpg://" + self.dsn.partition("://")[2]


Location = SQLite | PostgreSQL


def locate(url: str) -> Location:
    """Read `sqlite:///relative`, `sqlite:////absolute` or `postgresql://…`. Raises ValueError for anything else."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite" and url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLite(Path(url.removeprefix("sqlite:///")).absolute())
    if scheme in POSTGRES_SCHEMES:
        return PostgreSQL("postgresql://" + url.partition("://")[2])
    raise ValueError("a store is sqlite:///file, sqlite:////absolute/file or postgresql://user@host/database")
