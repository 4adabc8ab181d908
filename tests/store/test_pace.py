"""A long job leaves the store to others."""

from __future__ import annotations

import asyncio
import time

from gateway.store.pace import then_rest


async def test_after_each_transaction_others_have_as_long_as_it_took() -> None:
    async def transaction() -> str:
        await asyncio.sleep(0.05)
        return "done"

    began = time.monotonic()
    assert await then_rest(transaction()) == "done"
    assert time.monotonic() - began >= 0.1
