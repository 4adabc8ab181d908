"""What a tenant's administrators do with the mapping of roles: look at it, and save it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.model.account import Role
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sso import rows as provider_rows
from gateway.sso.oidc.record import Kind
from gateway.sso.roles import rows
from gateway.sso.roles.follow import Follower
from gateway.sso.roles.mapping import Asserted, RoleMap
from gateway.store import Store, Transaction


class Saved(Enum):
    DONE = "done"
    NOT_THERE = "not_there"  # there is no provider


@dataclass(frozen=True, slots=True)
class Demotion:
    """What saving a mapping would do to its author at the next sign-in.

    `is_certain`: by what the provider last asserted of them. Otherwise that is not known, and the rules alone don't
    make everyone an administrator.
    """

    role: Role
    is_certain: bool


class RoleService:
    def __init__(self, store: Store, actions: Actions, sealer: Sealer, follower: Follower) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._follower = follower

    async def look(self, tenant: str) -> tuple[Kind, RoleMap] | None:
        """Return the kind of the tenant's provider and its mapping, or None if there is no provider."""
        async with self._store.reading() as tx:
            found = await provider_rows.find_of_tenant(tx, self._sealer, tenant)
            return (found.provider.kind, await rows.find_map(tx, found.provider.id)) if found else None

    async def save(
        self, author: Session, wanted: RoleMap, inbound: Inbound, now: int, *, is_confirmed: bool
    ) -> Saved | Demotion:
        """Store the mapping; unless confirmed, not if it would demote its author."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            found = await provider_rows.find_of_tenant(action.tx, self._sealer, author.tenant)
            if found is None:
                return Saved.NOT_THERE
            demotion = await self._foresee(action.tx, found.provider.id, author, wanted)
            if demotion is not None and not is_confirmed:
                return demotion
            await rows.put_map(action.tx, found.provider.id, wanted)
            details: Details = {
                "rules": len(wanted.rules),
                "names_follow": wanted.names_follow,
                "roles_follow": wanted.roles_follow,
            }
            await action.record_own(Event.SSO_ROLES_CHANGED, author, details)
            return Saved.DONE

    async def _foresee(self, tx: Transaction, provider: str, author: Session, wanted: RoleMap) -> Demotion | None:
        account = await account_rows.find(tx, author.account, lock=True)
        if account is None or not wanted.roles_follow or author.is_owner or account.enrolled.is_exempt:
            return None
        if not await rows.has_link(tx, provider, account.id):
            return None
        before = await rows.find_map(tx, provider)
        asserted = await rows.find_asserted(tx, provider, account.id) if wanted.claim == before.claim else None
        after = wanted.follow(asserted or Asserted(), account.role, account.modules)
        if after.role is account.role or await self._follower.keeps(tx, account, after.role):
            return None
        return Demotion(after.role, is_certain=asserted is not None)
