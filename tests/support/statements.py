"""The statements that a store is asked, whatever the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import event

from gateway.store import Store


@contextlib.contextmanager
def noted(store: Store) -> Iterator[list[str]]:
    """Yield the list of the statements that are executed inside. One with several sets of values is one statement."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    engine = store._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)
