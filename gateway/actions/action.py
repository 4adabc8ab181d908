"""An action: one transaction with its actor and time. Changes, audit rows and mails are committed together.

A service begins an action. The functions that it calls change rows through `action.tx`, write audit rows with
`action.record`, and queue mails with `action.notify`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.audit import rows as audit
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.entry import ACTOR, Details, Entry, Outcome
from gateway.model.event import FAILURES, Event
from gateway.model.inbound import Inbound
from gateway.model.sentence import Sentence
from gateway.model.session import Session
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
            return Sentence("the operator’s shell")
        return label(self.user_agent) if self.request_id else Sentence("the gateway itself")


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

    def within(self, session: str | None) -> Action:
        """Return the same action with the actor's session, for when it is found after the action has begun."""
        return Action(self.tx, replace(self.actor, session=session), self.now, self._notices)

    def on_behalf_of(self, by: str) -> Action:
        """Return the same action with another actor, for a change that a request only carries: a provider's."""
        return Action(self.tx, replace(self.actor, by=by, name=by), self.now, self._notices)

    async def record(self, event: Event, account: Account, details: Told = NOTHING, session: str | None = None) -> None:
        """Write a row about `account`; `session` is the one concerned, if it is not the actor's own."""
        entry = self._entry(event, account.identifier, account.tenant, account.id, details)
        await audit.record(self.tx, replace(entry, session=session) if session else entry)

    async def record_own(self, event: Event, person: Session, details: Told = NOTHING, tenant: str = "") -> None:
        """Write a row about the signed-in actor; `tenant` is the one concerned, if it is not their own."""
        entry = self._entry(event, person.identifier, tenant or person.tenant, person.account, details)
        await audit.record(self.tx, entry)

    async def record_about(self, event: Event, tenant: str, details: Told) -> None:
        """Write a row about a tenant, and none of its accounts; a flood of failures is counted instead."""
        entry = self._entry(event, "", tenant, None, {"tenant": tenant, **details})
        await audit.record_or_count(self.tx, entry)

    async def record_or_count(self, event: Event, account: Account, details: Told = NOTHING) -> None:
        """Like `record`, for events that strangers can cause without limit (see audit.counting)."""
        await self.record_attempt(event, account.identifier, account, details)

    async def record_attempt(
        self,
        event: Event,
        identifier: str,
        account: Account | None,
        details: Told = NOTHING,
        *,
        tenant: str | None = None,
    ) -> None:
        """Like `record_or_count`, for an email that may have no account, which makes the event a failure.

        `tenant` is then the one concerned, if it is known in another way.
        """
        if account is None:
            entry = replace(self._entry(event, identifier, tenant, None, details), outcome=Outcome.FAILURE)
        else:
            entry = self._entry(event, identifier, account.tenant, account.id, details)
        await audit.record_or_count(self.tx, entry)

    async def notify(self, template: str, account: Account, **more: str | int) -> None:
        """Queue a mail that tells the account's owner about the action, and from which device it came."""
        device, address = self.actor.device, self.actor.address
        await self._notices.send(self.tx, template, account, self.now, device=device, address=address, **more)

    async def notify_about(self, template: str, account: Account, device: str, address: str) -> None:
        """Mail what was done to another device than the actor's."""
        await self._notices.send(self.tx, template, account, self.now, device=device, address=address)

    def _entry(self, event: Event, identifier: str, tenant: str | None, account: str | None, details: Told) -> Entry:
        actor = self.actor
        return Entry(
            event,
            Outcome.FAILURE if event in FAILURES else Outcome.SUCCESS,
            self.now,
            identifier,
            tenant=tenant,
            account=account,
            address=actor.address,
            user_agent=actor.user_agent,
            session=actor.session,
            request_id=actor.request_id,
            details={ACTOR: actor.by, **details} if actor.by else dict(details),
        )


class Actions:
    """Begins actions."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store = store
        self._notices = notices

    @contextlib.asynccontextmanager
    async def begin(self, actor: Actor, now: int) -> AsyncIterator[Action]:
        """Open the transaction of an action (see Store.transaction). Raises StoreUnavailable."""
        async with self._store.transaction() as tx:
            yield Action(tx, actor, now, self._notices)
