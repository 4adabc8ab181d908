"""Opens the lookup that finds the session of a cookie for every request, never one that was revoked before it.

SQLite (sessions/sqlite.py): a worker compares eight bytes that all processes of the machine share.
PostgreSQL (sessions/postgresql.py): a worker answers from memory as long as it holds a lease (store/lease.py); with
`store.sessions = "strict"`, it asks the database for every request.
"""

from __future__ import annotations

from gateway.model.factor_policy import FactorPolicy
from gateway.model.memo import CACHED_SESSIONS
from gateway.model.session import Lifetimes
from gateway.sessions.lookup import CanAsk, Lookup
from gateway.sessions.postgresql import LeasedLookup, StrictLookup
from gateway.sessions.seen import Seen
from gateway.sessions.sqlite import SQLiteLookup
from gateway.store.location import PostgreSQL, SQLite, locate


def open_lookup(
    store_url: str,
    policy: FactorPolicy,
    lifetimes: Lifetimes,
    can_ask: CanAsk = lambda factor: True,
    *,
    cached_sessions: int = CACHED_SESSIONS,
    is_strict: bool = False,
    direct_url: str = "",
) -> Lookup:
    """Return the lookup for the store at `store_url`.

    `can_ask` tells whether this version has a page for a factor. If a session lacks a factor that only a newer version
    knows (another machine, during an upgrade), the lookup raises StoreUnavailable, so no request passes without it.

    Each worker has the `cached_sessions` in memory that were used last, and at most twice as many.

    PostgreSQL: `is_strict` asks for every request; `direct_url` is where to listen for notifications, if `store_url` is
    a pooler's.
    """
    match locate(store_url):
        case SQLite() as location:
            return SQLiteLookup(location, policy, Seen(lifetimes), can_ask, cached_sessions)
        case PostgreSQL() as location:
            if is_strict:
                return StrictLookup(location, policy, Seen(lifetimes), can_ask)
            listens_at = PostgreSQL(direct_url) if direct_url else None
            return LeasedLookup(location, policy, Seen(lifetimes), can_ask, cached_sessions, listens_at)
