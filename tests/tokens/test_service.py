"""Making tokens, on both engines: never for a session that has ended while its form waited for its turn to write."""

from __future__ import annotations

from collections.abc import Iterable
from secrets import token_bytes

import pytest
from sqlalchemy import text

from gateway.model.account import Account, Role, Status
from gateway.model.api_token import Grant, Kind
from gateway.model.clock import DAY
from gateway.model.session import Session
from gateway.model.token import new_id
from gateway.store import Store
from gateway.tokens import rows
from gateway.tokens.rows import MAX_LISTED, TokenRow
from gateway.tokens.service import MAX_A_DAY, APITokens, Created, NotCreated, Wanted
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
async def test_an_administrator_whose_right_ended_meanwhile_changes_no_service_account(
    store: Store, adam: Session, statement: str
) -> None:
    services = ServiceAccounts(store, actions_of(store))
    account = await services.create(adam, "Payroll", Role.EMPLOYEE, frozenset(), inbound_of(), NOW)
    assert isinstance(account, Account)
    assert isinstance(await services.create_token(adam, account.id, WANTED, inbound_of(), NOW), Created)
    await run(store, statement)
    assert await services.create_token(adam, account.id, WANTED, inbound_of(), NOW) is None
    assert not await services.set_status(adam, account.id, Status.DISABLED, inbound_of(), NOW)
    assert not await services.remove(adam, account.id, inbound_of(), NOW)
    assert await services.create(adam, "More", Role.EMPLOYEE, frozenset(), inbound_of(), NOW) is NotCreated.ROLE
    assert await count(store) == 1


async def add_ended(store: Store, adam: Session, times: Iterable[int]) -> None:
    async with store.transaction() as tx:
        for at in times:
            grant = Grant(new_id("tok"), at + 9 * DAY)
            row = TokenRow(grant.token, adam.account, Kind.PERSONAL, "Sync", Role.ADMIN, grant, at, None, None, "", "")
            await rows.add(tx, row, token_bytes())
            assert await rows.revoke(tx, row.id, at)


async def test_an_account_gets_a_bounded_number_of_tokens_a_day(store: Store, adam: Session) -> None:
    tokens = APITokens(store, actions_of(store))
    await add_ended(store, adam, range(NOW, NOW + MAX_A_DAY))
    assert await tokens.create(adam, WANTED, inbound_of(), NOW + DAY - 1) is NotCreated.TOO_MANY_TODAY
    assert isinstance(await tokens.create(adam, WANTED, inbound_of(), NOW + DAY), Created)


async def test_no_number_of_ended_tokens_hides_one_that_works(store: Store, adam: Session) -> None:
    tokens = APITokens(store, actions_of(store))
    made = await tokens.create(adam, WANTED, inbound_of(), NOW - 1)
    assert isinstance(made, Created)
    await add_ended(store, adam, range(NOW, NOW + MAX_LISTED))
    listed = await tokens.list_own(adam, NOW + DAY)
    assert len(listed) == MAX_LISTED
    assert listed[-1].id == made.row.id
