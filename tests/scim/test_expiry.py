"""Administrators are warned a month before a provisioning token expires."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from gateway.mail.outbox import outbox
from gateway.model.account import Role
from gateway.model.clock import DAY
from gateway.scim import token_rows
from gateway.scim.expiry import ProvisioningWarnings
from gateway.scim.token import make
from gateway.scim.token_rows import scim_tokens
from gateway.store import Store
from gateway.store.schema import tenants
from tests.store.people import NOW, add_person, person
from tests.support.actions import actions_of

ADMINS = ["adam@acme.example", "bea@acme.example"]
UNTIL = NOW + 365 * DAY
MONTH_BEFORE = UNTIL - 30 * DAY


@pytest.fixture
async def warnings(store: Store) -> ProvisioningWarnings:
    """Of a tenant with two administrators, whose provider has used its token."""
    for email in ADMINS:
        await add_person(store, person(email, role=Role.ADMIN))
    await add_person(store, person("erin@acme.example", role=Role.EMPLOYEE))
    async with store.transaction() as tx:
        token = await token_rows.add(tx, "acme", make(), ADMINS[0], NOW, UNTIL)
        await token_rows.note_use(tx, token, NOW)
    return ProvisioningWarnings(store, actions_of(store), "https://app.example.com/admin/sso/provisioning")


async def mails(store: Store) -> list[str]:
    async with store.reading() as tx:
        query = select(outbox.c.recipient).where(outbox.c.template == "scim_token_expires")
        return list((await tx.execute(query.order_by(outbox.c.recipient))).scalars())


async def test_each_administrator_is_warned_once_and_not_before_the_last_month(
    store: Store, warnings: ProvisioningWarnings
) -> None:
    await warnings.run_due(MONTH_BEFORE - 1)
    assert await mails(store) == []
    for now in (MONTH_BEFORE, MONTH_BEFORE + DAY, UNTIL - 1):
        await warnings.run_due(now)
        assert await mails(store) == ADMINS


async def test_workers_that_look_at_once_send_one_mail(store: Store, warnings: ProvisioningWarnings) -> None:
    await asyncio.gather(*(warnings.run_due(MONTH_BEFORE) for _ in range(4)))
    assert await mails(store) == ADMINS


async def test_a_provider_that_has_changed_to_another_token_needs_no_warning_of_the_former(
    store: Store, warnings: ProvisioningWarnings
) -> None:
    async with store.transaction() as tx:
        newer = await token_rows.add(tx, "acme", make(), ADMINS[0], MONTH_BEFORE - DAY, UNTIL + 300 * DAY)
    await warnings.run_due(MONTH_BEFORE - 1)
    async with store.transaction() as tx:
        await token_rows.note_use(tx, newer, MONTH_BEFORE - 1)
    await warnings.run_due(MONTH_BEFORE)
    assert await mails(store) == []


async def test_a_token_that_the_provider_has_not_changed_to_yet_changes_nothing(
    store: Store, warnings: ProvisioningWarnings
) -> None:
    async with store.transaction() as tx:
        await token_rows.add(tx, "acme", make(), ADMINS[0], MONTH_BEFORE - DAY, UNTIL + 300 * DAY)
    await warnings.run_due(MONTH_BEFORE)
    assert await mails(store) == ADMINS


@pytest.mark.parametrize(("days", "told"), [(59, []), (60, ADMINS)])
async def test_a_token_for_less_than_two_months_gives_no_warning(
    store: Store, warnings: ProvisioningWarnings, days: int, told: list[str]
) -> None:
    async with store.transaction() as tx:
        await tx.execute(update(scim_tokens).values(created_at=UNTIL - days * DAY))
    await warnings.run_due(MONTH_BEFORE)
    assert await mails(store) == told


@pytest.mark.parametrize("why", ["it was never used", "over", "tenant suspended"])
async def test_who_has_nothing_to_do_gets_no_mail(store: Store, warnings: ProvisioningWarnings, why: str) -> None:
    changed = {
        "it was never used": update(scim_tokens).values(used_at=None),
        "tenant suspended": update(tenants).values(status="suspended"),
    }
    if why in changed:
        async with store.transaction() as tx:
            await tx.execute(changed[why])
    await warnings.run_due(UNTIL if why == "over" else MONTH_BEFORE)
    assert await mails(store) == []
