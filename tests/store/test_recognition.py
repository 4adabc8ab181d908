"""Known devices, new networks and new devices, on both engines. What is not known is always told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from gateway.browsers import rows as browser_rows
from gateway.devices.recognition import Recognition, recognise
from gateway.model.account import Account
from gateway.model.factor import Factor, Proof
from gateway.model.token import key_of, new_token
from gateway.sessions import rows as session_rows
from gateway.sessions.rows import KNOWN_SECONDS
from gateway.store import Store
from tests.login.people import BROWSER, inbound_of
from tests.store.people import NOW, add_person, person

HOME, HOTEL = "192.0.2.7", "198.51.100.9"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"


@dataclass
class Profile:
    """One browser profile; `key` is that of its cookie."""

    store: Store
    account: Account
    key: bytes | None = None

    async def arrive(self, address: str = HOME, user_agent: str = BROWSER, at: int = NOW) -> Recognition:
        """Sign in, and return how the browser was recognised."""
        inbound = inbound_of(address, user_agent)._replace(browser_key=self.key)
        async with self.store.transaction() as tx:
            found = await recognise(tx, self.account.id, inbound, at)
            arrival = await browser_rows.arrive(tx, self.key, self.account.id, None, at)
            await session_rows.add(
                tx,
                token_key=key_of(new_token()),
                account_id=self.account.id,
                proofs=[Proof(Factor.PASSWORD, at)],
                address=address,
                user_agent=user_agent,
                now=at,
            )
        self.key = key_of(arrival.token) if arrival.token else self.key
        return found


async def profile(store: Store) -> Profile:
    """Return a profile that has signed in once, at home."""
    found = Profile(store, await add_person(store))
    assert await found.arrive() is Recognition.NEW_DEVICE
    return found


NEXT: Mapping[str, tuple[str, str, int, Recognition]] = {
    "the same network": (HOME, BROWSER, NOW + 60, Recognition.KNOWN),
    "a new version": (HOME, BROWSER.replace("140", "141"), NOW + 60, Recognition.KNOWN),
    "another network": (HOTEL, BROWSER, NOW + 60, Recognition.NEW_NETWORK),
    "the neighbour": ("192.0.2.8", BROWSER, NOW + 60, Recognition.NEW_NETWORK),
    "another browser": (HOME, CHROME, NOW + 60, Recognition.NEW_DEVICE),
    "the cookie in another browser": (HOTEL, CHROME, NOW + 60, Recognition.NEW_DEVICE),
    "after 90 days": (HOTEL, BROWSER, NOW + KNOWN_SECONDS + 1, Recognition.NEW_DEVICE),
}


@pytest.mark.parametrize("where", NEXT)
async def test_a_browser_with_its_cookie_is_recognised_by_name_and_network(store: Store, where: str) -> None:
    address, user_agent, at, expected = NEXT[where]
    known = await profile(store)
    assert await known.arrive(address, user_agent, at) is expected


async def test_an_ipv6_network_is_a_64(store: Store) -> None:
    known = Profile(store, await add_person(store))
    await known.arrive("2001:db8:1:2::7")
    assert await known.arrive("2001:db8:1:2:3::8") is Recognition.KNOWN
    assert await known.arrive("2001:db8:1:3::7") is Recognition.NEW_NETWORK


async def test_without_the_cookie_a_browser_is_as_new_as_ever(store: Store) -> None:
    known = await profile(store)
    assert await Profile(store, known.account).arrive(HOTEL) is Recognition.NEW_DEVICE
    assert await Profile(store, known.account, b"\0" * 32).arrive("203.0.113.5") is Recognition.NEW_DEVICE


async def test_the_cookie_of_another_person_makes_no_browser_known(store: Store) -> None:
    known = await profile(store)
    other = Profile(store, await add_person(store, person("bob@example.com")), known.key)
    assert await other.arrive(HOTEL) is Recognition.NEW_DEVICE
    assert other.key != known.key
    assert await known.arrive("203.0.113.5") is Recognition.NEW_NETWORK


async def test_a_stolen_cookie_is_told_and_is_worth_nothing_after_a_device_was_revoked(store: Store) -> None:
    known = await profile(store)
    thief = Profile(store, known.account, known.key)
    assert await thief.arrive(HOTEL, at=NOW + 1) is Recognition.NEW_NETWORK
    async with store.transaction() as tx:
        device = session_rows.device_key(HOTEL, BROWSER)
        await session_rows.forget_device(tx, known.account.id, device, NOW + 2)
    assert await thief.arrive(HOTEL, at=NOW + 3) is Recognition.NEW_DEVICE


async def test_a_browser_is_known_again_once_it_has_signed_in_after_a_revocation(store: Store) -> None:
    known = await profile(store)
    async with store.transaction() as tx:
        await session_rows.forget_devices(tx, known.account.id, NOW + 2)
    assert await known.arrive(at=NOW + 3) is Recognition.NEW_DEVICE
    assert await known.arrive(HOTEL, at=NOW + 4) is Recognition.NEW_NETWORK
