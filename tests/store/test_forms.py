"""Kept forms in the store, on both engines."""

from __future__ import annotations

import pytest

from gateway.crypto.sealing import Sealer
from gateway.dispatch.forms import rows
from gateway.dispatch.forms.record import Form
from gateway.model.secret import Secret
from gateway.store import Store
from tests.store.people import NOW, add_person, person

SEALER = Sealer([Secret(b"s" * 48)])
BROWSER = b"b" * 32
FORM = Form("/timesheets?week=47", "application/x-www-form-urlencoded", "", b"hours=7.5")


async def test_a_form_that_was_given_back_can_be_sent_once_more(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.keep(tx, SEALER, account.id, BROWSER, FORM, NOW)).reveal()
        kept = await rows.find(tx, SEALER, token, account.id, BROWSER, NOW)
        assert kept is not None
        assert not await rows.give_back(tx, SEALER, kept)  # nobody took it
        assert await rows.consume(tx, kept.id, NOW)
        assert await rows.find(tx, SEALER, token, account.id, BROWSER, NOW) is None
        assert await rows.give_back(tx, SEALER, kept)
        assert await rows.find(tx, SEALER, token, account.id, BROWSER, NOW) == kept
        assert await rows.consume(tx, kept.id, NOW)
        assert not await rows.consume(tx, kept.id, NOW)


async def test_a_form_that_gave_way_to_newer_ones_meanwhile_is_not_given_back(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.keep(tx, SEALER, account.id, BROWSER, FORM, NOW)).reveal()
        kept = await rows.find(tx, SEALER, token, account.id, BROWSER, NOW)
        assert kept is not None
        assert await rows.consume(tx, kept.id, NOW)
        for n in range(rows.MAX_KEPT):
            await rows.keep(tx, SEALER, account.id, BROWSER, FORM, NOW + 1 + n)
        assert not await rows.give_back(tx, SEALER, kept)


async def test_a_form_is_found_only_by_its_account_in_its_browser(store: Store) -> None:
    account, other = await add_person(store), await add_person(store, person("bob@acme.example"))
    async with store.transaction() as tx:
        token = (await rows.keep(tx, SEALER, account.id, BROWSER, FORM, NOW)).reveal()
        for who, browser in ((other.id, BROWSER), (account.id, b"c" * 32), (account.id, None)):
            assert await rows.find(tx, SEALER, token, who, browser, NOW) is None


async def test_forms_of_other_sites_are_bounded_for_each_address_and_in_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_FOREIGN", 3)
    monkeypatch.setattr(rows, "MAX_OF_SOURCE", 2)
    async with store.transaction() as tx:

        async def keeps(source: str, now: int = NOW) -> bool:
            return await rows.keep_foreign(tx, SEALER, source, BROWSER, FORM, now) is not None

        assert [await keeps("192.0.2.1") for _ in range(3)] == [True, True, False]
        assert [await keeps(f"192.0.2.{n}") for n in (2, 3)] == [True, False]
        assert await keeps("192.0.2.1", NOW + 601)


async def test_whoever_signs_in_in_a_browser_finds_the_form_that_another_site_sent_there(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        token = await rows.keep_foreign(tx, SEALER, "192.0.2.1", BROWSER, FORM, NOW)
        assert token is not None
        assert await rows.find(tx, SEALER, token.reveal(), account.id, BROWSER, NOW) is not None
        assert await rows.find(tx, SEALER, token.reveal(), account.id, b"c" * 32, NOW) is None
