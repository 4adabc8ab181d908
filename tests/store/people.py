"""Accounts, sessions and lookups for the tests of the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text

from gateway.accounts import rows as account_rows
from gateway.model.account import Account, Module, Role, Status
from gateway.model.factor import Factor, Proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.secret import Secret
from gateway.model.session import Lifetime, Lifetimes, Session
from gateway.model.token import key_of, new_token
from gateway.sessions import rows as session_rows
from gateway.sessions.live import open_lookup
from gateway.sessions.lookup import Lookup, Pending
from gateway.store import Store, Transaction

NOW = 1_800_000_000
LIFETIMES = Lifetimes(members=Lifetime(idle=1000, absolute=5000), owners=Lifetime(idle=100, absolute=500))


class Watched(Store):
    """Counts the write transactions: how many there were, and how many are open."""

    begun = 0
    is_open = 0

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        self.is_open += 1
        try:
            async with super().transaction() as tx:
                yield tx
        finally:
            self.is_open -= 1


def person(identifier: str = "ann@example.com", **changes: object) -> Account:
    values: dict[str, object] = {
        "id": account_rows.new_account_id(),
        "identifier": identifier,
        "name": "Ann Example",
        "tenant": "acme",
        "role": Role.MANAGER,
        "modules": frozenset({Module.HR, Module.LEGAL}),
        "status": Status.ACTIVE,
        "password_hash": Secret("pbkdf2:sha256:1$a$b"),
        "created_at": NOW,
    }
    return Account(**{**values, **changes})  # type: ignore[arg-type]


async def add_person(store: Store, account: Account | None = None) -> Account:
    account = account or person()
    async with store.transaction() as tx:
        assert await account_rows.add(tx, account)
    return account


async def wait_for_lock(store: Store, waiting: asyncio.Task[Any]) -> None:
    """Return once a transaction of this database (PostgreSQL) waits for another. `waiting` must not end before."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not waiting.done():
        async with store.reading() as tx:
            if (await tx.execute(text(query))).scalar_one():
                return
    raise AssertionError("it waited for nobody")


async def sign_in(tx: Transaction, account: Account, now: int = NOW) -> tuple[str, bytes]:
    """Open a session; return its public id and the digest of its cookie."""
    key = key_of(new_token())
    session_id = await session_rows.add(
        tx,
        token_key=key,
        account_id=account.id,
        proofs=(Proof(Factor.PASSWORD, now),),
        address="192.0.2.7",
        user_agent="Browser/1.0",
        now=now,
    )
    return session_id, key


async def add_session(store: Store, account: Account, now: int = NOW) -> tuple[str, bytes]:
    async with store.transaction() as tx:
        return await sign_in(tx, account, now)


@contextlib.asynccontextmanager
async def worker(
    url: str, *owners: str, policy: FactorPolicy | None = None, direct_url: str = "", cached: int = 100
) -> AsyncIterator[Lookup]:
    policy = policy or FactorPolicy(frozenset(owners))
    lookup = open_lookup(url, policy, LIFETIMES, direct_url=direct_url, cached_sessions=cached)
    await lookup.start()
    yield lookup
    await lookup.close()


async def look(lookup: Lookup, key: bytes, now: int = NOW) -> Session | None:
    """Find a session as a request does."""
    found = lookup.find(key, now)
    return await lookup.fetch(key, now) if isinstance(found, Pending) else found
