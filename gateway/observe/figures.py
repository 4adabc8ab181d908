"""What the listener shows besides what the workers count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Figures:
    """What only the store knows. `oldest_seconds` is how long the oldest mail has been waiting, None where none is."""

    members: int
    owners: int
    waiting: int
    abandoned: int
    oldest_seconds: int | None


class ReadsFigures(Protocol):
    async def read(self) -> Figures | None:
        """Return them; None if the store does not answer."""


class Health(Protocol):
    @property
    def is_ready(self) -> bool: ...

    def describe(self) -> dict[str, object]:
        """Return what is well and what is wrong, for JSON."""


class ChecksHealth(Protocol):
    async def look(self) -> Health: ...
