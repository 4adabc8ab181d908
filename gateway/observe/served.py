"""What is counted and logged about an answer, as its connection shows it."""

from __future__ import annotations

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
    """A client's connection, at the end of an answer."""

    @property
    def inbound(self) -> Inbound | None: ...

    @property
    def exchange(self) -> PassedOn | None: ...

    @property
    def refused(self) -> tuple[str, str]: ...

    @property
    def peer(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def started(self) -> int: ...
