"""Sprays are seen, told of once, and nothing that helps to guess is kept: on both engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.app.retention import Purge
from gateway.audit import rows as audit_rows
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail.outbox import Outbox
from gateway.model.clock import HOUR
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.ops import blocks, failed_passwords
from gateway.ops.blocks import Block, find_block, read_network
from gateway.ops.failed_passwords import FailedPasswords
from gateway.ops.service import AttackService
from gateway.settings import Settings
from gateway.store import Store
from gateway.throttle.address_limit import AddressLimit
from gateway.throttle.limits import Limit
from gateway.throttle.side_work import SideWork
from tests.audit.log import write
from tests.mail.conftest import make_composer
from tests.store.people import NOW
from tests.support.actions import actions_of

FAILED = Entry(Event.LOGIN_FAILED, Outcome.FAILURE, NOW, "x", address="192.0.2.7", details={"reason": "wrong"})
SIDE = SideWork()
OWNERS = frozenset({"olga@otium.example", "otto@otium.example"})


def service(store: Store, many: int = 5) -> AttackService:
    outbox = Outbox(make_composer(), Sealer([Secret(b"s" * 48)]), Readers())
    ops_link = "https://app.example.com/ops"
    actions = actions_of(store)
    return AttackService(
        store=store, actions=actions, outbox=outbox, side=SIDE, owners=OWNERS, many=many, ops_link=ops_link
    )


async def fail_everywhere(store: Store, password: str, count: int, now: int = NOW, secret: bytes = b"s" * 48) -> None:
    """Try one password on many accounts, each from an address of its own."""
    failed = FailedPasswords(Secret(secret))
    async with store.transaction() as tx:
        for n in range(count):
            await failed.note(tx, f"person{n}@acme.example", Secret(password), now)
            entry = replace(FAILED, at=now, identifier=f"person{n}@acme.example", address=f"198.{n}.100.7")
            await audit_rows.record(tx, entry)


async def mails(store: Store) -> list[str]:
    async with store.reading() as tx:
        found = await tx.execute(text("SELECT recipient FROM outbox WHERE template = 'login_spray' ORDER BY recipient"))
        return list(found.scalars())


async def test_an_address_that_tries_many_accounts_is_seen(store: Store) -> None:
    await write(store, *(replace(FAILED, identifier=f"p{n}@acme.example") for n in range(5)))
    await write(store, *(replace(FAILED, address="192.0.2.8") for _ in range(9)))
    seen = await service(store).picture(NOW)
    assert [(source.place, source.accounts, source.failures) for source in seen.sources] == [("192.0.2.7", 5, 5)]
    assert (await service(store).picture(NOW + HOUR + 1)).sources == ()


async def test_a_network_of_ipv6_is_one_address(store: Store) -> None:
    entries = (replace(FAILED, identifier=f"p{n}@a.example", address=f"2001:db8::{n}") for n in range(5))
    await write(store, *entries)
    assert [source.place for source in (await service(store).picture(NOW)).sources] == ["2001:db8::/64"]


async def test_an_account_that_is_tried_from_many_addresses_is_seen(store: Store) -> None:
    await write(store, *(replace(FAILED, address=f"192.0.2.{n}") for n in range(6)))
    seen = await service(store).picture(NOW)
    assert [(target.identifier, target.addresses) for target in seen.targets] == [("x", 6)]
    assert seen.sources == ()


async def test_one_password_on_many_accounts_from_many_addresses_is_seen(store: Store) -> None:
    await fail_everywhere(store, "Winter2026!", 12)
    seen = await service(store).picture(NOW)
    assert seen.sources == ()
    assert len(seen.passwords) == 1
    assert 5 <= seen.passwords[0].accounts <= 12


async def test_many_passwords_on_one_account_or_on_an_account_each_are_no_spray(store: Store) -> None:
    failed = FailedPasswords(Secret(b"s" * 48))
    async with store.transaction() as tx:
        for n in range(40):
            await failed.note(tx, "one@acme.example", Secret("the same"), NOW)
            await failed.note(tx, f"person{n}@acme.example", Secret(f"own {n}"), NOW)
    assert (await service(store).picture(NOW)).passwords == ()


async def test_a_thief_of_the_store_learns_nothing_of_a_failed_password(store: Store) -> None:
    """A tag of 16 bits that only the secret explains, another one each hour, and no account beside it."""
    await fail_everywhere(store, "Winter2026!", 1)
    await fail_everywhere(store, "Winter2026!", 1, NOW + HOUR)
    async with store.reading() as tx:
        first, second = (await tx.execute(text("SELECT * FROM failed_passwords ORDER BY hour"))).all()
    assert first._fields == ("hour", "tag", "accounts")
    assert 0 <= first.tag < 65_536
    assert first.tag != second.tag
    await fail_everywhere(store, "Winter2026!", 1, secret=b"o" * 48)
    async with store.reading() as tx:
        tags = (await tx.execute(text("SELECT count(DISTINCT tag) FROM failed_passwords"))).scalar_one()
    assert tags == 3


async def test_what_is_two_hours_old_is_forgotten(store: Store) -> None:
    await fail_everywhere(store, "Winter2026!", 3)
    await service(store).watch(NOW + HOUR)
    async with store.reading() as tx:
        assert not await failed_passwords.has_old(tx, NOW + HOUR)
        assert await failed_passwords.has_old(tx, NOW + 2 * HOUR)
    await service(store).watch(NOW + 2 * HOUR)
    async with store.reading() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM failed_passwords"))).scalar_one() == 0


@pytest.mark.parametrize("kind", ["address", "password"])
async def test_the_owners_are_mailed_once_about_a_spray(store: Store, kind: str) -> None:
    async def attack(now: int) -> None:
        if kind == "password":
            await fail_everywhere(store, "Winter2026!", 20, now)
        else:
            await write(store, *(replace(FAILED, at=now, identifier=f"p{n}@a.example") for n in range(5)))

    assert await mails(store) == []
    await attack(NOW)
    await asyncio.gather(*(service(store).watch(NOW) for _ in range(5)))
    assert await mails(store) == sorted(OWNERS)
    for hours in range(1, 8):
        await attack(NOW + hours * HOUR)
        await service(store).watch(NOW + hours * HOUR)
    assert await mails(store) == sorted(OWNERS)
    later = NOW + 24 * HOUR
    await attack(later)
    await service(store).watch(later)
    assert len(await mails(store)) == 4
    async with store.reading() as tx:
        events = [entry for entry in await audit_rows.recent(tx, 999) if entry.event is Event.LOGIN_SPRAY_SEEN]
    assert [entry.details["kind"] for entry in events] == [kind, kind]


async def test_nothing_is_told_where_nothing_happens(store: Store) -> None:
    await write(store, *(replace(FAILED, identifier=f"p{n}@a.example") for n in range(4)))
    await service(store).watch(NOW)
    assert await mails(store) == []


# Lockouts.


async def test_an_address_that_may_send_no_more_passkeys_is_shown(store: Store) -> None:
    limit = AddressLimit("passkey", Limit(failures=1, window_seconds=900, lock_seconds=900))
    async with store.transaction() as tx:
        for _ in range(10):
            await limit.reserve(tx, "192.0.2.7", NOW)
    (lock,) = (await service(store).picture(NOW)).locks
    assert (lock.kind, lock.who, lock.address, lock.until) == ("passkey", "", "192.0.2.7", NOW + 900)


# Blocks.


NETWORKS = [
    ("203.0.113.7", "203.0.113.7/32"),
    (" 203.0.113.9/24 ", "203.0.113.0/24"),
    ("2001:db8::1", "2001:db8::/64"),
    ("2001:db8::/48", "2001:db8::/48"),
    ("::ffff:203.0.113.7", "203.0.113.7/32"),
    ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ("10.0.0.0/15", None),
    ("0.0.0.0/0", None),
    ("2001:db8::/31", None),
    ("example.com", None),
    ("", None),
]


@pytest.mark.parametrize(("text_", "network"), NETWORKS)
def test_a_network_is_read_and_must_not_be_too_wide(text_: str, network: str | None) -> None:
    found = read_network(text_)
    assert (str(found) if found else None) == network


ADDRESSES = [
    ("203.0.113.7", True),
    ("::ffff:203.0.113.7", True),
    ("203.0.114.7", False),
    ("2001:db8::7", True),
    ("2001:db9::7", False),
    ("", False),
    ("unknown", False),
]


@pytest.mark.parametrize(("address", "is_blocked"), ADDRESSES)
def test_an_address_is_blocked_by_its_network(address: str, is_blocked: bool) -> None:
    held = [Block("203.0.113.0/24", NOW, NOW, "o"), Block("2001:db8::/64", NOW, NOW, "o")]
    assert (find_block(address, held) is not None) == is_blocked


async def test_a_block_ends_by_itself(store: Store) -> None:
    async with store.transaction() as tx:
        await blocks.add(tx, Block("203.0.113.0/24", NOW + 60, NOW, "otto"))
        await blocks.add(tx, Block("203.0.113.0/24", NOW + 90, NOW, "otto"))
    assert await service(store).find_block("203.0.113.7", NOW + 89) is not None
    assert await service(store).find_block("203.0.113.7", NOW + 90) is None
    assert (await Purge(store, Settings()).run(NOW + 90))["blocks"] == 1
    async with store.transaction() as tx:
        assert not await blocks.remove(tx, "203.0.113.0/24")
