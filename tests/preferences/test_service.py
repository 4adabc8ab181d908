"""Choices are read by the next page and mail, on both engines, and never reach another tenant."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlalchemy import select, update

from gateway.accounts import rows as account_rows
from gateway.languages.reader import Readers
from gateway.mail.outbox import Outbox, place_of
from gateway.mail.samples import SAMPLES
from gateway.model.account import Account, Role
from gateway.model.session import NO_PREFERENCES, Preferences
from gateway.model.token import new_id
from gateway.preferences import rows
from gateway.preferences.service import PreferenceService
from gateway.store import Store
from gateway.store.schema import accounts, audit, sessions
from tests.login.people import inbound_of
from tests.mail.conftest import make_composer
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import SEALER, actions_of


def service_of(store: Store) -> PreferenceService:
    return PreferenceService(store, actions_of(store))


async def test_a_choice_is_known_to_every_worker_from_the_next_request_on(store: Store, store_url: str) -> None:
    account = await add_person(store)
    other = await add_person(store, person("bob@example.com"))
    _, key = await add_session(store, account)
    _, others = await add_session(store, other)
    async with worker(store_url) as lookup, worker(store_url) as second:
        before = [await look(each, key) for each in (lookup, second)]
        assert [found and found.preferences for found in before] == [NO_PREFERENCES] * 2
        assert before[0] is not None
        await service_of(store).change_own(before[0], "pl", "Asia/Tokyo", inbound_of(), NOW)
        after = [await look(each, key) for each in (lookup, second)]
        assert [found and found.preferences for found in after] == [Preferences("pl", "Asia/Tokyo", "")] * 2
        await service_of(store).change_own(before[0], "", "", inbound_of(), NOW)
        untouched = [await look(lookup, key), await look(lookup, others)]
        assert [found and found.preferences for found in untouched] == [NO_PREFERENCES] * 2


@pytest.mark.parametrize(("language", "zone"), [("xx", "Mars/Base"), ("en-XA", "../x"), ("de' --", "\x00")])
async def test_what_is_not_on_offer_stands_for_the_browsers(
    store: Store, store_url: str, language: str, zone: str
) -> None:
    _, key = await add_session(store, await add_person(store))
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
        assert found is not None
        await service_of(store).change_own(found, language, zone, inbound_of(), NOW)
        again = await look(lookup, key)
        assert again is not None
        assert again.preferences == NO_PREFERENCES


async def test_an_ended_session_changes_nothing(store: Store, store_url: str) -> None:
    account = await add_person(store)
    session, key = await add_session(store, account)
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
    assert found is not None
    async with store.transaction() as tx:
        await tx.execute(update(sessions).where(sessions.c.id == session).values(ended_at=NOW))
    await service_of(store).change_own(found, "pl", "Asia/Tokyo", inbound_of(), NOW)
    assert await told_of(store, account) == ("", "", "", "")


async def test_a_tenants_language_is_set_by_its_administrator_for_its_people_alone(
    store: Store, store_url: str
) -> None:
    adam = await add_person(store, person(role=Role.ADMIN))
    eve = await add_person(store, person("eve@beta.example", tenant="beta"))
    _, key = await add_session(store, adam)
    _, others = await add_session(store, eve)
    async with worker(store_url) as lookup:
        found, beta = await look(lookup, key), await look(lookup, others)
        assert found is not None
        assert beta is not None
        await service_of(store).change_tenant(found, "de", inbound_of(), NOW)
        await service_of(store).change_tenant(beta, "fr", inbound_of(), NOW)  # no administrator
        seen = [await look(lookup, key), await look(lookup, others)]
    assert [each and each.preferences.tenant_language for each in seen] == ["de", ""]
    async with store.reading() as tx:
        assert await rows.find_of_tenant(tx, "beta") == ""
        events = await tx.execute(select(audit.c.event, audit.c.tenant, audit.c.account))
        assert events.all() == [("tenant_language_changed", "acme", adam.id)]


async def told_of(store: Store, account: Account) -> tuple[str, str, str, str]:
    known = accounts.c.language, accounts.c.zone, accounts.c.last_language, accounts.c.last_zone
    async with store.reading() as tx:
        return tuple((await tx.execute(select(*known).where(accounts.c.id == account.id))).one())


async def test_the_last_browser_that_says_something_is_noted(store: Store) -> None:
    account = await add_person(store)
    for language, zone in (("de", "Europe/Berlin"), ("", ""), ("", "Mars/Base"), ("pl", "")):
        async with store.transaction() as tx:
            await account_rows.note_reader(tx, account.id, language, zone)
    assert await told_of(store, account) == ("", "", "pl", "Europe/Berlin")


async def test_a_device_that_is_not_known_replaces_nothing(store: Store) -> None:
    account = await add_person(store)
    for language, zone in (("", ""), ("de", "Europe/Berlin"), ("pl", "Europe/Warsaw"), ("pl", "")):
        async with store.transaction() as tx:
            await account_rows.note_reader(tx, account.id, language, zone, is_known=False)
    assert await told_of(store, account) == ("", "", "de", "Europe/Berlin")


async def mail_to(store: Store, account: str | None, recipient: str) -> EmailMessage:
    mail_id = new_id("mail")
    outbox = Outbox(make_composer(), SEALER, Readers("fr", "Europe/Paris"))
    async with store.transaction() as tx:
        values = {"account": account or "", "now": NOW, "lease": 60, **SAMPLES["new_device"]}
        mail = await outbox.post_claimed(tx, mail_id, "new_device", recipient, **values)  # type: ignore[arg-type]
    content = SEALER.open(mail.content, place_of(mail_id))
    return message_from_bytes(content, policy=policy.default)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("stored", "of_tenant", "language", "time"),
    [
        ({}, "", "fr", "14 mars 2026, 10:26 CET"),
        ({}, "es", "es", "14 de marzo de 2026, 10:26 CET"),
        ({"last_language": "de", "last_zone": "UTC"}, "es", "de", "14. März 2026, 09:26 UTC"),
        ({"last_language": "de", "language": "en", "zone": "Asia/Tokyo"}, "", "en", "14 March 2026, 18:26 JST"),
        ({"last_zone": "Europe/Atlantis", "zone": "x"}, "", "fr", "14 mars 2026, 10:26 CET"),
    ],
)
async def test_a_mail_is_in_the_language_and_zone_of_its_account(
    store: Store, stored: dict[str, str], of_tenant: str, language: str, time: str
) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        await rows.set_of_tenant(tx, account.tenant, of_tenant)
        values = {"identifier": account.identifier, **stored}
        await tx.execute(update(accounts).where(accounts.c.id == account.id).values(values))
    by_id = await mail_to(store, account.id, "new-address@example.com")
    assert by_id["Content-Language"] == language
    assert time in str(by_id.get_body(("plain",)).get_content())  # type: ignore[union-attr]


async def test_an_owner_is_found_by_the_address_and_a_stranger_gets_the_settings_language(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        await account_rows.note_reader(tx, account.id, "pl", "")
    assert (await mail_to(store, None, "Ann@Example.com"))["Content-Language"] == "pl"
    assert (await mail_to(store, None, "nobody@example.com"))["Content-Language"] == "fr"
