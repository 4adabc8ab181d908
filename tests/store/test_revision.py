"""Every change to a right that a worker may have in memory raises the revision and says whose it is; nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gateway.accounts import rows as account_rows
from gateway.model.account import Account, Role, Status
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import digest
from gateway.sessions import rows as session_rows
from gateway.sessions.seen import touch
from gateway.store import Store, Transaction
from gateway.store.nodes import list_states
from gateway.store.revision import MAX_CHANGES, Applied, changes, changes_after, revision
from tests.store.people import NOW, add_person, add_session, look, person, sign_in, worker
from tests.support.gateway import PASSWORD, PEOPLE, Gateway, cookie_of

FIRST = 1  # what a new store begins with, which is about nobody
Change = Callable[[Transaction, Account, str, bytes], Awaitable[object]]


async def read(store: Store) -> tuple[int, list[tuple[str, str]]]:
    """Return how many revisions there were, and the account and tenant of each change."""
    async with store.reading() as tx:
        number, stamp = (await tx.execute(select(revision.c.number, revision.c.stamp))).one()
        found = (await tx.execute(select(changes).order_by(changes.c.number, changes.c.id))).all()
    assert [row.number for row in found] == sorted(row.number for row in found)
    assert (found[0].number, found[0].account, found[0].tenant) == (FIRST, "", "")
    assert (found[-1].number, found[-1].stamp) == (number, stamp)
    assert len({row.stamp for row in found}) == number
    return number - FIRST, [(row.account, row.tenant) for row in found[1:]]


def typed(statement: str) -> Change:
    async def run(tx: Transaction, account: Account, session: str, key: bytes) -> None:
        await tx.execute(text(statement).bindparams(**({"account": account.id} if ":account" in statement else {})))

    return run


TAKEN_AWAY: dict[str, Change] = {
    "a session is ended": lambda tx, account, session, key: session_rows.end(tx, session, NOW),
    "its browser signs in again": lambda tx, account, session, key: session_rows.end_key(tx, key, NOW),
    "a session gets another cookie": lambda tx, account, session, key: session_rows.renew(tx, session, key, ()),
    "all sessions are ended": lambda tx, account, session, key: session_rows.end_all(tx, account.id, NOW),
    "a role is changed": lambda tx, account, session, key: account_rows.set_role(tx, account.id, Role.EMPLOYEE, frozenset()),
    "an account is disabled": lambda tx, account, session, key: account_rows.set_status(tx, account.id, Status.DISABLED),
    "an email is changed": typed("UPDATE accounts SET identifier = 'other@example.com' WHERE id = :account"),
    "a name is changed": typed("UPDATE accounts SET name = 'Other' WHERE id = :account"),
    "a factor is set up": typed("UPDATE accounts SET enrolled = 'totp' WHERE id = :account"),
    "a session is made older": typed("UPDATE sessions SET seen_at = seen_at - 1 WHERE account = :account"),
    "a session is deleted": typed("DELETE FROM sessions WHERE account = :account"),
    "a session has another id": typed("UPDATE sessions SET id = 'ses_other' WHERE account = :account"),
}  # fmt: skip
KEPT: dict[str, Change] = {
    "another account is added": lambda tx, account, session, key: account_rows.add(tx, person("new@example.com")),
    "another signs in": lambda tx, account, session, key: sign_in(tx, account),
    "a session was used": lambda tx, account, session, key: touch(tx, {key: NOW + 60}),
    "a password hash is made anew": lambda tx, account, session, key: account_rows.set_password_hash(
        tx, account.id, Secret("pbkdf2:sha256:1$a$c")
    ),
    "a role stays as it was": lambda tx, account, session, key: account_rows.set_role(
        tx, account.id, account.role, account.modules
    ),
}


@pytest.mark.parametrize("change", TAKEN_AWAY.values(), ids=TAKEN_AWAY.keys())
async def test_the_revision_is_raised_for_the_account_when(store: Store, change: Change) -> None:
    account = await add_person(store)
    session, key = await add_session(store, account)
    before, _ = await read(store)
    async with store.transaction() as tx:
        await change(tx, account, session, key)
    after, found = await read(store)
    assert after == before + 1
    assert found == [(account.id, "")]


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT.keys())
async def test_the_revision_stays_when(store: Store, change: Change) -> None:
    account = await add_person(store)
    session, key = await add_session(store, account)
    before = await read(store)
    async with store.transaction() as tx:
        await change(tx, account, session, key)
    assert await read(store) == before


async def test_a_suspended_tenant_is_one_change(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        await account_rows.set_tenant_status(tx, account.tenant, is_active=False)
    assert await read(store) == (1, [("", account.tenant)])


async def test_what_was_not_committed_raises_nothing(store: Store) -> None:
    session, _ = await add_session(store, await add_person(store))
    with pytest.raises(ZeroDivisionError):
        async with store.transaction() as tx:
            await session_rows.end(tx, session, NOW)
            raise ZeroDivisionError
    assert await read(store) == (0, [])


async def test_numbers_are_committed_in_their_order(postgres_url: str) -> None:
    """The one that began first commits last: its number is the higher one, and it is not missed by who has read the other."""
    one, two = Store.open(postgres_url), Store.open(postgres_url)
    ann, bob = await add_person(one), await add_person(one, person("bob@example.com"))
    of_ann, of_bob = (await add_session(one, ann))[0], (await add_session(one, bob))[0]
    async with one.transaction() as first:
        await session_rows.end(first, of_ann, NOW)
        async with two.transaction() as second:
            await session_rows.end(second, of_bob, NOW)
        assert await read(two) == (1, [(bob.id, "")])
    number, found = await read(two)
    assert (number, set(found)) == (2, {(ann.id, ""), (bob.id, "")})
    await one.close()
    await two.close()


async def test_a_transaction_has_one_revision_however_much_it_takes_away(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    people = [await add_person(store, person(f"{number}@example.com")) for number in range(3)]
    async with store.transaction() as tx:
        for account in people:
            await account_rows.set_status(tx, account.id, Status.DISABLED)
            await account_rows.set_role(tx, account.id, Role.ADMIN, frozenset())
    number, found = await read(store)
    assert number == 1
    assert sorted(found) == sorted((account.id, "") for account in people)
    await store.close()


REPLACED = {
    "sessions": "REPLACE INTO sessions SELECT * FROM sessions",
    "accounts": "REPLACE INTO accounts SELECT * FROM accounts",
    "tenants": "REPLACE INTO tenants SELECT * FROM tenants",
}


@pytest.mark.parametrize("table", REPLACED)
async def test_replaced_rows_raise_the_revision(sqlite_url: str, table: str) -> None:
    store = Store.open(sqlite_url)
    account = await add_person(store)
    await add_session(store, account)
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:  # without foreign keys
        other.execute(REPLACED[table])
        other.commit()
    number, found = await read(store)
    assert number == len(found) >= 1
    assert set(found) <= {(account.id, ""), ("", account.tenant), ("", "default")}
    await store.close()


async def test_an_emptied_table_is_about_everybody(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    await add_session(store, await add_person(store))
    async with store.transaction() as tx:
        await tx.execute(text("TRUNCATE sessions"))
    assert await read(store) == (1, [("", "")])
    await store.close()


@pytest.fixture
def url(store_url: str) -> str:
    return store_url


@pytest.mark.usefixtures("long_leases")
async def test_a_worker_forgets_whose_right_has_changed_and_nobody_else(url: str) -> None:
    store = Store.open(url)
    people = [await add_person(store, person(f"{name}@example.com")) for name in ("ann", "bob")]
    sessions = [await add_session(store, account) for account in people]
    async with worker(url) as lookup:
        ann, bob = [await look(lookup, key) for _, key in sessions]
        await add_session(store, people[0])  # a sign-in takes nothing away
        assert await look(lookup, sessions[0][1]) is ann
        async with store.transaction() as tx:
            await session_rows.end(tx, sessions[0][0], NOW)
        assert await look(lookup, sessions[0][1]) is None
        assert await look(lookup, sessions[1][1]) is bob  # the very same object: it was remembered
        async with store.transaction() as tx:
            await account_rows.set_tenant_status(tx, people[1].tenant, is_active=False)
        assert await look(lookup, sessions[1][1]) is None
    await store.close()


@pytest.mark.usefixtures("long_leases")
async def test_a_sign_in_makes_a_worker_forget_the_session_that_it_replaces_and_no_other(
    url: str, tmp_path: Path
) -> None:
    gateway = await asyncio.to_thread(lambda: Gateway(tmp_path, "127.0.0.1:1", store_url=url).seed().start())

    async def sign_in_as(who: str, *lines: str) -> str:
        form = {"email": PEOPLE[who][0], "password": PASSWORD}
        return "Cookie: " + cookie_of(await asyncio.to_thread(gateway.post, "/login", form, *lines))

    async with worker(url) as lookup:

        async def find(cookie: str) -> Session | None:
            token_key = digest(cookie.partition("=")[2].encode())
            assert token_key is not None
            return await look(lookup, token_key, int(time.time()))

        cookies = [await sign_in_as(who) for who in ("employee", "employee", "manager")]
        before = [await find(cookie) for cookie in cookies]
        assert None not in before
        await sign_in_as("other")
        assert all([await find(cookie) is session for cookie, session in zip(cookies, before, strict=True)])
        again = await sign_in_as("employee", cookies[0])
        assert await find(cookies[0]) is None
        assert await find(again) is not None
        assert await find(cookies[2]) is before[2]  # the very same object: it was remembered
    await asyncio.to_thread(gateway.stop)


async def test_a_worker_that_can_not_tell_what_has_changed_forgets_everything(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    account = await add_person(store)
    _, key = await add_session(store, account)
    async with worker(sqlite_url) as lookup:
        before = await look(lookup, key)
        async with store.transaction() as tx:
            await account_rows.set_role(tx, account.id, Role.EMPLOYEE, frozenset())
            await tx.execute(text("DELETE FROM changes WHERE number < (SELECT max(number) FROM changes)"))
        after = await look(lookup, key)
        assert before is not None
        assert after is not None
        assert (before.role, after.role) == (Role.MANAGER, Role.EMPLOYEE)
        assert before.factors == {Factor.PASSWORD}
    await store.close()


@pytest.mark.usefixtures("long_leases")
async def test_a_change_about_very_many_is_forgotten_once(url: str) -> None:
    """Who is asked for more changes than it can take forgets everything, and not again and again."""
    store = Store.open(url)
    first = await add_person(store)
    _, key = await add_session(store, first)
    async with store.transaction() as tx:
        for number in range(MAX_CHANGES):
            await account_rows.add(tx, person(f"{number}@example.com"))
    async with worker(url) as lookup:
        await look(lookup, key)
        async with store.transaction() as tx:
            await tx.execute(text("UPDATE accounts SET name = 'Other'"))
        found = await look(lookup, key)
        assert found is not None
        assert found.name == "Other"
        async with asyncio.timeout(300):
            while await look(lookup, key, NOW + 1) is not await look(lookup, key, NOW + 2):
                pass
        async with store.reading() as tx:
            assert len(await list_states(tx)) == (1 if tx.dialect.name == "postgresql" else 0)
    await store.close()


NEXT = (8, "new", "acc_1", "")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], None),
        ([(None, None, None, None)], []),
        ([NEXT], [NEXT]),
        ([NEXT, (8, "new", "acc_2", "")], [NEXT, (8, "new", "acc_2", "")]),
        ([(9, "newer", "acc_1", "")], None),
        ([NEXT, (10, "newest", "acc_1", "")], None),
        ([NEXT] * MAX_CHANGES, None),
    ],
    ids=["another history", "nothing", "one", "two of one revision", "a gap", "a later gap", "too many"],
)
def test_changes_are_told_in_full_or_not_at_all(rows: list[tuple[object, ...]], found: list[object] | None) -> None:
    assert changes_after(Applied(7, "old"), rows) == found


async def test_the_same_number_of_another_history_is_another_revision(sqlite_url: str, tmp_path: Path) -> None:
    """As after sqlite3's `.restore`, which writes an older store into the same file."""
    store = Store.open(sqlite_url)
    people = [await add_person(store, person(f"{name}@example.com")) for name in ("ann", "bob")]
    (_, of_ann), (session, of_bob) = [await add_session(store, account) for account in people]
    file, older = sqlite_url.removeprefix("sqlite:///"), tmp_path / "older.db"
    copy(file, older)
    async with worker(sqlite_url) as lookup:
        async with store.transaction() as tx:
            await account_rows.set_role(tx, people[0].id, Role.EMPLOYEE, frozenset())
        assert [await look(lookup, key) for key in (of_ann, of_bob)] != [None, None]
        await store.close()
        copy(older, file)
        store = Store.open(sqlite_url)
        async with store.transaction() as tx:
            await session_rows.end(tx, session, NOW)
        assert await look(lookup, of_bob) is None
        ann = await look(lookup, of_ann)
        assert ann is not None
        assert ann.role is Role.MANAGER
    await store.close()


def copy(file: str | Path, to: str | Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)
