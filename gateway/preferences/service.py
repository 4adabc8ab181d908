"""Changes preferences. They are no security setting, so the audit log has only the tenant's."""

from __future__ import annotations

from gateway.accounts.authors import find_author, is_admin
from gateway.actions.action import Actions, requester
from gateway.languages.catalogue import OFFERED
from gateway.languages.zones import find_zone
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.preferences import rows
from gateway.store import Store


class PreferenceService:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def of_tenant(self, tenant: str) -> str:
        async with self._store.reading() as tx:
            return await rows.find_of_tenant(tx, tenant)

    async def change_own(self, person: Session, language: str, zone: str, inbound: Inbound, now: int) -> None:
        """Set what a person has chosen; "" and what is not on offer stand for the browser's."""
        async with self._actions.begin(requester(inbound, person.id), now) as action:
            if await find_author(action.tx, person):
                chosen = offered(language), zone if find_zone(zone) else ""
                await rows.set_of_account(action.tx, person.account, *chosen)

    async def change_tenant(self, author: Session, language: str, inbound: Inbound, now: int) -> None:
        """Set the language of the author's tenant; "" for that of the settings."""
        named = {"by": author.identifier, "name": author.name}
        async with self._actions.begin(requester(inbound, author.id, **named), now) as action:
            if await is_admin(action.tx, author):
                await rows.set_of_tenant(action.tx, author.tenant, offered(language))
                details = {"language": offered(language)}
                await action.record_own(Event.TENANT_LANGUAGE_CHANGED, author, details)


def offered(language: str) -> str:
    return language if language in OFFERED else ""
