"""Administrators are warned before the certificate of a key of ours expires."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from gateway.mail.outbox import outbox
from gateway.model.account import Role
from gateway.model.clock import DAY
from gateway.sso import rows
from gateway.sso.keys import rows as keys
from gateway.sso.keys.expiry import LIFE_SECONDS, ExpiryWarnings, due_since, expires_soon
from gateway.sso.keys.rows import KeyState, StoredKey
from gateway.sso.oidc.assertion import make_key
from gateway.sso.oidc.record import Kind
from gateway.sso.rows import Registered, identity_providers
from gateway.store import Store
from tests.sso.test_key_rows import NOW, PROVIDER, SEALER
from tests.store.people import add_person, person
from tests.support.actions import actions_of

UNTIL = NOW + LIFE_SECONDS
ADMINS = ["adam@acme.example", "bea@acme.example"]


def key(state: KeyState = KeyState.CURRENT, certificate: bytes = b"DER") -> StoredKey:
    return StoredKey("key_1", state, "PS256", certificate, "{}", NOW, None)


@pytest.mark.parametrize(
    ("days", "warned"), [(61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (0, 7), (-9, 7)]
)
def test_a_warning_is_due_from_each_of_three_moments_on(days: int, warned: int | None) -> None:
    assert due_since(UNTIL, UNTIL - days * DAY) == (None if warned is None else UNTIL - warned * DAY)


def test_pages_show_what_expires_soon_and_what_has_expired() -> None:
    assert expires_soon(key(), UNTIL - 61 * DAY) is None
    assert expires_soon(key(), UNTIL - 60 * DAY) == expires_soon(key(), UNTIL + DAY) == UNTIL
    assert expires_soon(None, UNTIL) is None
    assert expires_soon(key(certificate=b""), UNTIL) is None
    assert expires_soon(key(KeyState.FORMER), UNTIL) is None


@pytest.fixture
async def warnings(store: Store) -> ExpiryWarnings:
    """A tenant with two administrators, whose provider has a certificate of ours."""
    for email in ADMINS:
        await add_person(store, person(email, role=Role.ADMIN))
    await add_person(store, person("erin@acme.example", role=Role.EMPLOYEE))
    async with store.transaction() as tx:
        await rows.put_provider(tx, SEALER, Registered(PROVIDER, signs=True), NOW)
        made = await asyncio.to_thread(make_key, "key_1", Kind.ENTRA, "Acme", NOW)
        await keys.add(tx, SEALER, PROVIDER.id, KeyState.CURRENT, made, NOW)
    return ExpiryWarnings(store, actions_of(store), "https://app.example.com/admin/sso/key")


async def mails(store: Store) -> list[str]:
    async with store.reading() as tx:
        query = select(outbox.c.recipient).where(outbox.c.template == "sso_certificate").order_by(outbox.c.recipient)
        return list((await tx.execute(query)).scalars())


async def test_each_administrator_is_warned_three_times(store: Store, warnings: ExpiryWarnings) -> None:
    counts = []
    for days in (61, 60, 45, 30, 29, 7, 6, 0, -20):
        for _ in range(2):
            await warnings.run_due(UNTIL - days * DAY)
        counts.append(len(await mails(store)))
    assert counts == [0, 2, 2, 4, 4, 6, 6, 6, 6]
    assert await mails(store) == sorted(ADMINS * 3)


async def test_workers_that_look_at_once_send_one_mail(store: Store, warnings: ExpiryWarnings) -> None:
    await asyncio.gather(*(warnings.run_due(UNTIL - 5 * DAY) for _ in range(4)))
    assert await mails(store) == ADMINS


async def test_nobody_is_warned_of_a_key_that_is_not_in_use(store: Store, warnings: ExpiryWarnings) -> None:
    async with store.transaction() as tx:
        await tx.execute(update(identity_providers).values(is_enabled=False))
    await warnings.run_due(UNTIL - DAY)
    async with store.transaction() as tx:
        await tx.execute(update(identity_providers).values(is_enabled=True))
        await keys.move(tx, PROVIDER.id, KeyState.CURRENT, KeyState.FORMER)
    await warnings.run_due(UNTIL - DAY)
    assert await mails(store) == []


async def test_a_key_without_a_certificate_does_not_expire(store: Store, warnings: ExpiryWarnings) -> None:
    async with store.transaction() as tx:
        await tx.execute(update(keys.sso_keys).values(certificate=b""))
    await warnings.run_due(UNTIL + DAY)
    assert await mails(store) == []
