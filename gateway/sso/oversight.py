"""What owners (at /ops/sso) and operators (in the shell) do with the provider of any tenant.

They can turn off what the tenant itself can't, because it requires single sign-on: the demand ends with it. The
tenant's administrators are told by mail.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import claims
from gateway.accounts import rows as account_rows
from gateway.accounts.admin_mails import tell_admins
from gateway.accounts.claims import Claim
from gateway.accounts.directory import Tenant, list_tenants
from gateway.actions.action import Action, Actions, requester
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sso import origins, overview, rows
from gateway.sso.admin import ProviderResult, find_hindrance
from gateway.sso.overview import Connected
from gateway.sso.required import set_first
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Picture:
    """All tenants' providers, all claimed domains, and all tenants."""

    providers: list[Connected]
    claims: list[Claim]
    tenants: list[Tenant]


class Oversight:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def look(self) -> Picture:
        async with self._store.reading() as tx:
            return Picture(
                await overview.list_connected(tx), await claims.list_all(tx), await list_tenants(tx)
            )  # fmt: skip

    async def turn_off(self, owner: Session, tenant: str, inbound: Inbound, now: int) -> bool:
        async with self._actions.begin(requester(inbound, owner.id, name=owner.name), now) as action:
            return await turn_off(action, tenant, owner)


async def turn_on(action: Action, tenant: str) -> ProviderResult:
    """Turn a provider on, by the same rules as its administrators."""
    found = await overview.find_connected(action.tx, tenant)
    if found is None:
        return ProviderResult.NOT_THERE
    if (hindrance := await find_hindrance(action.tx, tenant, found.tried_at)) is not None:
        return hindrance
    if await overview.switch(action.tx, tenant, is_on=True):
        await note(action, Event.SSO_ENABLED, tenant, None)
    return ProviderResult.DONE


async def turn_off(action: Action, tenant: str, owner: Session | None = None) -> bool:
    """Turn a tenant's provider off, and let its people sign in without it. Returns whether anything changed."""
    await account_rows.lock_tenant(action.tx, tenant)
    was_required = await set_first(action, tenant, Factor.PASSWORD)
    was_on = await overview.switch(action.tx, tenant, is_on=False)
    if (found := await overview.find_connected(action.tx, tenant)) is not None:
        await origins.end_attempts(action.tx, found.id, action.now)
    if was_required:
        await note(action, Event.SSO_OPTIONAL, tenant, owner)
    if was_on:
        await note(action, Event.SSO_DISABLED, tenant, owner)
    if was_required or was_on:
        await tell_admins(action, tenant, "sso_rules", by=action.actor.name, what="off", names="")
    return was_required or was_on


async def make_optional(action: Action, tenant: str) -> bool:
    """Let a tenant's people sign in with their passwords, too. Returns whether they could not."""
    await account_rows.lock_tenant(action.tx, tenant)
    if not await set_first(action, tenant, Factor.PASSWORD):
        return False
    await note(action, Event.SSO_OPTIONAL, tenant, None)
    await tell_admins(action, tenant, "sso_rules", by=action.actor.name, what="optional", names="")
    return True


async def remove(action: Action, tenant: str) -> bool:
    """Turn a tenant's provider off and delete it, with its connections. Returns whether there was one."""
    found = await overview.find_connected(action.tx, tenant)
    if found is None:
        return False
    await turn_off(action, tenant)
    ended = await rows.remove_provider(action.tx, found.id, action.now)
    await note(action, Event.SSO_REMOVED, tenant, None, {"issuer": found.issuer, "sessions_ended": ended or 0})
    return True


async def note(
    action: Action, event: Event, tenant: str, owner: Session | None, details: Details | None = None
) -> None:
    """Write a row about a tenant: by the owner, or by the operator in the shell."""
    if owner is None:
        await action.record_about(event, tenant, details or {})
    else:
        await action.record_own(event, owner, {"tenant": tenant, **(details or {})}, tenant)
