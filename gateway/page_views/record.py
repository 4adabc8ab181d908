"""A page view, how several are stored in one row, and which requests are left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.model.session import Session

MAX_PATH = 500  # characters
UNKNOWN = 0
"""The status of a request that another proxy answered (forward-auth)."""

# In ASCII, so that every path can be stored: also with NUL or a lone surrogate, which PostgreSQL rejects.
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class View(NamedTuple):
    """One request. `at` is UTC seconds; `path` has no query."""

    at: int
    method: str
    path: str
    address: str
    status: int


class Run(NamedTuple):
    """A row: up to some dozens of views of one session, or of an API token (`session` is the token's id then).

    `at` is the time of the last one, `number` tells rows of the same second apart, in their order. `tenant` is the
    account's at that time. `views` is a JSON array of `size` arrays, in the order of View.
    """

    account: str
    session: str
    at: int
    number: int
    tenant: str
    first_at: int
    size: int
    views: str

    def read(self) -> list[View]:
        return [View(*view) for view in json.loads(self.views)]


def run_of(session: Session, number: int, at: int, views: Sequence[str]) -> Run:
    """Return the row of views of one second, which are given as text."""
    return Run(session.account, session.id, at, number, session.tenant, at, len(views), f"[{','.join(views)}]")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Requests that are not recorded: GET and HEAD below one of `folders`, or with a path that ends in `endings`.

    An ambiguous path is always recorded: the application may understand it as another one.
    """

    folders: tuple[str, ...]
    endings: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> LeftOut:
        """Read the setting: `/folder/` or `*.ending`."""
        given = tuple(patterns)
        endings = tuple(pattern[1:] for pattern in given if pattern.startswith("*"))
        return cls(tuple(pattern for pattern in given if pattern.startswith("/")), endings)

    def has(self, method: str, readings: Sequence[str]) -> bool:
        if len(readings) > 1 or method not in ("GET", "HEAD"):
            return False
        path = readings[0]
        return path.endswith(self.endings) or path.startswith(self.folders)


@dataclass(frozen=True, slots=True)
class Switch:
    """A tenant whose page views are recorded: since when (UTC seconds), and why."""

    since: int
    reason: str


@dataclass(frozen=True, slots=True)
class Device:
    """The user agent of a session, or the name of an API token. "" if it is no longer stored."""

    agent: str
    token: str


@dataclass(frozen=True, slots=True)
class Viewed:
    """A session or API token with page views. Times are UTC seconds."""

    session: str
    device: Device
    first_at: int
    last_at: int
    count: int
