"""Changing a tenant's provider, on both engines: not by an administrator whose right ended while the form waited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.model.account import Role
from gateway.model.secret import Secret
from gateway.sso import rows
from gateway.sso.admin import ProviderResult, ProviderService
from gateway.sso.oidc.record import Kind, Provider
from gateway.sso.rows import Registered
from gateway.store import Store
from tests.login.people import inbound_of
from tests.sso.test_origins import SEALER
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import actions_of

OURS = Provider("idp_1", "acme", "https://id.example", "c", Secret("s"), Kind.GENERIC, ("openid",), True)


@pytest.mark.parametrize("statement", ["UPDATE sessions SET ended_at = 1", "UPDATE accounts SET role = 'manager'"])
async def test_an_administrator_whose_right_ended_meanwhile_changes_no_provider(
    store: Store, store_url: str, statement: str
) -> None:
    _, key = await add_session(store, await add_person(store, person(role=Role.ADMIN)))
    async with worker(store_url) as lookup:
        admin = await look(lookup, key)
    assert admin is not None
    service = ProviderService(store, actions_of(store), SEALER)
    assert await service.save(admin, Registered(OURS), inbound_of(), NOW) is ProviderResult.DONE
    async with store.transaction() as tx:
        await tx.execute(text(statement))
    theirs = Registered(replace(OURS, issuer="https://mallory.example"))
    assert await service.save(admin, theirs, inbound_of(), NOW) is ProviderResult.NOT_THERE
    assert await service.switch(admin, False, inbound_of(), NOW) is ProviderResult.NOT_THERE
    assert await service.remove(admin, inbound_of(), NOW) is ProviderResult.NOT_THERE
    async with store.reading() as tx:
        found = await rows.find_of_tenant(tx, SEALER, "acme")
    assert found is not None
    assert found.provider.issuer == OURS.issuer
