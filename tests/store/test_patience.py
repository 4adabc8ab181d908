"""A limit on the silence of a database: what has arrived is in time, however late the event loop comes to it."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from gateway.store.patience import Patience


async def test_an_answer_that_arrives_while_the_loop_is_held_is_in_time() -> None:
    """As when the machine gives the processor to others, or was suspended."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        async with Patience(0.2):
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)
            asyncio.get_running_loop().call_soon(theirs.send, b"!")
            assert await asyncio.get_running_loop().sock_recv(ours, 1) == b"!"


async def test_a_word_just_before_the_end_is_in_time() -> None:
    async with Patience(0.1) as patience:
        patience._wait(0, steps=0)  # the last step: it would pass in the next turn of the loop
        patience.renew()
        await asyncio.sleep(0.01)


async def test_silence_ends_it() -> None:
    with pytest.raises(TimeoutError):
        async with Patience(0.1):
            await asyncio.Event().wait()
