"""Turns for coroutines: fair, bounded, and given back whatever happens."""

from __future__ import annotations

import asyncio

from gateway.throttle.shares import Shares
from gateway.throttle.turns import Turns


class Desk:
    """Serves one at a time, for as long as `go_on` is not set, and notes in which order."""

    def __init__(self, room: int) -> None:
        self.refused: list[tuple[str, bool]] = []
        self.turns = Turns(Shares(1, room, reserve=0), lambda client, is_own: self.refused.append((client, is_own)))
        self.served: list[str] = []
        self.go_on = asyncio.Event()

    async def visit(self, client: str) -> bool:
        async with self.turns.turn(client) as is_ours:
            if is_ours:
                self.served.append(client)
                await self.go_on.wait()
            return is_ours


async def start(desk: Desk, *clients: str) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(desk.visit(client)) for client in clients]
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_after_a_flood_is_served_in_their_turn() -> None:
    desk = Desk(room=4)
    tasks = await start(desk, *["flood"] * 10, "person")
    desk.go_on.set()
    outcomes = await asyncio.gather(*tasks)
    assert desk.served == ["flood", "flood", "person", "flood", "flood"]
    assert outcomes.count(False) == 6
    assert desk.refused == [("flood", True)] * 6
    assert desk.turns.is_idle


async def test_who_leaves_while_waiting_keeps_nobody_from_their_turn() -> None:
    desk = Desk(room=4)
    first, leaving, last = await start(desk, "a", "b", "c")
    leaving.cancel()
    await asyncio.sleep(0)
    desk.go_on.set()
    assert await asyncio.gather(first, leaving, last, return_exceptions=True) != [True, True, True]
    assert desk.served == ["a", "c"]
    assert desk.turns.is_idle


async def test_who_leaves_as_their_turn_comes_gives_it_back() -> None:
    desk = Desk(room=4)
    _, leaving, last = await start(desk, "a", "b", "c")
    desk.go_on.set()
    await asyncio.sleep(0)  # the first one goes, and the turn is given to the next
    leaving.cancel()
    assert await last
    assert desk.turns.is_idle
