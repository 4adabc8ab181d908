"""Changes network rules: one's own, those of a person, and those of a tenant.

A change that would refuse its author's address is made only if the author insists (`despite`). The transaction of the
change judges that, by the same rule as the author's next request.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gateway.accounts import rows as account_rows
from gateway.accounts.authors import find_author, is_admin
from gateway.actions.action import Action, Actions, requester
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor_policy import FactorPolicy
from gateway.model.inbound import Inbound
from gateway.model.network_rule import (
    ADMINISTRATOR,
    EVERYONE,
    EXEMPT,
    OWN,
    Ranges,
    Sections,
    read_stored,
    write_sections,
)
from gateway.model.session import Session
from gateway.networks import rows
from gateway.store import Store

Edit = Callable[[Sections], Sections]
MAX_TOLD = 2_000  # characters of a change in the audit log


class Saved(Enum):
    SAVED = "saved"
    LEAVES_OUT = "leaves out the author's address"
    GONE = "there is no such account in the tenant, or the author may no longer act"


class NetworkService:
    def __init__(self, store: Store, actions: Actions, policy: FactorPolicy) -> None:
        self._store = store
        self._actions = actions
        self._policy = policy

    async def of_tenant(self, tenant: str) -> Sections:
        async with self._store.reading() as tx:
            return read_stored(await rows.find_of_tenant(tx, tenant))

    async def of_account(self, account: str) -> Sections:
        async with self._store.reading() as tx:
            return read_stored(await rows.find_of_account(tx, account))

    async def others_of(self, person: Session) -> list[Ranges]:
        """Return the lists that apply to a person besides their own."""
        if person.is_owner:
            found = [read_stored(self._policy.owner_networks).get(EVERYONE, ())]
        else:
            sections = await self.of_account(person.account)
            of_tenant = {} if EXEMPT in sections else await self.of_tenant(person.tenant)
            role = person.role.value
            found = [sections.get(ADMINISTRATOR, ()), of_tenant.get(role) or of_tenant.get(EVERYONE, ())]
        return [ranges for ranges in found if ranges]

    async def of_member(self, author: Session, account: str) -> tuple[Account, Sections] | None:
        """Return a person of the administrator's tenant, and their lists. To owners, these don't apply: None."""
        async with self._store.reading() as tx:
            found = await account_rows.find_in_tenant(tx, account, author.tenant)
            if found is None or found.identifier in self._policy.owners:
                return None
            return found, read_stored(await rows.find_of_account(tx, found.id))

    async def leaves_out(self, author: Session, wanted: Sections, inbound: Inbound, now: int) -> bool:
        """Whether these lists of the tenant would refuse the author's next request."""
        async with self._store.reading() as tx:
            of_account = await rows.find_of_account(tx, author.account)
        return self.refuses(author, write_sections(wanted), of_account, inbound, now)

    def refuses(self, author: Session, of_tenant: str, of_account: str, inbound: Inbound, now: int) -> bool:
        """Whether lists, as texts, refuse the address of the author."""
        rule = self._policy.networks_of(author.identifier, author.role, of_tenant, of_account)
        return rule is not None and bool(rule.refuse(inbound.address, now))

    async def change_tenant(
        self, author: Session, wanted: Sections, inbound: Inbound, now: int, *, despite: bool
    ) -> Saved:
        """Set the lists of the author's tenant."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            if not await is_admin(action.tx, author):
                return Saved.GONE
            await account_rows.lock_tenant(action.tx, author.tenant)
            of_account = await rows.find_of_account(action.tx, author.account)
            text = write_sections(wanted)
            if not despite and self.refuses(author, text, of_account, inbound, now):
                return Saved.LEAVES_OUT
            await set_of_tenant(action, author.tenant, text, author)
            return Saved.SAVED

    async def change_own(self, author: Session, ranges: Ranges, inbound: Inbound, now: int, *, despite: bool) -> Saved:
        """Set the list that a person has for themselves."""
        return await self._change_account(author, author.account, {OWN: ranges}, inbound, now, despite=despite)

    async def change_member(
        self, author: Session, account: str, ranges: Ranges, inbound: Inbound, now: int, *, lifts: bool, despite: bool
    ) -> Saved:
        """Set the administrator's list of a person in the author's tenant. `lifts` ends the person's own list, too."""
        wanted: Sections = {ADMINISTRATOR: ranges, **({OWN: ()} if lifts else {})}
        return await self._change_account(author, account, wanted, inbound, now, despite=despite)

    async def _change_account(
        self, author: Session, account: str, wanted: Sections, inbound: Inbound, now: int, *, despite: bool
    ) -> Saved:
        is_other = account != author.account
        named = {"by": author.identifier, "name": author.name} if is_other else {}
        async with self._actions.begin(requester(inbound, author.id, **named), now) as action:
            is_allowed = await is_admin(action.tx, author) if is_other else await find_author(action.tx, author)
            found = await account_rows.find(action.tx, account, lock=True) if is_allowed else None
            if found is None or found.tenant != author.tenant or (is_other and found.identifier in self._policy.owners):
                return Saved.GONE
            text = write_sections({**read_stored(await rows.find_of_account(action.tx, account)), **wanted})
            of_tenant = "" if is_other else await rows.find_of_tenant(action.tx, author.tenant)
            if not is_other and not despite and self.refuses(author, of_tenant, text, inbound, now):
                return Saved.LEAVES_OUT
            await set_of_account(action, found, text)
            return Saved.SAVED


async def edit_of_tenant(action: Action, tenant: str, edit: Edit) -> bool:
    """Change a tenant's lists by the operator, from what is stored now. Returns whether anything changed."""
    await account_rows.lock_tenant(action.tx, tenant)
    sections = read_stored(await rows.find_of_tenant(action.tx, tenant))
    return await set_of_tenant(action, tenant, write_sections(edit(sections)))


async def edit_of_account(action: Action, account: Account, edit: Edit) -> bool:
    """Change an account's lists by the operator, from what is stored now. Returns whether anything changed."""
    await account_rows.find(action.tx, account.id, lock=True)
    sections = read_stored(await rows.find_of_account(action.tx, account.id))
    return await set_of_account(action, account, write_sections(edit(sections)))


async def set_of_tenant(action: Action, tenant: str, text: str, author: Session | None = None) -> bool:
    """Set a tenant's lists; without an author, it is the operator. Returns whether anything changed."""
    before = await rows.find_of_tenant(action.tx, tenant)
    if before == text:
        return False
    await rows.set_of_tenant(action.tx, tenant, text)
    details = {"kind": "tenant", **difference(before, text)}
    if author is None:
        await action.record_about(Event.NETWORKS_CHANGED, tenant, details)
    else:
        await action.record_own(Event.NETWORKS_CHANGED, author, details)
    return True


async def set_of_account(action: Action, account: Account, text: str) -> bool:
    """Set an account's lists, and mail the person. Returns whether anything changed."""
    before = await rows.find_of_account(action.tx, account.id)
    if before == text:
        return False
    await rows.set_of_account(action.tx, account.id, text)
    await action.record(Event.NETWORKS_CHANGED, account, {"kind": "account", **difference(before, text)})
    await action.notify("networks_changed", account)
    return True


def difference(before: str, after: str) -> dict[str, str]:
    """Return the lines that were added and removed, each with its section, for the audit log."""
    old, new = lines_of(before), lines_of(after)
    added = "; ".join(line for line in new if line not in old)
    removed = "; ".join(line for line in old if line not in new)
    told = {"added": added[:MAX_TOLD], "removed": removed[:MAX_TOLD]}
    return {name: text for name, text in told.items() if text}


def lines_of(text: str) -> list[str]:
    return [
        " ".join(filter(None, (f"[{name}]" if name else "", str(entry))))
        for name, ranges in read_stored(text).items()
        for entry in ranges or ("",)
    ]
