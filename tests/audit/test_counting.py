"""Floods in the log: counted by the minute, by any number of workers, and every try stands in the chain in the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from gateway.audit import counting, rows
from gateway.audit.counting import STEPS_LISTED, audit_counts
from gateway.audit.picture import draw
from gateway.audit.search import Filter
from gateway.audit.verify import Whole
from gateway.model.clock import HOUR
from gateway.model.entry import Entry, Outcome
from gateway.model.event import GROUPS, Event, Group
from gateway.ops import rows as attack_rows
from gateway.store import Store
from tests.audit.log import erase, keeper, verify
from tests.store.people import NOW
from tests.support.statements import noted

FAILED = GROUPS[Group.FAILED_SIGN_INS]

MINUTE = NOW // 60 * 60
LOCKED = Entry(
    Event.LOGIN_FAILED, Outcome.FAILURE, MINUTE, "ann@acme.example", tenant="acme", account="acc_ann",
    address="192.0.2.7", user_agent="curl/8", details={"reason": "locked"},
)  # fmt: skip
WRONG = replace(LOCKED, details={"reason": "wrong"})
STEP = replace(LOCKED, event=Event.LOGIN_STEP, outcome=Outcome.SUCCESS, details={"proved": "password", "next": "totp"})


async def fail(store: Store, *entries: Entry) -> None:
    for entry in entries:
        async with store.transaction() as tx:
            await rows.record_or_count(tx, entry)


async def told(store: Store) -> list[tuple[str, str, str, int]]:
    """Return event, identifier, address and times of every row, in the order of the chain."""
    async with store.reading() as tx:
        found = await rows.after(tx, 0, 10_000)
    entries = [rows.entry_of_row(row) for row in found]
    return [
        (entry.event.value, entry.identifier, entry.address, int(entry.details.get("times", 1))) for entry in entries
    ]


async def counts(store: Store) -> int:
    async with store.reading() as tx:
        return int((await tx.execute(select(func.count()).select_from(audit_counts))).scalar_one())


async def statements(store: Store, entry: Entry) -> list[str]:
    """Return what the store is asked in order to record `entry`."""
    with noted(store) as asked:
        await fail(store, entry)
    return asked


async def test_a_reset_that_is_asked_for_costs_the_same_whether_or_not_there_is_an_account(store: Store) -> None:
    """The time of the answer would tell."""
    known = replace(LOCKED, event=Event.PASSWORD_RESET_ASKED, outcome=Outcome.SUCCESS, details={})
    unknown = replace(
        known, outcome=Outcome.FAILURE, tenant=None, account=None, details={"reason": "no account with this email"}
    )
    found = await statements(store, known)
    assert len(found) > 4
    assert found == await statements(store, unknown)


async def test_the_first_of_a_minute_is_written_at_once_and_the_others_are_one_row(store: Store) -> None:
    await fail(store, *(replace(LOCKED, at=MINUTE + n) for n in range(50)))
    assert await told(store) == [("login_failed", "ann@acme.example", "192.0.2.7", 1)]
    assert await keeper(store).settle(MINUTE + 59) == 0
    assert await keeper(store).settle(MINUTE + 60) == 1
    assert (await told(store))[1:] == [("repeated", "ann@acme.example", "192.0.2.7", 49)]
    assert await keeper(store).settle(MINUTE + 120) == 0
    assert isinstance(await verify(store), Whole)


async def test_the_next_minute_begins_anew(store: Store) -> None:
    await fail(store, LOCKED, LOCKED, replace(LOCKED, at=MINUTE + 60))
    await keeper(store).settle(MINUTE + 300)
    assert [(event, times) for event, _, _, times in await told(store)] == [
        ("login_failed", 1), ("login_failed", 1), ("repeated", 1),
    ]  # fmt: skip


async def test_the_row_of_a_count_says_what_was_counted_and_when(store: Store) -> None:
    await fail(store, LOCKED, LOCKED, LOCKED)
    await keeper(store).settle(MINUTE + 61)
    async with store.reading() as tx:
        (entry, _) = await rows.recent(tx, 9)
    assert (entry.tenant, entry.account, entry.outcome, entry.at) == ("acme", "acc_ann", Outcome.FAILURE, MINUTE + 61)
    assert entry.details == {"of": "login_failed", "reason": "locked", "times": 2, "since": MINUTE}


async def test_many_workers_count_together(store: Store, store_url: str) -> None:
    other = Store.open(store_url)
    await asyncio.gather(*(fail(each, *[LOCKED] * 10) for each in (store, other) * 3))
    await asyncio.gather(*(keeper(each).settle(MINUTE + 61) for each in (store, other) * 3))
    await other.close()
    assert [times for *_, times in await told(store)] == [1, 59]
    assert isinstance(await verify(store), Whole)


async def test_what_a_worker_that_died_has_counted_is_written_by_another(store: Store, store_url: str) -> None:
    dying = Store.open(store_url)
    await fail(dying, *[LOCKED] * 5)
    await dying.close()
    await keeper(store).settle(MINUTE + 61)
    assert [times for *_, times in await told(store)] == [1, 4]


async def test_what_was_rolled_back_is_not_counted(store: Store) -> None:
    await fail(store, LOCKED)
    with pytest.raises(RuntimeError):
        async with store.transaction() as tx:
            await rows.record_or_count(tx, LOCKED)
            raise RuntimeError
    await keeper(store).settle(MINUTE + 61)
    assert len(await told(store)) == 1


async def test_at_the_end_of_a_worker_nothing_waits(store: Store) -> None:
    await fail(store, *[LOCKED] * 3)
    assert await keeper(store).settle(MINUTE, at_once=True) == 1


@pytest.mark.parametrize("way", ["address", "all"])
async def test_ever_new_emails_have_a_number_of_rows_and_are_counted_beyond_it(
    store: Store, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_address, in_all, more = 12, 24, 10
    monkeypatch.setattr(counting, "LISTED_FROM_ADDRESS", from_address)
    monkeypatch.setattr(counting, "LISTED_IN_ALL", in_all)
    limit = from_address if way == "address" else in_all
    async with store.transaction() as tx:
        for n in range(limit + more):
            address = "192.0.2.7" if way == "address" else f"2001:db8:{n % 65_536:x}::1"
            entry = replace(WRONG, identifier=f"p{n}@x.example", tenant=None, account=None, address=address)
            await rows.record_or_count(tx, entry)
    assert len(await told(store)) == limit
    await keeper(store).settle(MINUTE + 61)
    where = "192.0.2.7" if way == "address" else ""
    assert (await told(store))[limit:] == [("repeated", "", where, more)]


async def test_what_a_limit_ends_is_listed_one_by_one(store: Store) -> None:
    await fail(store, *[WRONG] * 5)
    await keeper(store).settle(MINUTE + 61)
    assert [event for event, *_ in await told(store)] == ["login_failed"] * 5


async def test_the_first_step_of_a_sign_in_repeated_all_the_time_is_counted(store: Store) -> None:
    await fail(store, *[STEP] * (STEPS_LISTED + 7))
    await keeper(store).settle(MINUTE + 61)
    assert (await told(store))[STEPS_LISTED:] == [("repeated", "ann@acme.example", "192.0.2.7", 7)]


async def test_what_is_never_told_is_forgotten(store: Store) -> None:
    await fail(store, LOCKED, LOCKED)
    await keeper(store).settle(MINUTE + 61)
    assert await counts(store) == 2
    await keeper(store).settle(MINUTE + 3 * HOUR)
    assert await counts(store) == 0


async def test_the_pictures_show_what_was_counted(store: Store) -> None:
    await fail(store, *[LOCKED] * 30)
    await keeper(store).settle(MINUTE + 61)
    async with store.reading() as tx:
        searches = (Filter(), Filter(events=FAILED), Filter(person="ann@acme.example"))
        drawn = [await draw(tx, wanted, MINUTE + 90, ZoneInfo("UTC")) for wanted in searches]
        pairs = await attack_rows.list_failures(tx, MINUTE - 60)
    assert [(picture.total, picture.more) for picture in drawn if picture] == [(2, 28)] * 3
    assert sum(pair.failures for pair in pairs) == 30


async def test_who_is_erased_is_also_gone_from_what_waits_to_be_told(store: Store) -> None:
    await fail(store, *[LOCKED] * 3)
    await erase(store, "ann@acme.example", "acc_ann", now=MINUTE + 5)
    await keeper(store).settle(MINUTE + 61)
    async with store.reading() as tx:
        assert "ann@acme.example" not in repr(await rows.after(tx, 0, 100))
