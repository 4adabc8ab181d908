"""An account may have set up a factor that only a newer version knows, on another machine during an upgrade."""

from __future__ import annotations

import asyncio

from sqlalchemy import update

from gateway.store import Store
from gateway.store.schema import accounts
from tests.support.gateway import Gateway
from tests.support.person import Person


def give_factor(own: Gateway, email: str, enrolled: str) -> None:
    async def write() -> None:
        store = Store.open(own.store_url)
        async with store.transaction() as tx:
            await tx.execute(update(accounts).where(accounts.c.identifier == email).values(enrolled=enrolled))
        await store.close()

    asyncio.run(write())


def test_who_has_a_factor_of_a_newer_version_gets_past_neither_gate_nor_sign_in(own: Gateway) -> None:
    person, other = Person(own), Person(own, "manager", source="127.0.0.4")
    person.sign_in()
    other.sign_in()
    give_factor(own, person.email, "hologram")
    assert person.open("/probe", follow=False).status == 503
    new = Person(own, source="127.0.0.3")
    assert new.give_password().status == 503
    assert not new.is_signed_in
    assert other.is_signed_in  # nobody else notices
    give_factor(own, person.email, "")
    assert person.is_signed_in
