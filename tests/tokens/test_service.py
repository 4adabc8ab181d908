"""Making tokens, on both engines: never for a session that has ended while its form waited for its turn to write."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gateway.model.account import Account, Role
from gateway.model.session import Session
from gateway.store import Store
from gateway.tokens.service import APITokens, Created, NotCreated, Wanted
from gateway.tokens.service_accounts import ServiceAccounts
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import actions_of

WANTED = Wanted("Night job", 9, Role.EMPLOYEE)
ENDS = {
    "its session": "UPDATE sessions SET ended_at = 1",
    "its account": "UPDATE accounts SET status = 'disabled' WHERE NOT is_service",
}


@pytest.fixture
async def adam(store: Store, store_url: str) -> Session:
    _, key = await add_session(store, await add_person(store, person(role=Role.ADMIN)))
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
    assert found is not None
    return found


async def run(store: Store, statement: str) -> None:
    async with store.transaction() as tx:
        await tx.execute(text(statement))


async def count(store: Store) -> int:
    async with store.reading() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM api_tokens"))).scalar_one())


@pytest.mark.parametrize("what", ENDS)
async def test_what_has_ended_meanwhile_makes_no_token(store: Store, adam: Session, what: str) -> None:
    await run(store, ENDS[what])
    tokens = APITokens(store, actions_of(store))
    assert await tokens.create(adam, WANTED, inbound_of(), NOW) is None
    assert await count(store) == 0


async def test_a_person_who_was_demoted_meanwhile_makes_none_above_their_role(store: Store, adam: Session) -> None:
    await run(store, "UPDATE accounts SET role = 'employee'")
    tokens = APITokens(store, actions_of(store))
    outcome = await tokens.create(adam, Wanted("Night job", 9, Role.ADMIN), inbound_of(), NOW)
    assert outcome is NotCreated.ROLE
    assert await count(store) == 0


@pytest.mark.parametrize("statement", [*ENDS.values(), "UPDATE accounts SET role = 'employee' WHERE NOT is_service"])
async def test_an_administrator_whose_right_ended_meanwhile_makes_no_service_account_and_no_token_of_one(
    store: Store, adam: Session, statement: str
) -> None:
    services = ServiceAccounts(store, actions_of(store))
    account = await services.create(adam, "Payroll", Role.EMPLOYEE, frozenset(), inbound_of(), NOW)
    assert isinstance(account, Account)
    assert isinstance(await services.create_token(adam, account.id, WANTED, inbound_of(), NOW), Created)
    await run(store, statement)
    assert await services.create_token(adam, account.id, WANTED, inbound_of(), NOW) is NotCreated.ROLE
    assert await services.create(adam, "More", Role.EMPLOYEE, frozenset(), inbound_of(), NOW) is NotCreated.ROLE
    assert await count(store) == 1
