"""The metrics that come from the store instead of the workers' counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.store.nodes import NodeState


@dataclass(frozen=True, slots=True)
class Figures:
    """The store's metrics. `oldest_seconds` is the age of the oldest waiting mail, None if there is none."""

    members: int
    owners: int
    waiting: int
    abandoned: int
    oldest_seconds: int | None
    nodes: Sequence[NodeState] = ()


class ReadsFigures(Protocol):
    async def read(self) -> Figures | None:
        """Read them; returns None if the store does not answer."""


class Health(Protocol):
    @property
    def is_ready(self) -> bool: ...

    def describe(self) -> dict[str, object]:
        """Return the health of each part, for JSON."""


class ChecksHealth(Protocol):
    async def look(self) -> Health: ...
