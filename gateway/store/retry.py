"""Does work again that the database has undone because of a deadlock.

Transactions that wait for each other in a circle would wait for ever, so PostgreSQL undoes one of them (SQLSTATE 40P01;
40001 is the same for a stricter isolation than ours). All that it changed is gone, and nothing else was done yet, if
the work has committed nothing: so it can be done again from its beginning. After a commit was sent, nothing is done
again, whatever the answer was, or if there was none.

SQLite has one writer at a time, so nothing of this happens there.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from gateway.store.unavailable import Undone

Given = ParamSpec("Given")
Result = TypeVar("Result")

TRIES = 3
MOST_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class Work:
    """A piece of work under way, perhaps as a part of another one."""

    within: Work | None
    has_committed: bool = False


work: ContextVar[Work | None] = ContextVar("work", default=None)


def note_commit() -> None:
    """Called before a commit is sent: the work under way must not be done again."""
    part = work.get()
    while part is not None:
        part.has_committed = True
        part = part.within


def retried(function: Callable[Given, Awaitable[Result]]) -> Callable[Given, Awaitable[Result]]:
    """Have `function` called again if it is undone before it has committed anything.

    It must have no effect, other than through the store, that can't be had twice.
    """

    @functools.wraps(function)
    async def call(*given: Given.args, **named: Given.kwargs) -> Result:
        for _ in range(TRIES - 1):
            part = Work(within=work.get())
            mark = work.set(part)
            try:
                return await function(*given, **named)
            except Undone:
                if part.has_committed:
                    raise
            finally:
                work.reset(mark)
            await asyncio.sleep(random.uniform(0, MOST_PAUSE_SECONDS))  # noqa: S311 - not all at once
        return await function(*given, **named)

    return call
