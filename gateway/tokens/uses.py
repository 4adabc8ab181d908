"""When, from where and by which program API tokens are used, and what they were refused.

Requests only note it in memory. Every few seconds it is written: the last use of each token once a minute, the first
use from a network at once, with a mail. A program that comes from ever new networks (an IPv6 /48 has 65,536 of them)
costs no more than a bounded number of writes and mails.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, Actor
from gateway.model.clock import DAY, MINUTE
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import StoreUnavailable
from gateway.throttle.limits import address_bucket
from gateway.tokens import rows
from gateway.tokens.mails import tell

MAX_WAITING = 10_000
MAX_AGENT = 512
MAX_NETWORKS = 100  # of one token that a worker writes down
MAX_MAILS = 5  # a day for one token
NETWORK_RULE = "network rule"  # beside the limits of a grant (model.api_token.Limit)


@dataclass(frozen=True, slots=True)
class Use:
    """The last use. Several of one token and network become one, as do several that one limit refused.

    `refusal` says what the limit is, in words that may be the person's own; "" if the use was allowed.
    """

    account: str
    at: int
    address: str
    agent: str
    request: str
    refusal: str


class TokenUses:
    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._waiting: dict[tuple[str, str, str], Use] = {}
        self._written: dict[str, int] = {}  # the minute of the last use that was written of each token
        self._seen: dict[str, set[str]] = {}  # the networks of each token

    def note(self, session: Session, inbound: Inbound, now: int) -> None:
        """Note a request with a token. What its grant or its account's network rule refuses is audited."""
        assert session.grant is not None
        limit, refusal = session.grant.find_limit(inbound) or "", session.grant.refuse(inbound)
        if session.networks is not None and (rule := session.networks.refuse(inbound.address, now)):
            limit, refusal = NETWORK_RULE, rule
        seen = self._seen.setdefault(session.id, set())
        network = "" if refusal else address_bucket(inbound.address)
        is_new = network not in seen and len(seen) < MAX_NETWORKS
        if not (refusal or is_new) and self._written.get(session.id, 0) > now - MINUTE:
            return
        key = session.id, network if is_new or network in seen else "", str(limit)
        waiting = self._waiting.get(key)
        if (waiting is not None and waiting.at == now) or len(self._waiting) >= MAX_WAITING:
            return
        if is_new and network:
            seen.add(network)
        agent = inbound.user_agent[:MAX_AGENT]
        self._waiting[key] = Use(session.account, now, inbound.address, agent, inbound.request_id, refusal)

    async def flush(self) -> None:
        """Write what waits. Raises StoreUnavailable, and then it stays. What can't be written at all is given up."""
        while self._waiting:
            key = token, network, limit = next(iter(self._waiting))
            use = self._waiting.pop(key)
            try:
                async with self._actions.begin(actor_of(use), use.at) as action:
                    await self._write(action, token, network, limit, use)
            except (StoreUnavailable, asyncio.CancelledError):
                self._waiting.setdefault(key, use)
                raise
            if not limit:
                self._written[token] = use.at
        if len(self._written) + sum(map(len, self._seen.values())) > MAX_WAITING:
            self._written.clear()
            self._seen.clear()

    async def _write(self, action: Action, token: str, network: str, limit: str, use: Use) -> None:
        # The account's row first, as whoever removes the account with its tokens: a token's network refers to it.
        account = await account_rows.find(action.tx, use.account, lock=True)
        found = await rows.find(action.tx, token)
        if found is None or account is None:
            return
        if limit:
            told = {"token": found.name, "reason": limit, "rule": use.refusal}
            await action.record_or_count(Event.TOKEN_REFUSED, account, told)
            return
        await rows.note_use(action.tx, token, use.at, use.address, use.agent)
        if network and await rows.add_network(action.tx, token, account.id, network, use.at):
            await action.record_or_count(Event.TOKEN_USED_ELSEWHERE, account, {"token": found.name})
            if await rows.count_networks(action.tx, token, use.at - DAY) <= MAX_MAILS:
                await tell(action, account, "token_used_elsewhere", token=found.name)


def actor_of(use: Use) -> Actor:
    return Actor(address=use.address, user_agent=use.agent, request_id=use.request)
