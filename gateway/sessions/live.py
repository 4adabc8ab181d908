"""Finds the session of a cookie for every request, never a stale one: a revocation takes effect on the next request.

SQLite: every worker caches the sessions that it found, and clears the cache when another process announces a change
(store.generation), which costs a comparison of eight bytes per request. It reads the generation before the database,
so that no cached session is older than its generation. Once a second it also asks the database for changes
(`PRAGMA data_version`), to notice a writer that crashed between commit and announcement, or another program.

PostgreSQL: every request queries the database, with one indexed read. Other machines may write there, and a
notification could arrive after the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from gateway.model.account import Role, read_modules
from gateway.model.factor import Factor, first_missing, read_enrolled, required_factors
from gateway.model.session import Lifetimes, Session, end_of, has_outlived
from gateway.sessions import rows
from gateway.sessions.rows import read_proofs
from gateway.store import Store, StoreUnavailable
from gateway.store.engine import broken_store
from gateway.store.generation import Generation
from gateway.store.location import PostgreSQL, SQLite, locate

if TYPE_CHECKING:
    import asyncpg

MAX_REMEMBERED = 50_000
# SQLite readers wait only during recovery after a crash, and that blocks the whole worker.
BUSY_SECONDS = 0.1
ASK_SECONDS = 2.0  # for connecting and the query together
POOL_SIZE = 8

# The braces take the placeholder of each engine.
QUERY = """
SELECT s.id, a.id, a.identifier, a.name, a.tenant, a.role, a.modules, s.proofs, s.started_at, s.seen_at,
       a.enrolled
  FROM sessions s JOIN accounts a ON a.id = s.account JOIN tenants t ON t.slug = a.tenant
 WHERE s.token_key = {} AND s.ended_at IS NULL AND a.status = 'active' AND t.status = 'active'
"""


CanAsk = Callable[[Factor], bool]


class Pending(Enum):
    """The result of `find` if only `fetch` can answer."""

    ASK = "ask the database"


class Lookup(Protocol):
    """Finds live sessions by the SHA-256 of their cookie. `now` is UTC seconds.

    Raises StoreUnavailable whenever it can't be sure. `is_use=False` does not count as a use of the session.
    """

    async def start(self) -> None: ...
    def find(self, key: bytes, now: int, *, is_use: bool = True) -> Session | Pending | None: ...
    async def fetch(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None: ...
    async def flush(self, store: Store) -> None:
        """Store when sessions were last used. Called about once a minute, so that requests need not write."""

    def has_outlived(self, key: bytes, session: Session, now: int) -> bool:
        """Whether a session has reached its idle or absolute limit, as far as this worker knows. No query."""

    def adopt(self, owners: frozenset[str]) -> None:
        """Replace the list of owners, after a reload of the settings."""

    async def close(self) -> None: ...


class Seen:
    """Times of last use that this worker has not stored yet."""

    __slots__ = ("_times", "_written", "lifetimes")

    def __init__(self, lifetimes: Lifetimes) -> None:
        self.lifetimes = lifetimes
        self._times: dict[bytes, int] = {}
        self._written: dict[bytes, int] = {}  # the last flush: newer than `seen_at` of a cached Session

    def judge(self, key: bytes, session: Session, now: int, is_use: bool) -> Session | None:
        """Return `session` unless it has expired; record its use."""
        if now >= session.alive_until and self.has_expired(key, session, now):
            return None
        if is_use:
            self._times[key] = now
        return session

    def has_expired(self, key: bytes, session: Session, now: int) -> bool:
        seen_at = max(self._times.get(key, 0), self._written.get(key, 0), session.seen_at)
        return has_outlived(session.started_at, seen_at, self.lifetimes.of(is_owner=session.is_owner), now)

    async def flush(self, store: Store) -> None:
        if not self._times:
            return
        times, self._times = self._times, {}
        self._written = times
        try:
            async with store.transaction(announce=False) as tx:
                await rows.touch(tx, times)
        except BaseException:  # on cancellation too, so that the next flush writes them
            self._times = times | self._times
            raise


def open_lookup(
    store_url: str, owners: frozenset[str], lifetimes: Lifetimes, can_ask: CanAsk = lambda factor: True
) -> Lookup:
    """Return the lookup for the store at `store_url`; `owners` are normalised identifiers.

    `can_ask` tells whether this version has a page for a factor. If a session lacks a factor that only a newer version
    knows (another machine, during an upgrade), the lookup raises StoreUnavailable, so no request passes without it.
    """
    match locate(store_url):
        case SQLite() as location:
            return SQLiteLookup(location, owners, Seen(lifetimes), can_ask)
        case PostgreSQL() as location:
            return PostgreSQLLookup(location, owners, Seen(lifetimes), can_ask)


class SQLiteLookup:
    """Queries a private read-only connection, and caches sessions until something changes."""

    def __init__(self, location: SQLite, owners: frozenset[str], seen: Seen, can_ask: CanAsk) -> None:
        self._location = location
        self._owners = owners
        self._seen = seen
        self._can_ask = can_ask
        self._known: dict[bytes, Session] = {}
        self._generation: Generation | None = None
        self._under = b""  # the generation that `_known` belongs to
        self._checked_at = -1
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._version = -1

    async def start(self) -> None:
        with self._asking():
            self._generation = Generation(self._location.generation_path)
            self._connect()

    def find(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None:
        generation = self._generation
        if generation is None:
            raise StoreUnavailable("the session lookup is not open")
        if now != self._checked_at or generation.current() != self._under:
            self._catch_up(generation, now)
        session = self._known.get(key) or self._select(key)
        return self._seen.judge(key, session, now, is_use) if session else None

    async def fetch(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None:
        return self.find(key, now, is_use=is_use)

    def adopt(self, owners: frozenset[str]) -> None:
        self._owners = owners
        self._known.clear()

    def has_outlived(self, key: bytes, session: Session, now: int) -> bool:
        return self._seen.has_expired(key, session, now)

    async def flush(self, store: Store) -> None:
        await self._seen.flush(store)

    async def close(self) -> None:
        self._disconnect()
        if self._generation is not None:
            self._generation.close()
            self._generation = None

    def _catch_up(self, generation: Generation, now: int) -> None:
        """Clear the cache if anything has changed. Reads the generation before the database."""
        if now != self._checked_at:
            self._ask_for_changes(generation)
            self._checked_at = now
        current = generation.current()
        if current != self._under:
            self._under = current
            self._known.clear()

    def _ask_for_changes(self, generation: Generation) -> None:
        """Once a second: notice unannounced changes, and files that were replaced."""
        with self._asking():
            generation.follow()
            if self._location.identity() != self._file:
                self._disconnect()
            version = self._connected().execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._known.clear()

    def _select(self, key: bytes) -> Session | None:
        with self._asking():
            found = self._connected().execute(QUERY.format("?"), (key,)).fetchall()
        if not found:
            return None
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        session = self._known[key] = read(found[0], self._owners, self._seen.lifetimes, self._can_ask)
        return session

    def _connected(self) -> sqlite3.Connection:
        return self._connection or self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._file = self._location.identity()
        # Without implicit transactions: one that stayed open would keep reading an old snapshot.
        self._connection = sqlite3.connect(
            self._location.read_only_uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS
        )
        return self._connection

    def _disconnect(self) -> None:
        """Close, and clear the cache: `data_version` is only meaningful within one connection."""
        self._known.clear()
        self._version = -1
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Translate errors to StoreUnavailable, and reconnect next time."""
        try:
            with broken_store():
                yield
        except StoreUnavailable:
            self._disconnect()
            self._checked_at = -1
            raise


class PostgreSQLLookup:
    """Queries the database on each request, through a small pool of its own."""

    def __init__(self, location: PostgreSQL, owners: frozenset[str], seen: Seen, can_ask: CanAsk) -> None:
        self._location = location
        self._owners = owners
        self._seen = seen
        self._can_ask = can_ask
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Open the pool without a connection, so that a worker can start while the database is down."""
        import asyncpg  # not loaded on SQLite

        self._pool = await asyncpg.create_pool(self._location.dsn, min_size=0, max_size=POOL_SIZE)

    def find(self, key: bytes, now: int, *, is_use: bool = True) -> Pending:
        return Pending.ASK

    async def fetch(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None:
        row = await self._select(key)
        if row is None:
            return None
        session = read(row, self._owners, self._seen.lifetimes, self._can_ask)
        return self._seen.judge(key, session, now, is_use)

    def adopt(self, owners: frozenset[str]) -> None:
        self._owners = owners

    def has_outlived(self, key: bytes, session: Session, now: int) -> bool:
        return self._seen.has_expired(key, session, now)

    async def flush(self, store: Store) -> None:
        await self._seen.flush(store)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _select(self, key: bytes) -> asyncpg.Record | None:
        if self._pool is None:
            raise StoreUnavailable("the session lookup is not open")
        with broken_store():
            async with asyncio.timeout(ASK_SECONDS):
                return await self._pool.fetchrow(QUERY.format("$1"), key)


def read(row: Iterable[Any], owners: frozenset[str], lifetimes: Lifetimes, can_ask: CanAsk) -> Session:
    session_id, account, identifier, name, tenant, role, modules, written, started_at, seen_at, given = row
    proofs, enrolled = read_proofs(written), read_enrolled(given)
    is_owner = identifier in owners
    missing = first_missing(required_factors(is_owner=is_owner, enrolled=enrolled), proofs)
    if missing is not None and not can_ask(missing):
        raise StoreUnavailable(f"{account} has to prove {missing}, which only a newer version can ask for")
    return Session(
        id=session_id,
        account=account,
        identifier=identifier,
        name=name,
        tenant=tenant,
        role=Role(role),
        modules=read_modules(modules),
        is_owner=is_owner,
        proofs=proofs,
        started_at=started_at,
        seen_at=seen_at,
        enrolled=enrolled,
        missing=missing,
        alive_until=end_of(started_at, seen_at, lifetimes.of(is_owner=is_owner)),
    )
