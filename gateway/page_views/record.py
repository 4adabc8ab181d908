"""A page view, how several are stored in one row, and which requests are left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_PATH = 500  # characters
MAX_RUN = 200  # views in a row: on SQLite each row has a page of its own beside that of its key
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
    """A row: up to MAX_RUN views of one session, or of an API token (`session` is the token's id then).

    `at` is the time of the last one, `number` tells rows of the same second apart, in their order. `tenant` is the
    account's at that time. `views` is JSON: an array of [time, address, [method, path, status, method, path, …]].
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
        return read_views(self.views)


def read_views(views: str) -> list[View]:
    """Read what Run.views says."""
    return [view for part in json.loads(views) for view in read_part(part)]


def read_part(part: list[Any]) -> Iterator[View]:
    if len(part) == len(View._fields):  # of an older row: one view
        yield View(*part)
        return
    at, address, values = part
    value = iter(values)
    for method, path, status in zip(value, value, value, strict=True):
        yield View(at, method, path, address, status)


class Batch(NamedTuple):
    """What a worker writes at once: `size` views of all its sessions, in lines (see read_line).

    `number` is that of the first line; the others follow. `at` is when it was written, in UTC seconds.
    """

    number: int
    at: int
    size: int
    lines: str


# Whose views they are: account, session and tenant.
Whose = tuple[str, str, str]
# Up to MAX_RUN views of one session from one address in one second: the second, the line's number, how many there are,
# and a part of what is in Run.views.
Line = tuple[int, int, int, str]


def read_line(text: str, number: int) -> tuple[Whose, Line]:
    """Read a line of a batch: account, session, tenant, second, size and views, with a space between."""
    account, session, tenant, at, size, views = text.split(" ", 5)
    return (account, session, tenant), (int(at), number, int(size), views)


def join_lines(whose: Whose, lines: Iterable[Line]) -> Iterator[Run]:
    """Yield the rows for lines of one session and tenant, which are in order."""
    joined: list[Line] = []
    size = 0
    for line in lines:
        if joined and size + line[2] > MAX_RUN:
            yield run_of(whose, joined, size)
            joined, size = [], 0
        joined.append(line)
        size += line[2]
    if joined:
        yield run_of(whose, joined, size)


def run_of(whose: Whose, lines: Sequence[Line], size: int) -> Run:
    account, session, tenant = whose
    at, number, _, _ = lines[-1]
    views = f"[{','.join([views for _, _, _, views in lines])}]"
    return Run(account, session, at, number, tenant, lines[0][0], size, views)


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
