"""Finds sessions in a SQLite file, and keeps them in memory until their rights change.

A process that commits such a change writes new bytes to a file that all map (store.generation). Each request compares
them; when they have changed, the worker reads which accounts and tenants it is about (store.revision), and forgets
those. Once a second it reads that in any case, to notice a writer that crashed between commit and announcement, or
another program. It reads the bytes before the database, so that nothing in memory is older than they are.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from gateway.model.api_token import is_credential, is_kept, read_credential
from gateway.model.factor_policy import FactorPolicy
from gateway.model.session import Session
from gateway.sessions.by_token import BY_DIGEST, read_token
from gateway.sessions.lookup import QUERY, CanAsk, read
from gateway.sessions.memory import Memory
from gateway.sessions.seen import Seen
from gateway.store import Store, StoreUnavailable
from gateway.store.generation import Generation
from gateway.store.location import SQLite
from gateway.store.revision import MAX_CHANGES, Applied, changes_after
from gateway.store.unavailable import broken_store

# Readers wait only during recovery after a crash, and that blocks the whole worker.
BUSY_SECONDS = 0.1
LATEST = "SELECT number, stamp FROM revision"
CHANGES = """
SELECT number, stamp, account, tenant
  FROM (SELECT 1 FROM changes WHERE number = ?1 AND stamp = ?2 LIMIT 1) LEFT JOIN changes ON number > ?1
 ORDER BY number LIMIT ?3
"""
NOTHING = Applied(0, "")


class SQLiteLookup:
    """Queries a private read-only connection, and caches sessions until something changes."""

    def __init__(
        self, location: SQLite, policy: FactorPolicy, seen: Seen, can_ask: CanAsk, cached_sessions: int
    ) -> None:
        self._location = location
        self._policy = policy
        self._seen = seen
        self._can_ask = can_ask
        self._memory = Memory(cached_sessions)
        self._generation: Generation | None = None
        self._under = b""  # the generation when `_applied` was read
        self._applied = NOTHING  # the revision that the memory belongs to
        self._checked_at = -1
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)

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
        known = self._memory.young.get(key) or self._memory.recall(key)
        if known is not None:
            session = self._seen.judge(key, known, now, is_use)
            if session is not None:
                return session
        latest = self._select(key)  # also where it was used on another worker meanwhile
        return self._seen.judge(key, latest, now, is_use) if latest else None

    async def fetch(self, key: bytes, now: int, *, is_use: bool = True) -> Session | None:
        return self.find(key, now, is_use=is_use)

    def has_in_memory(self, key: bytes) -> bool:
        return key in self._memory

    @property
    def lease_age(self) -> float:
        return 0.0

    def adopt(self, policy: FactorPolicy) -> None:
        self._policy = policy
        self._memory.clear()

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
        """Forget what has changed, or everything if the file was replaced."""
        with self._asking():
            generation.follow()
            if self._location.identity() != self._file:
                self._disconnect()
            under = generation.current()
            ask = self._connected().execute
            changed = changes_after(self._applied, ask(CHANGES, (*self._applied, MAX_CHANGES)).fetchall())
            if changed is None:
                self._memory.clear()
                self._applied = latest(ask(LATEST).fetchone())
            else:
                for change in changed:
                    self._memory.forget(change)
                    self._applied = Applied(change.number, change.stamp)
        self._under, self._checked_at = under, now

    def _select(self, key: bytes) -> Session | None:
        session = self._select_token(key) if is_credential(key) else self._select_session(key)
        if session is not None and is_kept(key, session.identifier):
            self._memory.put(key, session)
        return session

    def _select_session(self, key: bytes) -> Session | None:
        found = self._ask(QUERY, key)
        return read(found[0], self._policy, self._seen.lifetimes, self._can_ask) if found else None

    def _select_token(self, credential: bytes) -> Session | None:
        given = read_credential(credential)
        found = self._ask(BY_DIGEST, given[0]) if given else []
        return read_token(found[0], given[1], self._policy) if given and found else None

    def _ask(self, query: str, key: bytes) -> list[Any]:
        with self._asking():
            return self._connected().execute(query.format("?"), (key,)).fetchall()

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
        """Close, and forget everything: the next connection may be to another file."""
        self._memory.clear()
        self._applied = NOTHING
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


def latest(row: tuple[int, str] | None) -> Applied:
    if row is None:
        raise StoreUnavailable("the table “revision” is empty")
    return Applied(*row)
