"""/me/security/sso: people disconnect their own account from their company's provider."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, requester
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sso import origins, rows
from gateway.sso.factor import has_another_way
from gateway.sso.rows import Connection
from gateway.store import Store
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of


class ConnectionService:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def find(self, session: Session) -> Connection | None:
        """Return the connection of the account, if another way in would remain without it."""
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
            if account is None or not has_another_way(session, account):
                return None
            return await rows.find_connection(tx, account.id)

    async def remove(self, session: Session, inbound: Inbound, now: int) -> bool:
        """Disconnect the account, end what the provider has opened elsewhere, and mail.

        Returns False if it isn't connected, or has no other way in.
        """
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await account_rows.find(action.tx, session.account, lock=True)
            if account is None or not has_another_way(session, account):
                return False
            connection = await rows.find_connection(action.tx, account.id)
            if connection is None or not await rows.remove_links_of(action.tx, account.id):
                return False
            ended = await origins.end_of_account(action.tx, account.id, now, session.id)
            await action.record(Event.SSO_UNLINKED, account, {"issuer": connection.issuer, "sessions_ended": ended})
            await action.notify("sso_unlinked", account, issuer=connection.issuer)
            return True


class Needs(Platform, Protocol):
    @property
    def connections(self) -> ConnectionService: ...


class ConnectionPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.connections
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/sso: ask whether to disconnect."""
        connection = await self._service.find(signed_in_of(request))
        if connection is None:
            return see_other(self._url("security"))
        return self._renderer.page("sso/disconnect.html", visit_of(request), connection=connection)

    async def disconnect(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/sso"""
        await read_form(request)
        visit = visit_of(request)
        is_done = await self._service.remove(signed_in_of(request), visit.inbound, visit.now)
        return see_other(self._url("security") + ("?done=disconnected" if is_done else ""))
