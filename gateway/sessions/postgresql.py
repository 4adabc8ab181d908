"""Finds sessions in PostgreSQL: by a query for each request, or from memory as long as the worker holds a lease."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.model.api_token import is_credential, is_kept, read_credential
from gateway.model.factor_policy import FactorPolicy
from gateway.model.session import Session
from gateway.sessions.by_token import BY_DIGEST, read_token
from gateway.sessions.leaseholder import Leaseholder
from gateway.sessions.lookup import QUERY, CanAsk, Pending, read
from gateway.sessions.memory import Memory
from gateway.sessions.seen import Seen
from gateway.store import Store, StoreUnavailable
from gateway.store.lease import monotonic
from gateway.store.location import PostgreSQL
from gateway.store.unavailable import broken_store

if TYPE_CHECKING:
    import asyncpg

ASK_SECONDS = 2.0  # for connecting and the query together
POOL_SIZE = 4


class StrictLookup:
    """Asks the database for every request, through a small pool of its own."""

    def __init__(self, location: PostgreSQL, policy: FactorPolicy, seen: Seen, can_ask: CanAsk) -> None:
        self._location = location
        self._policy = policy
        self._seen = seen
        self._can_ask = can_ask
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Open the pool without a connection, so that a worker can start while the database is down."""
        from gateway.store import postgresql  # not loaded on SQLite

        self._pool = await postgresql.open_pool(self._location, POOL_SIZE)

    def find(self, key: bytes, now: int, *, is_use: bool = True) -> Session | Pending | None:
        return Pending.ASK

    async def fetch(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None:
        session = await self._select(key)
        return self._seen.judge(key, session, now, is_use) if session else None

    def has_in_memory(self, key: bytes) -> bool:
        return False

    @property
    def lease_age(self) -> float:
        return 0.0

    def adopt(self, policy: FactorPolicy) -> None:
        self._policy = policy

    def has_outlived(self, key: bytes, session: Session, now: int) -> bool:
        return self._seen.has_expired(key, session, now)

    async def flush(self, store: Store) -> None:
        await self._seen.flush(store)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _select(self, key: bytes) -> Session | None:
        policy = self._policy
        if not is_credential(key):
            found = await self._ask(QUERY, key)
            return read(found[0], policy, self._seen.lifetimes, self._can_ask) if found else None
        given = read_credential(key)
        found = await self._ask(BY_DIGEST, given[0]) if given else []
        return read_token(found[0], given[1], policy) if given and found else None

    async def _ask(self, query: str, key: bytes) -> list[Any]:
        if self._pool is None:
            raise StoreUnavailable("the session lookup is not open")
        with broken_store():
            async with asyncio.timeout(ASK_SECONDS):
                connection = await self._pool.acquire()
                try:
                    return list(await connection.ask(query.format("$1"), key))
                except BaseException:
                    connection.terminate()  # the pool would wait for the answer
                    raise
                finally:
                    await self._pool.release(connection)


class LeasedLookup(StrictLookup):
    """Answers from memory while the worker holds a lease, and asks the database otherwise."""

    def __init__(
        self,
        location: PostgreSQL,
        policy: FactorPolicy,
        seen: Seen,
        can_ask: CanAsk,
        cached_sessions: int,
        listens_at: PostgreSQL | None = None,
    ) -> None:
        super().__init__(location, policy, seen, can_ask)
        self._memory = Memory(cached_sessions)
        self._holder = Leaseholder(location, self._memory, listens_at)

    async def start(self) -> None:
        await super().start()
        await self._holder.start()

    def find(self, key: bytes, now: int, *, is_use: bool = True) -> Session | Pending:
        session = self._memory.young.get(key) or self._memory.recall(key)
        if session is None or monotonic() >= self._holder.lease.until:
            return Pending.ASK
        # Where it has expired, ask: it may have been used elsewhere.
        return self._seen.judge(key, session, now, is_use) or Pending.ASK

    def has_in_memory(self, key: bytes) -> bool:
        return key in self._memory

    @property
    def lease_age(self) -> float:
        return monotonic() - self._holder.renewed_at

    def adopt(self, policy: FactorPolicy) -> None:
        super().adopt(policy)
        self._holder.clear()

    async def close(self) -> None:
        await self._holder.stop()
        await super().close()

    async def _select(self, key: bytes) -> Session | None:
        epoch = self._holder.epoch
        session = await super()._select(key)
        is_current = epoch is not None and epoch is self._holder.epoch
        if session is not None and is_current and is_kept(key, session.identifier):
            self._memory.put(key, session)
        return session
