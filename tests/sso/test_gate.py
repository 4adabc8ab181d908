from __future__ import annotations

import asyncio

from gateway.sso.oidc.fetching import Fetched
from gateway.sso.oidc.gate import MOST_AT_ONCE, PAUSE_SECONDS, Gate
from gateway.sso.oidc.record import Refusal, Refused

ANSWER = Fetched(200, b"{}", {})
DOWN = Refused(Refusal.TIMED_OUT, "id.example.com")


class Provider:
    """It answers each request when the test says so, and counts those that reach it."""

    def __init__(self, seconds: float = 60) -> None:
        self.now = 1_000
        self.gate = Gate(lambda: self.now, seconds)
        self.waiting: list[asyncio.Future[Fetched | Refused]] = []
        self.asked = 0

    async def request(self) -> Fetched | Refused:
        self.asked += 1
        waits: asyncio.Future[Fetched | Refused] = asyncio.get_running_loop().create_future()
        self.waiting.append(waits)
        return await waits

    def ask(self, times: int = 1) -> list[asyncio.Task[Fetched | Refused]]:
        return [asyncio.create_task(self.gate.fetch(self.request)) for _ in range(times)]

    async def answer(self, answer: Fetched | Refused, times: int = 1) -> None:
        """Answer the requests that came first, and let what follows from that happen."""
        await settle()
        for _ in range(times):
            self.waiting.pop(0).set_result(answer)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_only_so_many_requests_go_through_at_once_and_all_in_the_end() -> None:
    provider = Provider()
    tasks = provider.ask(40)
    most = 0
    while not all(task.done() for task in tasks):
        await settle()
        most = max(most, len(provider.waiting))
        await provider.answer(ANSWER)
    assert [task.result() for task in tasks] == [ANSWER] * 40
    assert (most, provider.asked) == (MOST_AT_ONCE, 40)


async def test_whoever_waits_too_long_is_told_so() -> None:
    provider = Provider(seconds=0)
    tasks = provider.ask(MOST_AT_ONCE)
    await settle()
    (late,) = provider.ask()
    assert await late == Refused(Refusal.BUSY)
    await provider.answer(ANSWER, MOST_AT_ONCE)
    assert all(task.done() for task in tasks)


async def test_one_time_out_is_enough_for_everybody() -> None:
    provider = Provider()
    tasks = provider.ask(100)
    await settle()
    assert provider.asked == MOST_AT_ONCE
    await provider.answer(DOWN, MOST_AT_ONCE)
    assert [task.result() for task in tasks] == [DOWN] * 100
    assert provider.asked == MOST_AT_ONCE
    provider.now += PAUSE_SECONDS - 1
    assert await provider.gate.fetch(provider.request) == DOWN
    provider.now += 1
    (again,) = provider.ask()
    await provider.answer(ANSWER)
    assert again.result() == ANSWER
    assert provider.asked == MOST_AT_ONCE + 1


async def test_a_time_out_among_answers_stops_nobody() -> None:
    provider = Provider()
    provider.ask(2)
    await settle()
    lost = provider.waiting.pop(0)
    await provider.answer(ANSWER)
    lost.set_result(DOWN)
    await settle()
    (third,) = provider.ask()
    await provider.answer(ANSWER)
    assert third.result() == ANSWER


async def test_a_refusal_is_an_answer() -> None:
    provider = Provider()
    for reason in (Refusal.STATUS, Refusal.NOT_JSON, Refusal.NOT_HTTP):
        (task,) = provider.ask()
        await provider.answer(Refused(reason))
        assert task.result() == Refused(reason)
    assert provider.asked == 3


async def test_a_caller_who_leaves_gives_the_place_back() -> None:
    provider = Provider()
    tasks = provider.ask(MOST_AT_ONCE + 1)
    await settle()
    tasks[0].cancel()
    await settle()
    assert provider.asked == MOST_AT_ONCE + 1
    await provider.answer(ANSWER, 0)
    provider.waiting.pop(0)
    await provider.answer(ANSWER, MOST_AT_ONCE)
    assert [task.done() for task in tasks] == [True] * (MOST_AT_ONCE + 1)
