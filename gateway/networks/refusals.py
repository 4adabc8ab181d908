"""Audits requests and sign-ins that come from outside the networks of an account or tenant.

Requests only note it in memory; every few seconds it is written. However many there are, an account has a row a minute
for each client address, and in it or in the row that follows, that there were more (audit.counting). An IPv6 /48 has
65,536 addresses in this sense: of one account, only some are written each time, and it takes the place of no other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, Actor
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import StoreUnavailable
from gateway.throttle.limits import address_bucket

MAX_ACCOUNTS = 1_000
MAX_ADDRESSES = 10  # of one account
MAX_AGENT = 512


@dataclass(frozen=True, slots=True)
class Refused:
    """The first request of an account from a client address since the last writing."""

    session: str
    at: int
    address: str
    agent: str
    request: str
    rule: str


class NetworkRefusals:
    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._waiting: dict[str, dict[str, Refused]] = {}  # by account and client address

    def note(self, session: Session, inbound: Inbound, now: int) -> None:
        """Note a refused request. Those of API tokens are noted with their uses (tokens.uses)."""
        if session.grant is not None or session.networks is None:
            return
        if session.account not in self._waiting and len(self._waiting) >= MAX_ACCOUNTS:
            return
        of_account, address = self._waiting.setdefault(session.account, {}), address_bucket(inbound.address)
        if address not in of_account and len(of_account) < MAX_ADDRESSES:
            rule, agent = session.networks.refuse(inbound.address, now), inbound.user_agent[:MAX_AGENT]
            of_account[address] = Refused(session.id, now, inbound.address, agent, inbound.request_id, rule)

    async def flush(self) -> None:
        """Write the noted refusals. Raises StoreUnavailable; then they stay noted."""
        while self._waiting:
            account = next(iter(self._waiting))
            of_account = self._waiting.pop(account)
            try:
                while of_account:
                    await self._write(account, next(iter(of_account.values())))
                    del of_account[next(iter(of_account))]
            except (StoreUnavailable, asyncio.CancelledError):
                self._waiting[account] = of_account | self._waiting.get(account, {})
                raise

    async def _write(self, account_id: str, refused: Refused) -> None:
        async with self._actions.begin(actor_of(refused), refused.at) as action:
            account = await account_rows.find(action.tx, account_id)
            if account is not None:
                await record(action, account, "request", refused.rule)


def actor_of(refused: Refused) -> Actor:
    return Actor(session=refused.session, address=refused.address, user_agent=refused.agent, request_id=refused.request)


async def record(action: Action, account: Account, where: str, rule: str) -> None:
    """Audit a refusal. `where` is "request" or "sign-in"; `rule` names the list."""
    await action.record_or_count(Event.NETWORK_REFUSED, account, {"where": where, "rule": rule})
