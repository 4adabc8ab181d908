"""The audit log in the store, on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.audit import rows
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.store import Store
from tests.store.people import NOW

ENTRY = Entry(
    Event.LOGIN,
    Outcome.SUCCESS,
    NOW,
    "ann@example.com",
    tenant="acme",
    account="acc_1",
    address="2001:db8::1",
    user_agent="Browser/1.0",
    session="ses_1",
    request_id="r1",
    details={"method": "2fa", "count": 3, "is_new": True, "name": "Zoë"},
)


async def test_an_entry_is_read_back_as_it_was_written(store: Store) -> None:
    async with store.transaction() as tx:
        await rows.record(tx, ENTRY)
    async with store.reading() as tx:
        assert await rows.recent(tx, 10) == [ENTRY]


async def test_the_latest_come_first_and_a_tenant_sees_its_own(store: Store) -> None:
    entries = [replace(ENTRY, at=NOW, tenant=tenant, request_id=f"r{i}") for i, tenant in enumerate("abab")]
    async with store.transaction() as tx:
        for entry in entries:
            await rows.record(tx, entry)
    async with store.reading() as tx:
        assert [entry.request_id for entry in await rows.recent(tx, 3)] == ["r3", "r2", "r1"]
        assert [entry.request_id for entry in await rows.recent(tx, 9, "a")] == ["r2", "r0"]


async def test_nothing_is_told_of_what_did_not_happen(store: Store) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken):
        async with store.transaction() as tx:
            await rows.record(tx, ENTRY)
            raise Broken
    async with store.reading() as tx:
        assert await rows.recent(tx, 10) == []


async def test_every_event_and_outcome_fits_its_column(store: Store) -> None:
    async with store.transaction() as tx:
        for event in Event:
            await rows.record(tx, replace(ENTRY, event=event, outcome=Outcome.FAILURE))
    async with store.reading() as tx:
        assert {entry.event for entry in await rows.recent(tx, len(Event))} == set(Event)


async def test_a_long_user_agent_is_cut(store: Store) -> None:
    async with store.transaction() as tx:
        await rows.record(tx, replace(ENTRY, user_agent="x" * 9000))
    async with store.reading() as tx:
        assert [len(entry.user_agent) for entry in await rows.recent(tx, 1)] == [rows.MAX_USER_AGENT]
