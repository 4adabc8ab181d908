"""Counts the people and sessions that an action would affect, for its confirmation page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, column, func, or_, select, table

from gateway.model.account import Role, Status
from gateway.model.network_rule import EXEMPT, NetworkRule, read_stored, rule_of
from gateway.model.networks import Network, is_within
from gateway.model.session import Lifetimes
from gateway.sessions.rows import still_within
from gateway.store import Store, Transaction
from gateway.store.schema import accounts, sessions
from gateway.throttle.slices import Slices

RuleFor = Callable[[str, Role, str], NetworkRule | None]  # of an identifier, a role, and the account's lists
TOKENS = table("api_tokens", *map(column, ("account", "revoked_at", "expires_at", "used_from")))  # see tokens.rows
ADDRESSES_AT_ONCE = 500  # compared before yielding to the event loop


@dataclass(frozen=True, slots=True)
class Reach:
    """`sessions` counts live ones, by the stored time of last use; `tokens` valid ones, by where they were last used.

    `tokens` is counted for network rules only.
    """

    people: int
    sessions: int
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reaches:
    """`owners` are normalised identifiers; their sessions have shorter lifetimes."""

    store: Store
    owners: frozenset[str]
    lifetimes: Lifetimes

    async def of_account(self, account_id: str, now: int, *, but: str = "") -> Reach:
        """Count a person's sessions, except the one with the id `but`."""
        async with self.store.reading() as tx:
            mine = (sessions.c.account == account_id, sessions.c.id != but)
            return Reach(1, await self._count(tx, now, *mine))

    async def of_accounts(self, account_ids: Sequence[str], now: int) -> Reach:
        """Count the sessions of some hundred people."""
        async with self.store.reading() as tx:
            return Reach(len(account_ids), await self._count(tx, now, sessions.c.account.in_(account_ids)))

    async def of_tenant(self, tenant: str, now: int, *, but: str = "") -> Reach:
        """Count a tenant's active people, and their sessions except the one with the id `but`."""
        async with self.store.reading() as tx:
            people = select(func.count()).where(
                accounts.c.tenant == tenant, accounts.c.status == Status.ACTIVE.value, ~accounts.c.is_service
            )
            count = (await tx.execute(people)).scalar_one()
            return Reach(count, await self._count(tx, now, accounts.c.tenant == tenant, sessions.c.id != but))

    async def of_network(self, network: Network, now: int) -> Reach:
        """Count the people who are signed in from a network, and their sessions there."""
        query = (
            select(sessions.c.address, sessions.c.account, func.count())
            .join(accounts, accounts.c.id == sessions.c.account)
            .where(sessions.c.ended_at.is_(None), self._is_live(now))
            .group_by(sessions.c.address, sessions.c.account)
        )
        async with self.store.reading() as tx:
            found = (await tx.execute(query)).all()
        people, count = set(), 0
        for at, (address, account, of_them) in enumerate(found):
            if at % ADDRESSES_AT_ONCE == 0:
                await asyncio.sleep(0)
            if is_within(address, network):
                people.add(account)
                count += of_them
        return Reach(len(people), count)

    async def outside_of(self, tenant: str, text: str, now: int) -> Reach:
        """Count the sessions whose address a tenant's network rule would refuse, and their people.

        `text` is the rule (model.network_rule).
        """

        def rule_for(identifier: str, role: Role, of_account: str) -> NetworkRule | None:
            applied = "" if EXEMPT in read_stored(of_account) else text
            return rule_of(applied, "", role, is_owner=identifier in self.owners)

        return await self._count_outside(accounts.c.tenant == tenant, rule_for, now)

    async def outside_of_account(self, account: str, text: str, now: int) -> Reach:
        """The same for an account's rule."""

        def rule_for(identifier: str, role: Role, _: str) -> NetworkRule | None:
            return rule_of("", text, role, is_owner=identifier in self.owners)

        return await self._count_outside(accounts.c.id == account, rule_for, now)

    async def _count_outside(self, wanted: ColumnElement[bool], rule_for: RuleFor, now: int) -> Reach:
        of_account = accounts.c.id, accounts.c.identifier, accounts.c.role, accounts.c.networks
        signed_in = (
            select(*of_account, sessions.c.address, func.count())
            .join(accounts, accounts.c.id == sessions.c.account)
            .where(wanted, sessions.c.ended_at.is_(None), self._is_live(now))
            .group_by(accounts.c.id, sessions.c.address)
        )
        used = (
            select(*of_account, TOKENS.c.used_from, func.count())
            .join(accounts, accounts.c.id == TOKENS.c.account)
            .where(wanted, TOKENS.c.revoked_at.is_(None), TOKENS.c.expires_at > now, TOKENS.c.used_from != "")
            .group_by(accounts.c.id, TOKENS.c.used_from)
        )
        people, count = await self._count_refused(signed_in, rule_for, now)
        _, tokens = await self._count_refused(used, rule_for, now)
        return Reach(people, count, tokens)

    async def _count_refused(self, query: Select[Any], rule_for: RuleFor, now: int) -> tuple[int, int]:
        """Return how many accounts are refused, and how many rows: the last column says how many are alike."""
        async with self.store.reading() as tx:
            found = (await tx.execute(query)).all()
        refused, count, slices = set(), 0, Slices()
        for account, identifier, role, of_account, address, of_them in found:
            await slices.pause()
            rule = rule_for(identifier, Role(role), of_account)
            if rule is not None and rule.refuse(address, now):
                refused.add(account)
                count += of_them
        return len(refused), count

    async def _count(self, tx: Transaction, now: int, *wanted: ColumnElement[bool]) -> int:
        query = (
            select(func.count())
            .select_from(sessions)
            .join(accounts, accounts.c.id == sessions.c.account)
            .where(sessions.c.ended_at.is_(None), self._is_live(now), *wanted)
        )
        return int((await tx.execute(query)).scalar_one())

    def _is_live(self, now: int) -> ColumnElement[bool]:
        is_owner = accounts.c.identifier.in_(sorted(self.owners))
        return or_(
            and_(~is_owner, *still_within(self.lifetimes.members, now)),
            and_(is_owner, *still_within(self.lifetimes.owners, now)),
        )
