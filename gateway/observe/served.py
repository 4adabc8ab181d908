"""What is counted and logged of a request, at the end of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.model.inbound import Inbound


class PassedOn(Protocol):
    """A request that went to an upstream. Times are of `perf_counter_ns`, 0 for what has not happened."""

    @property
    def upstream(self) -> object: ...

    @property
    def began_at(self) -> int: ...

    @property
    def answered_at(self) -> int: ...


class Served(Protocol):
    """A request that was read. `started` is of `perf_counter_ns` too, `account` the id of who asked."""

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
    """What came from `peer` and could not be read; `started` is 0 if not even its head was whole."""

    peer: str
    request_id: str
    error: str
    started: int
    exchange: None = None
