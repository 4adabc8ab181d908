"""Kept forms in the store, on both engines."""

from __future__ import annotations

from gateway.forms import rows
from gateway.forms.record import Form
from gateway.sealing import Sealer
from gateway.secret import Secret
from gateway.store import Store
from tests.store.people import NOW, add_person

SEALER = Sealer([Secret(b"s" * 48)])
FORM = Form("/timesheets?week=47", "application/x-www-form-urlencoded", "", b"hours=7.5")


async def test_a_form_that_was_given_back_can_be_sent_once_more(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.keep(tx, SEALER, account.id, FORM, NOW)).reveal()
        kept = await rows.find(tx, SEALER, token, account.id, NOW)
        assert kept is not None
        assert not await rows.give_back(tx, SEALER, kept)  # nobody took it
        assert await rows.consume(tx, kept.id, NOW)
        assert await rows.find(tx, SEALER, token, account.id, NOW) is None
        assert await rows.give_back(tx, SEALER, kept)
        assert await rows.find(tx, SEALER, token, account.id, NOW) == kept
        assert await rows.consume(tx, kept.id, NOW)
        assert not await rows.consume(tx, kept.id, NOW)


async def test_a_form_that_gave_way_to_newer_ones_meanwhile_is_not_given_back(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.keep(tx, SEALER, account.id, FORM, NOW)).reveal()
        kept = await rows.find(tx, SEALER, token, account.id, NOW)
        assert kept is not None
        assert await rows.consume(tx, kept.id, NOW)
        for n in range(rows.MAX_KEPT):
            await rows.keep(tx, SEALER, account.id, FORM, NOW + 1 + n)
        assert not await rows.give_back(tx, SEALER, kept)
