"""Health, second steps and what is remembered, on both engines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import text

from gateway.accounts import rows as account_rows
from gateway.model.account import Status
from gateway.model.clock import DAY
from gateway.observe.figures import Figures
from gateway.ops.conditions import STALE_SECONDS, HealthWatch, Level, Part, judge
from gateway.ops.dashboard import of_queue, of_workers
from gateway.ops.health import NO_MAIL_SERVER, Health
from gateway.ops.remembered import Remembered
from gateway.ops.two_step import list_rates
from gateway.store import Store, StoreUnavailable, Transaction
from gateway.store.nodes import NodeState
from gateway.store.schema import accounts
from tests.store.people import NOW, add_person, person

WELL = Health(True, "ok", "ok", "ok", "ok")
REFUSED = "127.0.0.1:8000: connection refused"


@dataclass
class Check:
    """Says what a test wants, and how often it was asked."""

    said: Health = WELL
    asked: list[int] = field(default_factory=list)

    async def look(self) -> Health:
        self.asked.append(1)
        return self.said


def watch_of(store: Store, check: Check, machine: str = "gw1") -> HealthWatch:
    return HealthWatch(store, check, machine)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("health", "part", "level", "problem"),
    [
        (WELL, Part.STORE, Level.GOOD, ""),
        (replace(WELL, store="the disk is full"), Part.STORE, Level.BAD, "the disk is full"),
        (replace(WELL, schema="too old"), Part.STORE, Level.BAD, "too old"),
        (replace(WELL, upstream=REFUSED), Part.APPLICATION, Level.BAD, REFUSED),
        (replace(WELL, mail=REFUSED), Part.MAIL, Level.BAD, REFUSED),
        (replace(WELL, mail=NO_MAIL_SERVER), Part.MAIL, Level.OFF, ""),
    ],
)
def test_health_is_judged_as_ready_says_it(health: Health, part: Part, level: Level, problem: str) -> None:
    assert judge(health)[part] == (level, problem)


async def test_a_condition_is_as_old_as_its_last_change(store: Store) -> None:
    check = Check()
    watch = watch_of(store, check)
    for minute, upstream in enumerate(("ok", "ok", REFUSED, REFUSED, "ok")):
        check.said = replace(WELL, upstream=upstream)
        await watch.watch(NOW + 60 * minute)
        found = {known.part: known for known in await watch.read(NOW + 60 * minute)}
        since = {0: 0, 1: 0, 2: 2, 3: 2, 4: 4}[minute]
        assert (found[Part.APPLICATION].since, found[Part.STORE].since) == (NOW + 60 * since, NOW)
    assert len(check.asked) == 5


async def test_the_workers_of_a_machine_check_it_once_a_minute_between_them(store: Store) -> None:
    check = Check()
    for second in range(0, 120, 20):
        for worker in (watch_of(store, check), watch_of(store, check)):
            await worker.watch(NOW + second)
    assert len(check.asked) == 2


async def test_every_machine_shows_all_and_one_that_is_silent_is_away(store: Store) -> None:
    await watch_of(store, Check(), "gw1").watch(NOW)
    other = watch_of(store, Check(replace(WELL, upstream=REFUSED)), "gw2")
    later = NOW + STALE_SECONDS + 1
    found = {(known.machine, known.part): known for known in await other.read(later)}
    assert (found["gw1", Part.APPLICATION].level, found["gw1", Part.APPLICATION].since) == (Level.AWAY, NOW)
    assert found["gw2", Part.APPLICATION].level is Level.BAD
    assert {known.machine for known in await other.read(NOW + DAY + 1)} == {"gw2"}


class Full(Store):
    """Can be read, and not written to."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        raise StoreUnavailable("the disk is full")
        yield


async def test_what_can_not_be_stored_is_shown_all_the_same(store: Store, store_url: str) -> None:
    check = Check()
    await watch_of(store, check).watch(NOW)
    await watch_of(store, check, "gw2").watch(NOW + 99)
    check.said = replace(WELL, store="the disk is full")
    full = Full.open(store_url)
    found = {(each.machine, each.part): each for each in await watch_of(full, check).read(NOW + STALE_SECONDS)}
    await full.close()
    assert len(found) == 6
    assert (found["gw1", Part.STORE].level, found["gw1", Part.STORE].since) == (Level.BAD, None)
    assert (found["gw2", Part.STORE].level, found["gw2", Part.STORE].since) == (Level.GOOD, NOW + 99)


def figures(*nodes: NodeState, oldest: int | None = None) -> Figures:
    return Figures(0, 0, 3 if oldest else 0, 0, oldest, nodes)


def test_emails_that_wait_for_minutes_need_attention() -> None:
    assert of_queue(figures(), NOW).level is Level.GOOD
    assert of_queue(figures(oldest=20), NOW).level is Level.GOOD
    late = of_queue(figures(oldest=1_000), NOW)
    assert (late.level, late.since, late.count) == (Level.POOR, NOW - 1_000, 3)


def test_the_workers_of_a_machine_are_one_condition_that_counts_those_that_do_not_answer() -> None:
    well, lapsed = NodeState("gw1", 7, "1", 0, 0, False), NodeState("gw2", 8, "1", 0, 90, True)
    found = of_workers(figures(well, replace(well, pid=9), lapsed, replace(lapsed, is_lapsed=False)), NOW)
    assert [(each.machine, each.level, each.count, each.since) for each in found] == [
        ("gw1", Level.GOOD, 2, None),
        ("gw2", Level.BAD, 1, NOW - 90),
    ]


async def test_the_weakest_tenants_come_first_and_only_people_who_sign_in_count(store: Store) -> None:
    async with store.transaction() as tx:
        for slug in ("beta", "gamma", "delta"):
            await account_rows.add_tenant(tx, slug, slug.title())
    enrolled = {"acme": ["totp", "", "passkey", "=exempt", "!totp"], "beta": ["totp"], "gamma": [""]}
    for tenant, texts in enrolled.items():
        for number, factors in enumerate(texts):
            account = await add_person(store, person(f"p{number}@{tenant}.example", tenant=tenant))
            async with store.transaction() as tx:
                statement = text("UPDATE accounts SET enrolled = :factors WHERE id = :id")
                await tx.execute(statement, {"factors": factors, "id": account.id})
    await add_person(store, person("off@beta.example", tenant="beta", status=Status.DISABLED))
    await add_person(store, person("invited@beta.example", tenant="beta", password_hash=None))
    async with store.transaction() as tx:
        await tx.execute(text("UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'gamma'"))
    async with store.reading() as tx:
        rates = await list_rates(tx, accounts.c.password_hash.is_not(None))
    assert [(r.tenant, r.percent, r.protected, r.people, r.has_provider) for r in rates] == [
        ("gamma", 0, 0, 1, True),
        ("acme", 40, 2, 5, False),
        ("beta", 100, 1, 1, False),
    ]


async def test_many_who_ask_at_once_cost_one_answer_and_an_error_is_not_kept() -> None:
    remembered, asked = Remembered[int](10), list[int]()

    async def find() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        if len(asked) == 1:
            raise ConnectionResetError
        return len(asked)

    with pytest.raises(ConnectionResetError):
        await remembered.get("a", NOW, find)
    assert await asyncio.gather(*(remembered.get("a", NOW + n % 10, find) for n in range(10))) == [2] * 10
    assert await remembered.get("b", NOW, find) == 3
    assert await remembered.get("a", NOW + 10, find) == 4
    assert await remembered.get("a", NOW + 5, find) == 5  # a clock that was set back
