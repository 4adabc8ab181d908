"""Finds the people of a tenant, with their access, page by page.

A page takes two statements: the first finds the ids, in order and no more than fit on a page, the second reads the rest
for those alone. So tokens and links are counted for a page, and not for everyone.

A person counts as idle since they were last seen, or since they were added if they never were. Service accounts are in
the lists too, as they have access; whether they are unused, their tokens tell.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from gateway.accounts import rows
from gateway.accounts.directory import in_state, in_tenant
from gateway.accounts.second_step import HAS_SECOND
from gateway.model.account import Account, Role, State, Status
from gateway.model.clock import DAY
from gateway.model.factor import SECOND, Factor
from gateway.model.network_rule import rule_of
from gateway.sso.rows import is_linked
from gateway.store import Transaction
from gateway.store.schema import accounts, sessions, tenants
from gateway.throttle.slices import Slices
from gateway.tokens.rows import api_tokens, is_live

PAGE_SIZE = 50

_seen_at = (
    select(func.max(sessions.c.seen_at))
    .where(sessions.c.account == accounts.c.id)
    .correlate(accounts)
    .scalar_subquery()
)
_idle_since = func.coalesce(_seen_at, accounts.c.created_at)
_token_used_at = (
    select(func.max(api_tokens.c.used_at))
    .where(api_tokens.c.account == accounts.c.id)
    .correlate(accounts)
    .scalar_subquery()
)


class Sort(StrEnum):
    EMAIL = "email"
    SEEN = "seen"  # longest ago first


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search; None and "" mean any. `unseen_days`: idle for that many days. `after` is where the page begins."""

    role: Role | None = None
    state: State | None = None
    lacks_second: bool = False
    has_tokens: bool = False
    unseen_days: int | None = None
    is_enabled: bool = False
    sort: Sort = Sort.EMAIL
    after: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One person. Times are UTC seconds.

    `tokens` counts the live ones; `token_active_at` is when one of these was last used, or made. `token_used_at` is of
    any. `networks` are the texts of the tenant's rule and of the account's own.
    """

    account: Account
    has_way_in: bool
    is_linked: bool
    tokens: int
    token_used_at: int | None
    token_active_at: int | None
    networks: tuple[str, str]
    seen_at: int | None

    @property
    def state(self) -> State:
        if self.account.status is Status.DISABLED:
            return State.DISABLED
        return State.ACTIVE if self.has_way_in or self.account.is_service else State.INVITED

    @property
    def second_steps(self) -> list[Factor]:
        return sorted(self.account.enrolled.factors & SECOND)

    def is_limited(self, owners: Collection[str]) -> bool:
        """Whether the account can be used from some networks only. `owners` are identifiers."""
        is_owner = self.account.identifier in owners
        return rule_of(*self.networks, self.account.role, is_owner=is_owner) is not None

    @property
    def active_at(self) -> int | None:
        """When the person was last seen; of a service account, when one of its tokens was last used."""
        return self.token_used_at if self.account.is_service else self.seen_at

    @property
    def idle_since(self) -> int:
        return self.account.created_at if self.seen_at is None else self.seen_at


async def find_page(
    tx: Transaction,
    tenant: str | None,
    wanted: Wanted,
    now: int,
    has_way_in: ColumnElement[bool],
    size: int = PAGE_SIZE,
) -> tuple[list[Line], str]:
    """Return up to `size` people, and `Wanted.after` for the next page ("" on the last). None means all tenants."""
    query = select(accounts.c.id, accounts.c.identifier, _idle_since.label("idle_since"))
    query = ordered(query.where(*conditions(tenant, wanted, now, has_way_in)), wanted.sort).limit(size + 1)
    found = (await tx.execute(query)).all()
    lines = await read_lines(tx, tenant, [row.id for row in found[:size]], now, has_way_in)
    return lines, place_of(found[size - 1], wanted.sort) if len(found) > size else ""


async def read_lines(
    tx: Transaction, tenant: str | None, ids: Sequence[str], now: int, has_way_in: ColumnElement[bool]
) -> list[Line]:
    """Return these people in this order, without those that aren't there or are another tenant's."""
    live = (api_tokens.c.account == accounts.c.id, is_live(now))
    tokens = select(func.count()).where(*live)
    active_at = select(func.max(func.coalesce(api_tokens.c.used_at, api_tokens.c.created_at))).where(*live)
    of_tenant = select(tenants.c.networks).where(tenants.c.slug == accounts.c.tenant)
    query = select(
        *rows.COLUMNS,
        has_way_in.label("has_way_in"),
        is_linked.label("is_linked"),
        tokens.correlate(accounts).scalar_subquery().label("tokens"),
        _token_used_at.label("token_used_at"),
        active_at.correlate(accounts).scalar_subquery().label("token_active_at"),
        of_tenant.correlate(accounts).scalar_subquery().label("networks_of_tenant"),
        accounts.c.networks.label("own_networks"),
        _seen_at.label("seen_at"),
    ).where(accounts.c.id.in_(ids), *in_tenant(tenant))
    slices, found = Slices(), dict[str, Line]()
    for row in await tx.execute(query):
        found[row.id] = read(row)
        await slices.pause()
    return [found[each] for each in ids if each in found]


def conditions(
    tenant: str | None, wanted: Wanted, now: int, has_way_in: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    found = in_tenant(tenant)
    if wanted.role is not None:
        found.append(accounts.c.role == wanted.role.value)
    if wanted.state is not None:
        found.append(in_state(wanted.state, has_way_in))
    if wanted.is_enabled:
        found.append(accounts.c.status == Status.ACTIVE.value)
    if wanted.lacks_second:
        found.append(and_(~HAS_SECOND, ~accounts.c.is_service))
    if wanted.has_tokens:
        live = select(api_tokens.c.id).where(api_tokens.c.account == accounts.c.id, is_live(now))
        found.append(live.correlate(accounts).exists())
    if wanted.unseen_days is not None:
        found.append(_idle_since < now - wanted.unseen_days * DAY)
    return [*found, *comes_after(wanted)]


def ordered(query: Select[Any], sort: Sort) -> Select[Any]:
    if sort is Sort.SEEN:
        return query.order_by(_idle_since, accounts.c.id)
    return query.order_by(accounts.c.identifier)


def place_of(row: Any, sort: Sort) -> str:
    return f"{row.idle_since}-{row.id}" if sort is Sort.SEEN else str(row.identifier)


def comes_after(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the condition for what follows the place `wanted.after`; a place that can't be read is the start."""
    if wanted.sort is Sort.EMAIL:
        return [accounts.c.identifier > wanted.after] if wanted.after else []
    at, dash, account = wanted.after.partition("-")
    if not (dash and at.isascii() and at.isdigit() and len(at) < 16):
        return []
    return [or_(_idle_since > int(at), and_(_idle_since == int(at), accounts.c.id > account))]


def read(row: Any) -> Line:
    return Line(
        account=rows.read(row),
        has_way_in=bool(row.has_way_in),
        is_linked=bool(row.is_linked),
        tokens=row.tokens,
        token_used_at=row.token_used_at,
        token_active_at=row.token_active_at,
        networks=(row.networks_of_tenant or "", row.own_networks or ""),
        seen_at=row.seen_at,
    )
