"""Pauses between the transactions of a long job.

SQLite's write lock has no queue. Who wants it, in another process, looks a few times a second whether it is free, and a
job that takes it again at once could keep a sign-in waiting until that gives up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def then_rest(transaction: Awaitable[Result]) -> Result:
    """Await one transaction of a long job, then leave the store to others for as long as it took."""
    began = time.monotonic()
    result = await transaction
    await asyncio.sleep(time.monotonic() - began)
    return result
