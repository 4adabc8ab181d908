"""An action: one transaction with its actor and time. Changes, audit rows and mails are committed together.

A service begins an action. The functions that it calls change rows through `action.tx`, write audit rows with
`action.record`, and queue mails with `action.notify`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.audit import rows as audit
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.event import ACTOR, FAILURES, Details, Entry, Event, Outcome
from gateway.model.inbound import Inbound
from gateway.store import Store, Transaction
from gateway.web.user_agents import label

SHELL = "cli"  # in the place of a request's id
Told = Details | Mapping[str, str] | Mapping[str, int]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or program that acts, and from where: a request, the operator's shell, or (by default) the gateway.

    `by` is the actor's email, or the operator's name, if the action concerns another person's account; that person is
    shown `name`. `session` is the actor's own session.
    """

    by: str = ""
    name: str = ""
    session: str | None = None
    address: str = ""
    user_agent: str = ""
    request_id: str = ""

    @property
    def device(self) -> str:
        if self.request_id == SHELL:
            return "the operator's shell"
        return label(self.user_agent) if self.request_id else "the gateway itself"


def requester(inbound: Inbound, session: str | None = None, *, by: str = "", name: str = "") -> Actor:
    return Actor(by, name, session, inbound.address, inbound.user_agent, inbound.request_id)


def operator(name: str) -> Actor:
    return Actor(name, f"the operator ({name})", request_id=SHELL)


class Action:
    """`now` is UTC seconds."""

    def __init__(self, tx: Transaction, actor: Actor, now: int, notices: Notices) -> None:
        self.tx = tx
        self.actor = actor
        self.now = now
        self._notices = notices

    async def record(self, event: Event, account: Account, details: Told = NOTHING, session: str | None = None) -> None:
        """Write a row about `account`; `session` is the one concerned, if it is not the actor's own."""
        await audit.record(self.tx, self._entry(event, account, details, session or self.actor.session))

    async def record_or_count(self, event: Event, account: Account, details: Told = NOTHING) -> None:
        """Like `record`, for events that strangers can cause without limit (see audit.counting)."""
        await audit.record_or_count(self.tx, self._entry(event, account, details, self.actor.session))

    async def notify(self, template: str, account: Account, **more: str | int) -> None:
        """Queue a mail that tells the account's owner about the action, and from which device it came."""
        device, address = self.actor.device, self.actor.address
        await self._notices.send_about(self.tx, template, account, self.now, device=device, address=address, **more)

    async def notify_about(self, template: str, account: Account, device: str, address: str) -> None:
        """Mail what was done to another device than the actor's."""
        await self._notices.send_about(self.tx, template, account, self.now, device=device, address=address)

    def _entry(self, event: Event, account: Account, details: Told, session: str | None) -> Entry:
        actor = self.actor
        return Entry(
            event,
            Outcome.FAILURE if event in FAILURES else Outcome.SUCCESS,
            self.now,
            account.identifier,
            tenant=account.tenant,
            account=account.id,
            address=actor.address,
            user_agent=actor.user_agent,
            session=session,
            request_id=actor.request_id,
            details={ACTOR: actor.by, **details} if actor.by else dict(details),
        )


class Actions:
    """Begins actions."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store = store
        self._notices = notices

    @contextlib.asynccontextmanager
    async def begin(self, actor: Actor, now: int, *, announce: bool = True) -> AsyncIterator[Action]:
        """Open the transaction of an action (see Store.transaction). Raises StoreUnavailable."""
        async with self._store.transaction(announce=announce) as tx:
            yield Action(tx, actor, now, self._notices)
