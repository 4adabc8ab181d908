"""What a tenant's administrators do with the keys of their provider: make, try, use, remove.

    make the next one -> it is published beside the one in use -> a trial with it -> use it -> remove the former one

At no time does a sign-in depend on a key that the provider doesn't know yet.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.model.token import new_id
from gateway.sso import rows
from gateway.sso.keys import rows as keys
from gateway.sso.keys.rows import KeyState, StoredKey
from gateway.sso.oidc.assertion import NewKey, algorithm_for, make_key
from gateway.sso.oidc.record import Provider
from gateway.sso.rows import Registered
from gateway.store import Store, Transaction


class KeyResult(Enum):
    DONE = "done"
    NOT_THERE = "not_there"
    NOT_TRIED = "not_tried"
    THERE_ALREADY = "there_already"


@dataclass(frozen=True, slots=True)
class Keys:
    registered: Registered | None
    all: Sequence[StoredKey]

    def find(self, state: str) -> StoredKey | None:
        return next((key for key in self.all if key.state == state), None)


async def prepare(provider: Provider, now: int) -> NewKey:
    """Make a key for a provider, in a thread: an RSA key takes a while."""
    return await asyncio.to_thread(make_key, new_id("key"), provider.kind, f"Single sign-on {provider.tenant}", now)


async def ensure(tx: Transaction, sealer: Sealer, provider: Provider, made: NewKey | None, now: int) -> None:
    """See to it that a key is in use which fits the provider: if there is none, the one that was `made`."""
    current = await keys.find(tx, provider.id, KeyState.CURRENT)
    if made is None or (current is not None and current.algorithm == algorithm_for(provider.kind)):
        return
    await keys.move(tx, provider.id, KeyState.CURRENT, KeyState.FORMER)
    await keys.add(tx, sealer, provider.id, KeyState.CURRENT, made, now)


class KeyService:
    def __init__(self, store: Store, actions: Actions, sealer: Sealer) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer

    async def look(self, tenant: str) -> Keys:
        async with self._store.reading() as tx:
            found = await rows.find_of_tenant(tx, self._sealer, tenant)
            return Keys(found, await keys.find_all(tx, found.provider.id) if found else ())

    async def find_next(self, tenant: str) -> Registered | None:
        """Return the provider with the next key in the place of what is in use, for a trial."""
        async with self._store.reading() as tx:
            found = await rows.find_of_tenant(tx, self._sealer, tenant)
            key = await keys.open_key(tx, self._sealer, found.provider.id, KeyState.NEXT) if found else None
        return replace(found, provider=replace(found.provider, client_key=key)) if found and key else None

    async def publish(self, tenant: str) -> list[dict[str, object]]:
        """Return the public keys of a tenant's provider, as JWKs."""
        return [json.loads(key.public) for key in (await self.look(tenant)).all]

    async def make(self, author: Session, inbound: Inbound, now: int) -> KeyResult:
        found = (await self.look(author.tenant)).registered
        if found is None:
            return KeyResult.NOT_THERE
        made = await prepare(found.provider, now)
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            provider = await self._find(action, author.tenant)
            if provider is None or provider.kind is not found.provider.kind:
                return KeyResult.NOT_THERE
            if await keys.find(action.tx, provider.id, KeyState.NEXT) is not None:
                return KeyResult.THERE_ALREADY
            await keys.add(action.tx, self._sealer, provider.id, KeyState.NEXT, made, now)
            await action.record_own(Event.SSO_KEY_MADE, author, {"key": made.key.id})
            return KeyResult.DONE

    async def use(self, author: Session, inbound: Inbound, now: int) -> KeyResult:
        """Use the next key from now on. It has to be tried out."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            provider = await self._find(action, author.tenant)
            key = await keys.find(action.tx, provider.id, KeyState.NEXT) if provider else None
            if provider is None or key is None:
                return KeyResult.NOT_THERE
            if key.tried_at is None:
                return KeyResult.NOT_TRIED
            await keys.move(action.tx, provider.id, KeyState.CURRENT, KeyState.FORMER)
            await keys.move(action.tx, provider.id, KeyState.NEXT, KeyState.CURRENT)
            await rows.sign(action.tx, provider.id, key.tried_at)
            await action.record_own(Event.SSO_KEY_USED, author, {"key": key.id})
            return KeyResult.DONE

    async def remove(self, author: Session, state: KeyState, inbound: Inbound, now: int) -> KeyResult:
        """Remove the former key, or the next one."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            provider = await self._find(action, author.tenant)
            key = await keys.find(action.tx, provider.id, state) if provider else None
            if provider is None or key is None or state is KeyState.CURRENT:
                return KeyResult.NOT_THERE
            await keys.remove(action.tx, provider.id, state)
            await action.record_own(Event.SSO_KEY_REMOVED, author, {"key": key.id})
            return KeyResult.DONE

    async def _find(self, action: Action, tenant: str) -> Provider | None:
        found = await rows.find_of_tenant(action.tx, self._sealer, tenant)
        return found.provider if found else None
