"""People are warned a week before a token of theirs expires, and administrators of those of service accounts."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select, text, update

from gateway.mail.outbox import outbox, place_of
from gateway.model.account import Account, Role, Status
from gateway.model.clock import DAY
from gateway.store import Store
from gateway.store.schema import accounts, tenants
from gateway.tokens import rows
from gateway.tokens.expiry import TokenWarnings
from gateway.tokens.rows import api_tokens
from tests.store.people import NOW, add_person, person
from tests.support.actions import SEALER, actions_of
from tests.tokens.held import add_token

DAYS = 90
UNTIL = NOW + DAYS * DAY
WEEK_BEFORE = UNTIL - 7 * DAY
MINE, SERVICE = "https://app.example.com/me/tokens", "https://app.example.com/admin/tokens/service"


async def used(store: Store, account: Account | None = None, days: int = DAYS) -> tuple[str, Account]:
    """Return the id of a token that has been used, and its account."""
    token, _, account = await add_token(store, account, days)
    async with store.transaction() as tx:
        await rows.note_use(tx, token, NOW, "192.0.2.1", "rclone")
    return token, account


def warnings_of(store: Store) -> TokenWarnings:
    return TokenWarnings(store, actions_of(store), MINE, SERVICE, {"otto@otium.example"})


async def mails(store: Store) -> list[tuple[str, str]]:
    async with store.reading() as tx:
        found = await tx.execute(select(outbox.c.template, outbox.c.recipient).order_by(outbox.c.recipient))
        return [(row.template, row.recipient) for row in found]


async def content(store: Store) -> str:
    """Return the text of the one mail."""
    async with store.reading() as tx:
        mail = (await tx.execute(select(outbox))).one()
    message = message_from_bytes(SEALER.open(mail.content, place_of(mail.id)), policy=policy.default)
    return str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]


async def change(store: Store, statement: object) -> None:
    async with store.transaction() as tx:
        await tx.execute(statement)  # type: ignore[call-overload]


async def test_a_person_is_warned_once_and_not_before_the_last_week(store: Store) -> None:
    _, account = await used(store)
    warnings = warnings_of(store)
    await warnings.run_due(WEEK_BEFORE - 1)
    assert await mails(store) == []
    for now in (WEEK_BEFORE, WEEK_BEFORE + DAY, UNTIL - 1):
        await warnings.run_due(now)
        assert await mails(store) == [("token_expires", account.identifier)]


async def test_workers_that_look_at_once_send_one_mail(store: Store) -> None:
    _, account = await used(store)
    await asyncio.gather(*(warnings_of(store).run_due(WEEK_BEFORE) for _ in range(4)))
    assert await mails(store) == [("token_expires", account.identifier)]


async def test_administrators_are_warned_of_a_service_accounts_token(store: Store) -> None:
    await add_person(store, person("adam@acme.example", role=Role.ADMIN))
    service = await add_person(store, person("export@acme.example", role=Role.EMPLOYEE))
    await change(store, update(accounts).where(accounts.c.id == service.id).values(is_service=True, password_hash=None))
    await used(store, service)
    await warnings_of(store).run_due(WEEK_BEFORE)
    assert await mails(store) == [("service_token_expires", "adam@acme.example")]
    assert f"{SERVICE}?account={service.id}\n" in await content(store)


async def test_a_mail_leads_to_the_persons_tokens(store: Store) -> None:
    await used(store)
    await warnings_of(store).run_due(WEEK_BEFORE)
    assert f"\n{MINE}\n" in await content(store)


@pytest.mark.parametrize(("days", "count"), [(13, 0), (14, 1)])
async def test_a_token_for_less_than_two_weeks_gives_no_warning(store: Store, days: int, count: int) -> None:
    await used(store, days=days)
    await warnings_of(store).run_due(NOW + 12 * DAY)
    assert len(await mails(store)) == count


async def test_owners_are_not_warned_as_they_can_have_no_tokens(store: Store) -> None:
    warnings = warnings_of(store)
    await used(store, await add_person(store, person("otto@otium.example", role=Role.ADMIN)))
    _, account = await used(store, await add_person(store, person("erin@acme.example", role=Role.EMPLOYEE)))
    warnings.adopt({"otto@otium.example", account.identifier})
    await warnings.run_due(WEEK_BEFORE)
    assert await mails(store) == []


@pytest.mark.parametrize("why", ["it was never used", "revoked", "over", "account disabled", "tenant suspended"])
async def test_who_has_nothing_to_do_gets_no_mail(store: Store, why: str) -> None:
    token, _ = await used(store)
    match why:
        case "it was never used":
            await change(store, update(api_tokens).values(used_at=None))
        case "revoked":
            await change(store, update(api_tokens).where(api_tokens.c.id == token).values(revoked_at=NOW))
        case "account disabled":
            await change(store, update(accounts).values(status=Status.DISABLED.value))
        case "tenant suspended":
            await change(store, update(tenants).values(status="suspended"))
    await warnings_of(store).run_due(UNTIL if why == "over" else WEEK_BEFORE)
    assert await mails(store) == []


async def test_a_warning_does_not_raise_the_revision(store: Store) -> None:
    await used(store)

    async def revision() -> object:
        async with store.reading() as tx:
            return (await tx.execute(text("SELECT number, stamp FROM revision"))).one()

    before = await revision()
    await warnings_of(store).run_due(WEEK_BEFORE)
    assert await mails(store)
    assert await revision() == before
