"""The figures of the charts, on both engines; hours and days are those of a zone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.memo import Memo
from gateway.ops.activity import Span, count_activity, edges_of
from gateway.store import Store
from tests.audit.log import write
from tests.store.people import NOW, add_person

UTC = ZoneInfo("UTC")
HOUR = 3_600
LOGIN = Entry(Event.LOGIN, Outcome.SUCCESS, NOW, "x", address="192.0.2.7", tenant="acme")


def at(zone: str, words: str) -> int:
    return int(datetime.fromisoformat(words).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
def test_a_day_is_24_whole_hours_of_the_zone_and_the_last_contains_now(zone: str) -> None:
    edges = edges_of(Span.DAY, NOW, ZoneInfo(zone))
    assert len(edges) == 25
    assert edges[-2] <= NOW < edges[-1]
    assert {datetime.fromtimestamp(edge, ZoneInfo(zone)).minute for edge in edges} == {0}


@pytest.mark.parametrize(
    ("now", "lengths"),
    [
        ("2026-06-15T13:30", {6}),
        ("2026-03-30T13:30", {5, 6}),  # clocks went forward on the 29th
        ("2026-10-26T13:30", {6, 7}),  # and back on the 25th
    ],
)
def test_a_week_is_28_quarters_of_days_that_begin_at_midnight_of_the_zone(now: str, lengths: set[int]) -> None:
    edges = edges_of(Span.WEEK, at("Europe/Berlin", now), ZoneInfo("Europe/Berlin"))
    assert len(edges) == 29
    assert edges[-2] <= at("Europe/Berlin", now) < edges[-1]
    assert {(until - since) // HOUR for since, until in pairwise(edges)} == lengths
    assert {datetime.fromtimestamp(edge, ZoneInfo("Europe/Berlin")).hour for edge in edges} == {0, 6, 12, 18}


async def test_events_are_counted_in_their_hours_and_others_are_not(store: Store) -> None:
    edges = edges_of(Span.DAY, NOW, UTC)
    await write(
        store,
        replace(LOGIN, at=edges[0] - 1),
        replace(LOGIN, at=edges[0]),
        replace(LOGIN, at=edges[1] - 1),
        replace(LOGIN, event=Event.LOGIN_2FA_FAILED, at=edges[1]),
        replace(LOGIN, event=Event.LOGIN_FAILED, at=edges[1]),
        replace(LOGIN, event=Event.LOGIN_LOCKOUT, at=NOW),
        replace(LOGIN, event=Event.LOGOUT, at=NOW),
        Entry(Event.REPEATED, Outcome.FAILURE, edges[2], "", details={"of": "login_failed", "times": 40}),
    )
    async with store.reading() as tx:
        activity = await count_activity(tx, edges, Memo(99), NOW)
    counts = {chart.name: {n: bar.count for n, bar in enumerate(chart.bars) if bar.count} for chart in activity.charts}
    assert counts == {"sign_ins": {0: 2}, "failures": {1: 2, 2: 40}, "lockouts": {23: 1}, "sessions": {}}
    assert [at for at, _ in activity.table] == [edges[23], edges[2], edges[1], edges[0]]


async def test_what_is_over_is_counted_once_and_the_rest_anew(store: Store) -> None:
    edges, known = edges_of(Span.DAY, NOW, UTC), Memo[tuple[int, int], Counter[str]](99)
    totals = []
    for _ in range(2):
        await write(store, replace(LOGIN, at=edges[3]), replace(LOGIN, at=NOW))
        async with store.reading() as tx:
            activity = await count_activity(tx, edges, known, NOW)
        totals.append((activity.charts[0].bars[3].count, activity.charts[0].bars[-1].count))
    assert totals == [(1, 1), (1, 2)]


@pytest.mark.parametrize("span", Span)
async def test_a_session_is_active_from_its_sign_in_to_its_last_use(store: Store, span: Span) -> None:
    edges = edges_of(span, NOW, UTC)
    account = await add_person(store)
    times = [(edges[0] - 9_999, edges[0] - 1), (edges[0] - 1, edges[2]), (edges[2], edges[2]), (edges[1], NOW)]
    async with store.transaction() as tx:
        for number, (started, seen) in enumerate(times):
            await tx.execute(
                text(
                    "INSERT INTO sessions (id, token_key, account, proofs, address, user_agent, started_at, seen_at)"
                    " VALUES (:id, :key, :account, '[]', '', '', :started, :seen)"
                ),
                {"id": f"s{number}", "key": bytes([number] * 32), "account": account.id, "started": started,
                 "seen": seen},
            )  # fmt: skip
    async with store.reading() as tx:
        activity = await count_activity(tx, edges, Memo(99), NOW)
    counts = [bar.count for bar in activity.charts[-1].bars]
    assert counts == [1, 2, 3, *[1] * (len(edges) - 4)]
