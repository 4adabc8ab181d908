"""The facts of a request that are counted and logged at the end of its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.model.inbound import Inbound


class PassedOn(Protocol):
    """A request that was forwarded to an upstream. Times are of `perf_counter_ns`, 0 for a step not yet reached."""

    @property
    def upstream(self) -> object: ...

    @property
    def began_at(self) -> int: ...

    @property
    def answered_at(self) -> int: ...


class Served(Protocol):
    """A request that was parsed. `started` is of `perf_counter_ns` too, `account` is an id, "" if anonymous."""

    @property
    def inbound(self) -> Inbound: ...

    @property
    def exchange(self) -> PassedOn | None: ...

    @property
    def account(self) -> str: ...

    @property
    def started(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Unread:
    """A request from `peer` that could not be parsed; `started` is 0 if not even its head was complete."""

    peer: str
    request_id: str
    error: str
    started: int
    exchange: None = None
