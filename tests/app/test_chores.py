"""A worker's background jobs, on both engines: what one was at when the worker stopped is finished or undone."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text

from gateway.app import chores
from gateway.app.chores import Chores, every
from gateway.app.services import Services
from gateway.browsers.learning import CookieLearner
from gateway.model.secret import Secret
from gateway.page_views.collector import PageViews
from gateway.settings.record import Settings
from gateway.store import Store
from gateway.store.schema import sessions
from gateway.wire.deadlines import Deadlines
from tests.store.people import NOW, Watched, add_person, add_session, look, worker


async def nothing() -> None:
    """Stand for the re-authorisation of open connections, of which there are none."""


async def test_a_use_that_was_being_written_when_the_worker_stopped_is_written(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a session would end for idleness up to a minute too early."""
    monkeypatch.setattr(chores, "FLUSH_SECONDS", 0.0)
    store, other = Watched.open(store_url), Store.open(store_url)
    _, key = await add_session(store, await add_person(store))
    settings, clock = Settings(secrets=(Secret(b"s" * 48),)), Deadlines(asyncio.get_running_loop())
    async with worker(store_url) as lookup:
        services = Services(settings, store, clock=lambda: NOW)
        views = PageViews(store, clock, settings.page_views, (), lambda count: None)
        jobs = Chores(services, settings, lookup, CookieLearner(store, 10), views, nothing)
        await look(lookup, key, NOW + 60)
        async with other.transaction() as tx:
            await tx.execute(text("UPDATE sessions SET seen_at = seen_at"))  # who writes the use waits
            jobs.start()
            while not store.is_open:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(jobs.stop())
            await asyncio.sleep(0)
        await stopping
        async with store.reading() as tx:
            assert (await tx.execute(select(sessions.c.seen_at))).scalar_one() == NOW + 60
    clock.stop()
    for each in (store, other):
        await each.close()


async def test_a_job_that_is_woken_does_not_wait_for_its_time() -> None:
    woken, ran = asyncio.Event(), asyncio.Queue[int]()
    job = asyncio.create_task(every(3_600, lambda: ran.put(1), at_once=False, woken_by=woken))
    for _ in range(2):
        woken.set()
        await ran.get()
    assert not woken.is_set()
    job.cancel()
