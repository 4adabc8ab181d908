"""Failures of an address, and how long a worker believes that it is locked: on both engines."""

from __future__ import annotations

import pytest

from gateway.store import Store
from gateway.throttle import limits
from gateway.throttle.address_limit import REMEMBERED_SECONDS, AddressLimit
from gateway.throttle.limits import Limit, Locked, Open
from tests.store.people import NOW

HOME = "192.0.2.7"
RULE = Limit(failures=1, window_seconds=900, lock_seconds=900)  # of one person; ten of an address
LOCKED = Locked(NOW + 900)


@pytest.fixture
async def limit(store: Store) -> AddressLimit:
    """One whose address HOME is locked."""
    limit = AddressLimit("passkey", RULE)
    async with store.transaction() as tx:
        verdicts = [await limit.reserve(tx, HOME, NOW) for _ in range(10)]
    assert verdicts == [Open(locks_now=False)] * 9 + [Open(locks_now=True)]
    return limit


async def reserve(store: Store, limit: AddressLimit, address: str, now: int) -> Open | Locked:
    async with store.transaction() as tx:
        return await limit.reserve(tx, address, now)


async def test_a_worker_learns_of_a_lock_once_and_asks_again_after_some_seconds(
    store: Store, limit: AddressLimit
) -> None:
    assert limit.find_lock(HOME, NOW + 1) is None
    assert await reserve(store, limit, HOME, NOW + 1) == LOCKED
    assert limit.find_lock(HOME, NOW + REMEMBERED_SECONDS) == LOCKED
    assert limit.find_lock(HOME, NOW + 1 + REMEMBERED_SECONDS) is None
    assert limit.find_lock("192.0.2.8", NOW + 1) is None


async def test_an_address_that_was_unlocked_is_believed(store: Store, limit: AddressLimit) -> None:
    await reserve(store, limit, HOME, NOW + 1)
    async with store.transaction() as tx:
        await limits.clear(tx, f"passkey:|{HOME}")
    assert limit.find_lock(HOME, NOW + 11) is None
    assert await reserve(store, limit, HOME, NOW + 11) == Open(locks_now=False)


async def test_a_lock_is_not_believed_beyond_its_end(store: Store, limit: AddressLimit) -> None:
    assert await reserve(store, limit, HOME, NOW + 899) == LOCKED
    assert limit.find_lock(HOME, NOW + 900) is None


async def test_one_network_of_ipv6_is_one_client_and_a_unix_socket_none(store: Store, limit: AddressLimit) -> None:
    for number in range(10):
        await reserve(store, limit, f"2001:db8::{number}", NOW)
    assert await reserve(store, limit, "2001:db8::ffff", NOW) == LOCKED
    for _ in range(30):
        assert await reserve(store, limit, "", NOW) == Open(locks_now=False)


async def test_what_is_given_back_does_not_count(store: Store) -> None:
    limit = AddressLimit("passkey", RULE)
    async with store.transaction() as tx:
        for _ in range(30):
            assert isinstance(await limit.reserve(tx, HOME, NOW), Open)
            await limit.give_back(tx, HOME, NOW)
