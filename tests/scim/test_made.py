"""Making a token of provisioning, on both engines: not by an administrator whose right ended while the form waited."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gateway.model.account import Role
from gateway.model.secret import Secret
from gateway.scim.tokens import TokenProblem, TokenService
from gateway.store import Store
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import actions_of


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET ended_at = 1",
        "UPDATE accounts SET status = 'disabled'",
        "UPDATE accounts SET role = 'manager'",
    ],
)
async def test_an_administrator_whose_right_ended_meanwhile_makes_no_token(
    store: Store, store_url: str, statement: str
) -> None:
    _, key = await add_session(store, await add_person(store, person(role=Role.ADMIN)))
    async with worker(store_url) as lookup:
        admin = await look(lookup, key)
    assert admin is not None
    service = TokenService(store, actions_of(store))
    assert isinstance(await service.make(admin, 9, inbound_of(), NOW), Secret)
    async with store.transaction() as tx:
        await tx.execute(text(statement))
    assert await service.make(admin, 9, inbound_of(), NOW) is TokenProblem.NOT_THERE
    assert len((await service.look("acme", NOW)).tokens) == 1
