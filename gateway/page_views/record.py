"""A page view, and which requests are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.model.inbound import Inbound
from gateway.model.session import Session

MAX_PATH = 500  # characters
UNKNOWN = 0
"""The status of a request that another proxy answered (forward-auth)."""


# Begins to record a request. The first status that the result is told is its page view's.
OpenView = Callable[[Session, Inbound], Callable[[int], None]]


class View(NamedTuple):
    """One request of a session, or of an API token (`session` is the token's id then). `at` is UTC seconds.

    `path` has no query, and `number` tells apart the views of one session and second, in their order.
    """

    account: str
    session: str
    at: int
    number: int
    tenant: str
    method: str
    path: str
    status: int
    address: str


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

    def has(self, inbound: Inbound) -> bool:
        if len(inbound.readings) > 1 or inbound.method not in ("GET", "HEAD"):
            return False
        path = inbound.readings[0]
        return path.endswith(self.endings) or path.startswith(self.folders)


@dataclass(frozen=True, slots=True)
class Switch:
    """A tenant whose page views are recorded: since when (UTC seconds), and why."""

    since: int
    reason: str


@dataclass(frozen=True, slots=True)
class Viewed:
    """A session or API token with page views. `agent` is its user agent, `token` the name of the token.

    Both are "" if it is no longer in the store. Times are UTC seconds.
    """

    session: str
    agent: str
    token: str
    first_at: int
    last_at: int
    count: int
