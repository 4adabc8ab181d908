"""What both engines' session lookups share: the question, the answer, and when a session was last used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from sys import intern
from typing import Any, Protocol

from gateway.model.account import Role, read_modules
from gateway.model.factor import Factor, ask_for, read_enrolled
from gateway.model.factor_policy import FactorPolicy, read_tenant_policy
from gateway.model.page_view import Views
from gateway.model.session import Lifetimes, Preferences, Session, end_of
from gateway.sessions.rows import read_proofs
from gateway.store import Store, StoreUnavailable

# The braces take the placeholder of each engine.
QUERY = """
SELECT s.id, a.id, a.identifier, a.name, a.tenant, a.role, a.modules, s.proofs, s.started_at, s.seen_at,
       a.enrolled, t.factor_policy, t.networks, a.networks, t.page_views_since IS NOT NULL,
       a.language, a.zone, t.language
  FROM sessions s JOIN accounts a ON a.id = s.account JOIN tenants t ON t.slug = a.tenant
 WHERE s.token_key = {} AND s.ended_at IS NULL AND a.status = 'active' AND t.status = 'active'
   AND NOT a.is_service
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
    def has_in_memory(self, key: bytes) -> bool:
        """Whether a session was found before, and nothing is known to have changed since."""

    async def flush(self, store: Store) -> None:
        """Store when sessions were last used. Called about once a minute, so that requests need not write."""

    def has_outlived(self, key: bytes, session: Session, now: int) -> bool:
        """Whether a session has reached its idle or absolute limit, as far as this worker knows. No query."""

    @property
    def lease_age(self) -> float:
        """Seconds since the lease was renewed; 0 if there is none to renew."""

    def adopt(self, policy: FactorPolicy) -> None:
        """Replace the policy, after a reload of the settings."""

    async def close(self) -> None: ...


def read(row: Iterable[Any], policy: FactorPolicy, lifetimes: Lifetimes, can_ask: CanAsk) -> Session:
    session_id, account, identifier, name, tenant, role, modules, written, started_at, seen_at, *more = row
    given, demanded, of_tenant, of_account, records_views, *speaks = more
    proofs, enrolled = read_proofs(written), read_enrolled(given)
    wanted = read_tenant_policy(demanded)
    standing = policy.stand(identifier, Role(role), wanted, enrolled, proofs)
    missing = ask_for(standing.missing, enrolled)
    if missing is not None and not can_ask(missing):
        raise StoreUnavailable(f"{account} has to prove {missing}, which only a newer version can ask for")
    return Session(
        id=session_id,
        account=account,
        identifier=identifier,
        name=name,
        tenant=intern(tenant),  # one text for all of them
        role=Role(role),
        modules=read_modules(modules),
        is_owner=standing.is_owner,
        proofs=standing.proofs,
        started_at=started_at,
        seen_at=seen_at,
        enrolled=enrolled,
        first=standing.first,
        second=standing.second,
        may_skip_password=policy.admits_passwordless(identifier, Role(role), wanted),
        missing=missing,
        networks=policy.networks_of(identifier, Role(role), of_tenant, of_account),
        views=Views(account, session_id, tenant) if records_views else None,
        preferences=preferences_of(*speaks),
        alive_until=end_of(started_at, seen_at, lifetimes.of(is_owner=standing.is_owner)),
    )


@lru_cache(maxsize=1_024)
def preferences_of(language: str, zone: str, tenant_language: str) -> Preferences:
    """Return one object for all sessions with the same."""
    return Preferences(language, zone, tenant_language)
