"""Search and filters over accounts, with keyset pagination.

Each page begins after the last email of the previous one. Pages stay stable while people are added, and the
thousandth costs no more than the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from gateway.accounts import links, rows
from gateway.model.account import Account, Role, State, Status, Unacceptable, normalise_identifier
from gateway.model.clock import DAY
from gateway.model.factor import DEMAND
from gateway.store import Transaction
from gateway.store.schema import accounts, sessions, tenants

PAGE_SIZE = 50

_seen_at = (
    select(func.max(sessions.c.seen_at))
    .where(sessions.c.account == accounts.c.id)
    .correlate(accounts)
    .scalar_subquery()
)
# Enrolled factors come first in that text; required ones begin with the mark DEMAND (see model.factor.Enrolled).
HAS_PASSWORD = accounts.c.password_hash.is_not(None)
_has_two_step = and_(accounts.c.enrolled != "", ~accounts.c.enrolled.startswith(DEMAND))
_is_person = ~accounts.c.is_service


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search; None and "" mean any. `unseen_days`: not seen for that many days, or never.

    Service accounts are found by what they have (words, role, state), and not by how people sign in.
    """

    words: str = ""
    role: Role | None = None
    state: State | None = None
    has_two_step: bool | None = None
    unseen_days: int | None = None
    tenant: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One line of the list. `seen_at` is UTC seconds, None if the person never signed in.

    `has_way_in`: the account signs in with a password or in another way. If not, it is only invited, or a service
    account.
    """

    account: Account
    seen_at: int | None
    has_way_in: bool

    @property
    def has_password(self) -> bool:
        return self.account.password_hash is not None

    @property
    def has_two_step(self) -> bool:
        return bool(self.account.enrolled.factors)

    @property
    def state(self) -> State:
        if self.account.status is Status.DISABLED:
            return State.DISABLED
        return State.ACTIVE if self.has_way_in or self.account.is_service else State.INVITED


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer company; `count` is how many people it has."""

    slug: str
    name: str
    is_active: bool
    count: int


async def find_page(
    tx: Transaction, tenant: str | None, wanted: Wanted, now: int, has_way_in: ColumnElement[bool] = HAS_PASSWORD
) -> tuple[list[Member], str]:
    """Return one page of people, sorted by email, and `Wanted.after` for the next page ("" on the last).

    `tenant` restricts the result whatever `wanted` says; None means all tenants. `has_way_in` is that of the factors.
    """
    found_by = conditions(tenant, wanted, now, has_way_in)
    query = members(has_way_in).where(*found_by).order_by(accounts.c.identifier).limit(PAGE_SIZE + 1)
    found = [read(row) for row in await tx.execute(query)]
    page = found[:PAGE_SIZE]
    return page, page[-1].account.identifier if len(found) > PAGE_SIZE else ""


async def find_member(
    tx: Transaction, tenant: str | None, account_id: str, has_way_in: ColumnElement[bool] = HAS_PASSWORD
) -> Member | None:
    query = members(has_way_in).where(accounts.c.id == account_id, *in_tenant(tenant))
    row = (await tx.execute(query)).one_or_none()
    return read(row) if row else None


async def list_uninvited(
    tx: Transaction, tenant: str, now: int, has_way_in: ColumnElement[bool], but: frozenset[str]
) -> list[str]:
    """Return the ids of a tenant's invited people without an invitation that works, by email. `but`: except these."""
    query = select(accounts.c.id).where(
        accounts.c.tenant == tenant,
        in_state(State.INVITED, has_way_in),
        accounts.c.identifier.not_in(sorted(but)),
        ~links.has_open(links.Purpose.INVITATION, accounts.c.id, now),
    )
    return list((await tx.execute(query.order_by(accounts.c.identifier))).scalars())


async def find_taken(tx: Transaction, identifiers: list[str]) -> dict[str, str]:
    """Map the `identifiers` that are taken to their tenants. Asks in batches: engines limit a query's parameters."""
    taken: dict[str, str] = {}
    for at in range(0, len(identifiers), 500):
        query = select(accounts.c.identifier, accounts.c.tenant).where(
            accounts.c.identifier.in_(identifiers[at : at + 500])
        )
        taken.update((row.identifier, row.tenant) for row in await tx.execute(query))
    return taken


async def list_tenants(tx: Transaction) -> list[Tenant]:
    query = (
        select(tenants.c.slug, tenants.c.name, tenants.c.status, func.count(accounts.c.id).label("members"))
        .join(accounts, and_(accounts.c.tenant == tenants.c.slug, _is_person), isouter=True)
        .group_by(tenants.c.slug, tenants.c.name, tenants.c.status)
        .order_by(tenants.c.slug)
    )
    return [Tenant(row.slug, row.name, row.status == "active", row.members) for row in await tx.execute(query)]


def members(has_way_in: ColumnElement[bool]) -> Select[Any]:
    return select(*rows.COLUMNS, _seen_at.label("seen_at"), has_way_in.label("has_way_in"))


def conditions(
    tenant: str | None, wanted: Wanted, now: int, has_way_in: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    found = in_tenant(tenant)
    if wanted.tenant:
        found.append(accounts.c.tenant == wanted.tenant)
    if wanted.words:
        words = wanted.words.lower()
        found.append(
            accounts.c.identifier.contains(words, autoescape=True)
            | (accounts.c.identifier == as_identifier(wanted.words))
            | func.lower(accounts.c.name).contains(words, autoescape=True)
        )
    if wanted.role is not None:
        found.append(accounts.c.role == wanted.role.value)
    if wanted.state is not None:
        found.append(in_state(wanted.state, has_way_in))
    if wanted.has_two_step is not None:
        found.append(_has_two_step if wanted.has_two_step else and_(_is_person, ~_has_two_step))
    if wanted.unseen_days is not None:
        found.append(and_(_is_person, func.coalesce(_seen_at, 0) < now - wanted.unseen_days * DAY))
    if wanted.after:
        found.append(accounts.c.identifier > wanted.after)
    return found


def as_identifier(words: str) -> str:
    """Normalise the search words if they are a complete email; otherwise return ""."""
    try:
        return normalise_identifier(words)
    except Unacceptable:
        return ""


def in_tenant(tenant: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant is None else [accounts.c.tenant == tenant]


def in_state(state: State, has_way_in: ColumnElement[bool]) -> ColumnElement[bool]:
    if state is State.DISABLED:
        return accounts.c.status == Status.DISABLED.value
    is_used = or_(accounts.c.is_service, has_way_in)
    return and_(accounts.c.status == Status.ACTIVE.value, is_used if state is State.ACTIVE else ~is_used)


def read(row: Any) -> Member:
    return Member(rows.read(row), row.seen_at, bool(row.has_way_in))
