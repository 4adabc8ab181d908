"""What an account has set up stands in its row, also where a program of before this column writes beside this one."""

from __future__ import annotations

import asyncio

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.accounts import rows
from gateway.factors import enrolment
from gateway.model.factor import NOTHING_ENROLLED, Enrolled, Factor
from gateway.model.factor_policy import FactorPolicy
from gateway.sessions.live import open_lookup
from gateway.store import Store, StoreUnavailable
from gateway.store.migrate import migrate, settings
from tests.store.people import LIFETIMES, add_person, add_session, look, person, worker
from tests.support import any_schema

BEFORE = "0011"
RETINA = Factor("retina")  # a factor that no policy names

# As versions to 0011 write: they know nothing of the column.
OLD_ENROL = """
    INSERT INTO totp (account, secret, demanded_at, confirmed_at, used_at, last_step, drift)
    VALUES (:account, :secret, NULL, 1, 1, 1, 0)
    ON CONFLICT (account) DO UPDATE SET secret = :secret, demanded_at = NULL, confirmed_at = 1
"""
OLD_DEMAND = """
    INSERT INTO totp (account, secret, demanded_at, confirmed_at, used_at, last_step, drift)
    VALUES (:account, NULL, 1, NULL, NULL, 0, 0)
    ON CONFLICT (account) DO UPDATE SET secret = NULL, demanded_at = 1, confirmed_at = NULL
"""
OLD_FORGET = "DELETE FROM totp WHERE account = :account"
OLD_USE = "UPDATE totp SET last_step = 9, used_at = 9, drift = 1 WHERE account = :account"


async def write_as_before(tx: AsyncConnection, account: str, statement: str) -> None:
    given = {"account": account, "secret": b"sealed"}
    await tx.execute(text(statement), {name: value for name, value in given.items() if f":{name}" in statement})


async def enrolled_of(store: Store, account: str) -> Enrolled:
    async with store.reading() as tx:
        return await enrolment.find(tx, account)


@pytest.mark.parametrize(
    ("statements", "missing"),
    [
        ((OLD_ENROL,), Factor.TOTP),
        ((OLD_ENROL, OLD_USE), Factor.TOTP),
        ((OLD_DEMAND,), Factor.TOTP),
        ((OLD_DEMAND, OLD_ENROL), Factor.TOTP),
        ((OLD_ENROL, OLD_DEMAND), Factor.TOTP),
        ((OLD_ENROL, OLD_FORGET), None),
        ((OLD_DEMAND, OLD_FORGET), None),
        ((OLD_ENROL, OLD_FORGET, OLD_ENROL), Factor.TOTP),
    ],
)
async def test_what_an_older_program_does_to_totp_holds_for_the_next_request_here(
    store: Store, store_url: str, statements: tuple[str, ...], missing: Factor | None
) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    async with worker(store_url) as lookup:
        for statement in statements:
            async with store.transaction() as tx:
                await write_as_before(tx, account.id, statement)
        session = await look(lookup, key)
    assert session is not None
    assert session.missing == missing


async def test_what_an_older_program_does_leaves_other_factors_as_they_are(store: Store) -> None:
    account, other = await add_person(store), (await add_person(store, person("bob@example.com"))).id
    async with store.transaction() as tx:
        await enrolment.add(tx, account.id, RETINA)
        await enrolment.demand(tx, other, RETINA)
    for statement, found in (
        (OLD_ENROL, NOTHING_ENROLLED.having(Factor.TOTP)),
        (OLD_DEMAND, NOTHING_ENROLLED.demanding(Factor.TOTP)),
        (OLD_FORGET, NOTHING_ENROLLED),
    ):
        async with store.transaction() as tx:
            await write_as_before(tx, account.id, statement)
            await write_as_before(tx, other, statement)
        assert await enrolled_of(store, account.id) == found.having(RETINA)
        assert await enrolled_of(store, other) == found.demanding(RETINA)


async def test_setting_up_demanding_and_taking_away_are_read_with_the_session(store: Store, store_url: str) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    found = []
    async with worker(store_url) as lookup:
        for change in (enrolment.add, enrolment.demand, enrolment.remove):
            async with store.transaction() as tx:
                await change(tx, account.id, RETINA)
            session = await look(lookup, key)
            assert session is not None
            found.append((session.enrolled.text, session.missing))
    assert found == [("retina", RETINA), ("!retina", RETINA), ("", None)]


async def test_a_session_that_lacks_a_factor_without_a_page_is_not_found_but_refused(
    store: Store, store_url: str
) -> None:
    account = await add_person(store)
    _, key = await add_session(store, account)
    lookup = open_lookup(store_url, FactorPolicy(), LIFETIMES, {Factor.PASSWORD, Factor.TOTP}.__contains__)
    await lookup.start()
    assert await look(lookup, key) is not None
    async with store.transaction() as tx:
        await enrolment.add(tx, account.id, RETINA)
    with pytest.raises(StoreUnavailable, match="has to prove retina"):
        await look(lookup, key)
    await lookup.close()


async def test_of_two_that_set_up_another_factor_at_once_neither_is_lost(store_url: str) -> None:
    stores = [Store.open(store_url) for _ in range(2)]
    account = await add_person(stores[0])

    async def add(store: Store, name: str) -> None:
        async with store.transaction() as tx:
            await enrolment.add(tx, account.id, Factor(name))

    names = [f"factor_{letter}" for letter in "abcdef"]
    await asyncio.gather(*(add(stores[at % 2], name) for at, name in enumerate(names)))
    found = await enrolled_of(stores[0], account.id)
    for store in stores:
        await store.close()
    assert found == Enrolled(frozenset(map(Factor, names)))


def test_what_was_set_up_before_is_taken_over(empty_url: str) -> None:
    async def prepare() -> None:
        async with any_schema.writing(empty_url) as connection:
            await connection.run_sync(fill)
            for account, statement in (("acc_1", OLD_ENROL), ("acc_2", OLD_DEMAND)):
                await write_as_before(connection, account, statement)

    async def found() -> dict[str, str]:
        store = Store.open(empty_url)
        async with store.reading() as tx:
            accounts = {account.id: account.enrolled.text for account in await rows.list_all(tx)}
        await store.close()
        return accounts

    asyncio.run(prepare())
    assert migrate(empty_url)
    assert asyncio.run(found()) == {"acc_0": "", "acc_1": "totp", "acc_2": "!totp"}


def fill(connection: Connection) -> None:
    """Make the store as the version before left it."""
    config = settings()
    config.attributes["connection"] = connection
    command.upgrade(config, BEFORE)
    connection.execute(text("INSERT INTO tenants (slug, name, status) VALUES ('acme', 'Acme', 'active')"))
    for number in range(3):
        connection.execute(
            text(
                "INSERT INTO accounts (id, identifier, name, tenant, role, modules, status, created_at)"
                " VALUES (:id, :identifier, 'A', 'acme', 'employee', '', 'active', 1)"
            ),
            {"id": f"acc_{number}", "identifier": f"p{number}@acme.example"},
        )
