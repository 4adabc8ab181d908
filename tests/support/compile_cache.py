"""Compiled statements that all engines of the tests share.

SQLAlchemy keeps what it has compiled for each engine, and a test has an engine of its own: it would compile each of its
statements anew, which takes longer than most of what it does with them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

MOST = 2_000


class Compiled(LRUCache[tuple[Any, ...], Any]):
    """A cache for the engines of any number of stores. What is compiled depends on the kind of the dialect only."""

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        return super().__getitem__(general(key))

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(general(key), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(general(key), compiled)


def general(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (type(dialect), *statement)


def share() -> None:
    """Let every engine of this process use the same cache."""
    compiled = Compiled(MOST)

    @event.listens_for(Engine, "engine_connect")
    def use(connection: Connection) -> None:
        connection.execution_options(compiled_cache=compiled)
