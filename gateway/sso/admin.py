"""What a tenant's administrators do with their identity provider: connect, try, switch on and off, remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from gateway.accounts import claims
from gateway.accounts.authors import is_admin
from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sso import rows
from gateway.sso.keys import rows as keys
from gateway.sso.keys.rows import KeyState, StoredKey
from gateway.sso.keys.service import ensure, prepare
from gateway.sso.oidc.assertion import NewKey
from gateway.sso.required import is_required
from gateway.sso.rows import Registered
from gateway.store import Store, Transaction


class ProviderResult(Enum):
    DONE = "done"
    NOT_THERE = "not_there"
    NOT_TRIED = "not_tried"  # switching it on needs a trial that went well since the last change
    NO_DOMAIN = "no_domain"  # and a domain
    REQUIRED = "required"  # all people have to sign in with it
    KEY_NOT_TRIED = "key_not_tried"  # it is on, and would not know the key that signs from now on


@dataclass(frozen=True, slots=True)
class Overview:
    """`linked` people sign in with it; `domains` lead to it. `key` is ours that it knows, if we sign."""

    registered: Registered | None
    linked: int
    domains: tuple[str, ...]
    key: StoredKey | None = None


class ProviderService:
    def __init__(self, store: Store, actions: Actions, sealer: Sealer) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer

    async def look(self, tenant: str) -> Overview:
        async with self._store.reading() as tx:
            found = await rows.find_of_tenant(tx, self._sealer, tenant)
            linked = await rows.count_links(tx, found.provider.id) if found else 0
            own = tuple(claim.domain for claim in await claims.list_all(tx) if claim.tenant == tenant)
            key = await keys.find(tx, found.provider.id, KeyState.CURRENT) if found else None
        return Overview(found, linked, own, key)

    async def save(self, author: Session, wanted: Registered, inbound: Inbound, now: int) -> ProviderResult:
        """Store the provider, as `keep` does."""
        made = await prepare(wanted.provider, now) if wanted.signs else None
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            if not await is_admin(action.tx, author):  # any more, after the key was made
                return ProviderResult.NOT_THERE
            result = await keep(action, self._sealer, wanted, made)
            if isinstance(result, ProviderResult):
                return result
            details: Details = {
                "issuer": wanted.provider.issuer,
                "creates_accounts": wanted.creates_accounts,
                **({"sessions_ended": result} if result else {}),
            }
            await action.record_own(Event.SSO_CHANGED, author, details)
            return ProviderResult.DONE

    async def switch(self, author: Session, is_on: bool, inbound: Inbound, now: int) -> ProviderResult:
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            found = await self._find(action, author)
            if found is None:
                return ProviderResult.NOT_THERE
            if not is_on and await is_required(action.tx, author.tenant):
                return ProviderResult.REQUIRED
            if is_on and (hindrance := await find_hindrance(action.tx, author.tenant, found.tried_at)) is not None:
                return hindrance
            switched = replace(found, provider=replace(found.provider, is_enabled=is_on))
            await rows.put_provider(action.tx, self._sealer, switched, now)
            await action.record_own(Event.SSO_ENABLED if is_on else Event.SSO_DISABLED, author)
            return ProviderResult.DONE

    async def remove(self, author: Session, inbound: Inbound, now: int) -> ProviderResult:
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            found = await self._find(action, author)
            if found is not None and await is_required(action.tx, author.tenant):
                return ProviderResult.REQUIRED
            ended = await rows.remove_provider(action.tx, found.provider.id, now, author.id) if found else None
            if found is None or ended is None:
                return ProviderResult.NOT_THERE
            details: Details = {"issuer": found.provider.issuer, "sessions_ended": ended}
            await action.record_own(Event.SSO_REMOVED, author, details)
            return ProviderResult.DONE

    async def _find(self, action: Action, author: Session) -> Registered | None:
        """Return the provider of the author's tenant, if the author still administers it."""
        if not await is_admin(action.tx, author):
            return None
        return await rows.find_of_tenant(action.tx, self._sealer, author.tenant)


async def keep(action: Action, sealer: Sealer, wanted: Registered, made: NewKey | None = None) -> ProviderResult | int:
    """Store a provider. Returns how many sessions that ended, or what hinders it.

    Another issuer, client or product has to be tried again, and is off until then. A new secret of the same client
    changes nothing else: the old one may be about to expire. If it `signs`, and has no key that fits, the one that was
    `made` is used.
    """
    tenant = wanted.provider.tenant
    before = await rows.find_of_tenant(action.tx, sealer, tenant)
    is_new = before is None or is_another(before, wanted)
    if wanted.signs and before is not None and not before.signs and before.provider.is_enabled and not is_new:
        return ProviderResult.KEY_NOT_TRIED
    if is_new and await is_required(action.tx, tenant):
        return ProviderResult.REQUIRED
    if before is None or is_new:
        wanted = replace(wanted, provider=replace(wanted.provider, is_enabled=False), tried_at=None)
    else:
        provider = replace(wanted.provider, is_enabled=before.provider.is_enabled)
        wanted = replace(wanted, provider=provider, tried_at=before.tried_at)
    ended = await rows.put_provider(action.tx, sealer, wanted, action.now, action.actor.session)
    if before is not None and is_of_other(before, wanted):
        await keys.forget(action.tx, wanted.provider.id)  # no key is shown to two providers
    if wanted.signs:
        await ensure(action.tx, sealer, wanted.provider, made, action.now)
    elif before is not None and before.signs:
        await keys.move(action.tx, wanted.provider.id, KeyState.CURRENT, KeyState.FORMER)
    return ended


async def find_hindrance(tx: Transaction, tenant: str, tried_at: int | None) -> ProviderResult | None:
    """Return why a provider can't be turned on, or None."""
    if tried_at is None:
        return ProviderResult.NOT_TRIED
    has_domain = any(claim.tenant == tenant for claim in await claims.list_all(tx))
    return None if has_domain else ProviderResult.NO_DOMAIN


def is_of_other(before: Registered, wanted: Registered) -> bool:
    """Whether it is another client, or that of another issuer."""
    old, new = before.provider, wanted.provider
    return (old.issuer, old.client_id) != (new.issuer, new.client_id)


def is_another(before: Registered, wanted: Registered) -> bool:
    """Whether it has to be tried again."""
    old, new = before.provider, wanted.provider
    if wanted.signs and not before.signs and not old.is_enabled:
        return True  # it gets a new key
    return (old.kind, old.issuer, old.client_id, old.scopes) != (new.kind, new.issuer, new.client_id, new.scopes)
