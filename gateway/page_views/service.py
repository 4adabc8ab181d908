"""Switches the recording of page views on and off, and reads them, for the person themselves or an administrator."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.accounts import directory
from gateway.accounts.directory import Tenant
from gateway.accounts.people import Administrator
from gateway.actions.action import Action, Actions, requester
from gateway.model.account import Account, check_line
from gateway.model.clock import DAY
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.page_views import batches, rows
from gateway.page_views.record import Device, Switch, View, Viewed
from gateway.page_views.rows import Place
from gateway.store import Store

PAGE_SIZE = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """The notice to a person: whether their page views are recorded now, and whether there are any."""

    switch: Switch | None
    has_views: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """The account whose page views are read. With a `tenant`, only those of the account's time in it."""

    account: str
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Views of one session, newest first, and the place after which older ones follow, if there are any."""

    device: Device
    views: list[View]
    older: Place | None


class PageViewService:
    """`owners` are normalised identifiers."""

    def __init__(self, store: Store, actions: Actions, keep_days: int, owners: Collection[str] = frozenset()) -> None:
        self._store = store
        self._actions = actions
        self._owners = owners
        self.keep_days = keep_days

    # The switch.

    async def look(self) -> tuple[list[Tenant], dict[str, Switch]]:
        """Return all tenants, and those whose page views are recorded."""
        async with self._store.reading() as tx:
            return await directory.list_tenants(tx), await rows.list_switches(tx)

    async def turn_on(self, owner: Session, tenant: str, reason: str, inbound: Inbound, now: int) -> bool:
        """Record page views from the tenant's next request on. Returns whether they were not recorded."""
        async with self._actions.begin(requester(inbound, owner.id, name=owner.name), now) as action:
            return await turn_on(action, tenant, reason, owner)

    async def turn_off(self, owner: Session, tenant: str, inbound: Inbound, now: int) -> bool:
        """Stop recording. Recorded views are kept until they expire. Returns whether recording was on."""
        async with self._actions.begin(requester(inbound, owner.id, name=owner.name), now) as action:
            return await turn_off(action, tenant, owner)

    # Reading.

    async def stand(self, session: Session) -> Standing:
        async with self._store.reading() as tx:
            switch = await rows.find_switch(tx, session.tenant)
        if switch is None:
            await batches.move(self._store)
        async with self._store.reading() as tx:
            return Standing(switch, await rows.has_any(tx, session.account))

    async def admit(self, admin: Administrator, account_id: str, event: Event, details: Details) -> Account | None:
        """Record that an administrator reads a person's page views. Returns the person, or None if they are of another
        tenant, or a platform owner: their views tell of other tenants, and only owners may read them.
        """
        async with self._actions.begin(admin.actor, admin.now) as action:
            member = await directory.find_member(action.tx, admin.tenant, account_id)
            if member is None:
                return None
            if member.account.identifier in self._owners and not admin.session.is_owner:
                return None
            if account_id != admin.session.account:
                await action.record(event, member.account, details)
            return member.account

    async def list_sessions(self, reader: Reader) -> list[Viewed]:
        await batches.move(self._store)
        async with self._store.reading() as tx:
            return await rows.list_sessions(tx, reader.account, reader.tenant)

    async def look_at(self, reader: Reader, session: str, before: Place | None) -> Page:
        """Return about PAGE_SIZE views of one session, newest first."""
        await batches.move(self._store)
        async with self._store.reading() as tx:
            device = await rows.find_device(tx, reader.account, session)
            found, has_older = await rows.list_newest(
                tx, reader.account, session, reader.tenant, before, PAGE_SIZE
            )  # fmt: skip
        views = [view for run in found for view in reversed(run.read())]
        older = (found[-1].at, found[-1].number) if has_older else None
        return Page(device, sorted(views, key=lambda view: -view.at), older)


async def turn_on(action: Action, tenant: str, reason: str, owner: Session | None = None) -> bool:
    """By the owner, or by the operator in the shell. Returns whether it was off."""
    if not await rows.switch_on(action.tx, tenant, Switch(action.now, reason)):
        return False
    await note(action, Event.PAGE_VIEWS_ENABLED, tenant, owner, {"why": reason})
    return True


async def turn_off(action: Action, tenant: str, owner: Session | None = None) -> bool:
    """Returns whether it was on."""
    if not await rows.switch_off(action.tx, tenant):
        return False
    await note(action, Event.PAGE_VIEWS_DISABLED, tenant, owner, {})
    return True


async def note(action: Action, event: Event, tenant: str, owner: Session | None, details: Details) -> None:
    if owner is None:
        await action.record_about(event, tenant, details)
    else:
        await action.record_own(event, owner, {"tenant": tenant, **details}, tenant)


def check_reason(text: str) -> str:
    """Return a reason (see check_line)."""
    return check_line(
        text,
        Sentence("Enter a reason (up to 200 characters)."),
        Sentence("A reason can’t contain line breaks or invisible characters."),
    )


def by_day(views: Sequence[View]) -> list[list[View]]:
    """Return views that are in order in groups of one day (UTC)."""
    days: list[list[View]] = []
    for view in views:
        if not days or days[-1][0].at // DAY != view.at // DAY:
            days.append([])
        days[-1].append(view)
    return days
