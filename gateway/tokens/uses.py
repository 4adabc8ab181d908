"""When, from where and by which program API tokens are used, and what they were refused.

Requests only note it in memory. Every few seconds it is written: the last use of each token once a minute, the first
use from a network at once, with a mail.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, Actor
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.throttle.limits import address_bucket
from gateway.tokens import rows

MINUTE = 60
MAX_WAITING = 10_000
MAX_AGENT = 512


@dataclass(frozen=True, slots=True)
class Use:
    """The last use. Several of one token and network become one."""

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
        self._seen: set[tuple[str, str]] = set()

    def note(self, session: Session, inbound: Inbound, now: int) -> None:
        """Note a request with a token. `refusal`, of its grant, is audited."""
        assert session.grant is not None
        refusal = session.grant.refuse(inbound)
        network = address_bucket(inbound.address)
        is_news = refusal or (session.id, network) not in self._seen
        if not is_news and self._written.get(session.id, 0) > now - MINUTE:
            return
        if len(self._waiting) < MAX_WAITING:
            agent = inbound.user_agent[:MAX_AGENT]
            key = session.id, network, refusal
            self._waiting[key] = Use(session.account, now, inbound.address, agent, inbound.request_id, refusal)

    async def flush(self) -> None:
        """Write what waits. Raises StoreUnavailable, and then it stays."""
        while self._waiting:
            key = token, network, _ = next(iter(self._waiting))
            use = self._waiting[key]
            async with self._actions.begin(actor_of(use), use.at) as action:
                await self._write(action, token, network, use)
            if self._waiting.get(key) is use:
                del self._waiting[key]
            if not use.refusal:
                self._written[token] = use.at
                self._seen.add((token, network))
        if len(self._written) + len(self._seen) > MAX_WAITING:
            self._written.clear()
            self._seen.clear()

    async def _write(self, action: Action, token: str, network: str, use: Use) -> None:
        found = await rows.find(action.tx, token)
        account = await account_rows.find(action.tx, use.account)
        if found is None or account is None:
            return
        if use.refusal:
            await action.record_or_count(Event.TOKEN_REFUSED, account, {"token": found.name, "reason": use.refusal})
            return
        await rows.note_use(action.tx, token, use.at, use.address, use.agent)
        if await rows.add_network(action.tx, token, account.id, network, use.at):
            await action.record(Event.TOKEN_USED_ELSEWHERE, account, {"token": found.name})
            await action.notify("token_used_elsewhere", account, token=found.name)


def actor_of(use: Use) -> Actor:
    return Actor(address=use.address, user_agent=use.agent, request_id=use.request)
