"""How often a secret may be guessed: the arithmetic alone, and its rows on both engines."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import change
from gateway.actions.action import operator
from gateway.factors.contract import Factors
from gateway.store import Store
from gateway.throttle import limits
from gateway.throttle.limits import Bucket, Limit, Locked, Open, add_failure, address_bucket, take_back
from tests.store.people import NOW, add_person, wait_for_lock
from tests.support.actions import actions_of
from tests.support.forks import program

FIVE = Limit(failures=5, window_seconds=900, lock_seconds=900)


def try_at(times: list[int], limit: Limit) -> list[Open | Locked]:
    """Return the verdict on each of the tries, all of which fail."""
    bucket, verdicts = Bucket(), []
    for now in times:
        bucket, verdict = add_failure(bucket, limit, now)
        verdicts.append(verdict)
    return verdicts


# The arithmetic.


def test_the_fifth_failure_locks_and_the_sixth_try_is_refused() -> None:
    verdicts = try_at([NOW] * 6, FIVE)
    assert verdicts == [*[Open(locks_now=False)] * 4, Open(locks_now=True), Locked(NOW + 900)]


@pytest.mark.parametrize(("at", "locks"), [(899, True), (900, False)])
def test_a_failure_counts_until_the_window_has_passed_and_no_longer(at: int, locks: bool) -> None:
    assert try_at([0, 1, 2, 3, at], FIVE)[-1] == Open(locks_now=locks)


@pytest.mark.parametrize(("at", "verdict"), [(999, Locked(1000)), (1000, Open(locks_now=False))])
def test_a_lock_holds_to_its_last_second(at: int, verdict: Open | Locked) -> None:
    assert try_at([100] * 5 + [at], FIVE)[-1] == verdict


def test_tries_during_a_lock_do_not_make_it_longer() -> None:
    verdicts = try_at([0] * 5 + list(range(1, 900)) + [900], FIVE)
    assert set(verdicts[5:-1]) == {Locked(900)}
    assert verdicts[-1] == Open(locks_now=False)


def test_after_a_lock_the_count_begins_anew() -> None:
    short = Limit(failures=3, window_seconds=900, lock_seconds=10)
    assert try_at([0, 0, 0, 10, 10, 10, 19, 20], short)[3:] == [
        Open(locks_now=False),
        Open(locks_now=False),
        Open(locks_now=True),
        Locked(20),
        Open(locks_now=False),
    ]


def test_a_limit_of_one_locks_at_once() -> None:
    assert try_at([0, 1], Limit(1, 10, 10)) == [Open(locks_now=True), Locked(10)]


def test_a_lower_limit_holds_for_buckets_filled_under_a_higher_one() -> None:
    bucket = Bucket(failures=(1, 2, 3, 4))
    assert add_failure(bucket, Limit(2, 900, 900), 5) == (Bucket((4, 5), 905), Open(locks_now=True))


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize(("window", "lock"), [(3, 3), (3, 1), (2, 4)])
def test_every_short_history_is_judged_as_the_rule_says(failures: int, window: int, lock: int) -> None:
    """The rule, told from the whole history: locked while a lock lasts; a lock begins with the failure that makes
    `failures` of them within the window, not counting what an earlier lock has paid for."""
    limit = Limit(failures, window, lock)
    for times in itertools.combinations_with_replacement(range(8), 6):
        counted: list[int] = []
        until = 0
        for now, verdict in zip(times, try_at(list(times), limit), strict=True):
            if now < until:
                assert verdict == Locked(until), times
                continue
            if until:
                counted, until = [], 0
            counted.append(now)
            locks = len([at for at in counted if now - at < window]) >= failures
            until = now + lock if locks else 0
            assert verdict == Open(locks_now=locks), times


@given(
    times=st.lists(st.integers(0, 60), max_size=60).map(sorted),
    failures=st.integers(1, 5),
    window=st.integers(1, 20),
    longer=st.integers(0, 10),
)
def test_no_window_ever_holds_more_tries_than_allowed(
    times: list[int], failures: int, window: int, longer: int
) -> None:
    """For locks at least as long as the window, as the defaults are; a shorter lock is meant to let more through."""
    verdicts = try_at(times, Limit(failures, window, window + longer))
    checked = [now for now, verdict in zip(times, verdicts, strict=True) if isinstance(verdict, Open)]
    assert all(len([at for at in checked if start <= at < start + window]) <= failures for start in range(61))


@given(times=st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_a_bucket_never_grows_beyond_its_limit_even_if_the_clock_jumps(times: list[int]) -> None:
    bucket = Bucket()
    for now in times:
        bucket, _ = add_failure(bucket, Limit(3, 10, 10), now)
        assert len(bucket.failures) <= 3


def test_what_is_taken_back_was_never_there() -> None:
    four, _ = add_failure(Bucket((1, 2, 3)), FIVE, 4)
    locked, verdict = add_failure(four, FIVE, 5)
    assert verdict == Open(locks_now=True)
    assert take_back(locked, 5) == four
    assert take_back(Bucket((1, 1)), 1) == Bucket((1,))


def test_what_was_never_there_can_not_be_taken_back() -> None:
    assert take_back(Bucket((1, 2), 99), 3) == Bucket((1, 2), 99)


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, bucket: str) -> None:
    assert address_bucket(address) == bucket


# The rows.


async def reserve(store: Store, key: str = "key", now: int = NOW, limit: Limit = FIVE) -> Open | Locked:
    async with store.transaction() as tx:
        return await limits.reserve(tx, key, limit, now)


async def test_failures_are_counted_across_transactions(store: Store) -> None:
    verdicts = [await reserve(store) for _ in range(6)]
    assert verdicts == try_at([NOW] * 6, FIVE)


async def test_a_limit_survives_a_restart(store_url: str) -> None:
    verdicts = []
    for _ in range(6):
        store = Store.open(store_url)
        verdicts.append(await reserve(store))
        await store.close()
    assert verdicts[-1] == Locked(NOW + 900)


async def test_keys_do_not_concern_each_other(store: Store) -> None:
    for _ in range(6):
        await reserve(store, "one")
    assert await reserve(store, "other") == Open(locks_now=False)


async def test_a_success_clears_what_was_before(store: Store) -> None:
    for _ in range(4):
        await reserve(store)
    async with store.transaction() as tx:
        await limits.clear(tx, "key")
    assert await reserve(store) == Open(locks_now=False)


async def test_a_try_that_was_given_back_does_not_count(store: Store) -> None:
    for _ in range(5):
        await reserve(store)
    async with store.transaction() as tx:
        await limits.give_back(tx, "key", NOW)
    assert await reserve(store) == Open(locks_now=True)


@pytest.mark.usefixtures("unhurried")
async def test_reserving_and_clearing_at_once_goes_well(store: Store) -> None:
    async def clear() -> None:
        async with store.transaction() as tx:
            await limits.clear(tx, "key")

    await asyncio.gather(*(work() for _ in range(30) for work in (lambda: reserve(store), clear)))


TRY = """
import asyncio, sys
from gateway.throttle import limits
from gateway.store import Store

async def main(url, now):
    store = Store.open(url)

    async def reserve():
        async with store.transaction() as tx:
            return await limits.reserve(tx, "key", limits.Limit(5, 900, 900), now)

    sys.stdin.readline()  # everybody at once
    verdicts = await asyncio.gather(*(reserve() for _ in range(25)))
    await store.close()
    print(sum(isinstance(verdict, limits.Open) for verdict in verdicts), flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_of_fifty_tries_at_once_in_two_processes_exactly_five_are_checked(store_url: str) -> None:
    with (
        program(TRY, store_url, str(NOW)) as one,
        program(TRY, store_url, str(NOW)) as two,
        ThreadPoolExecutor(2) as both,
    ):
        allowed = list(both.map(lambda worker: int(worker.ask()), (one, two)))
    assert sum(allowed) == 5


async def test_an_account_is_unlocked_while_its_person_asks_for_a_mail_and_neither_is_undone(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    ann = await add_person(store)
    a_day, pair = f"forgot-day:{ann.identifier}|192.0.2.1", f"forgot:{ann.identifier}|192.0.2.1"
    async with store.transaction() as tx:
        await limits.read_all(tx, {a_day, pair})

    async def unlock() -> int:
        async with actions_of(store).begin(operator("root"), NOW) as action:
            return await change.unlock(action, Factors(()), ann)

    async with store.transaction() as asking:  # as read_all locks them, one by one
        await limits.read(asking, a_day)
        unlocking = asyncio.create_task(unlock())
        await wait_for_lock(store, unlocking)
        await limits.read(asking, pair)
    assert await unlocking == 2
    await store.close()
