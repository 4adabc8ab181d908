"""A new email for an account: confirmed by the new address, told to the old one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.accounts import links, rows
from gateway.accounts.links import LinkState, MailedLink, Purpose
from gateway.audit import rows as audit
from gateway.audit.events import Event, entry_of
from gateway.edge.inbound import Inbound
from gateway.login.answers import see_other
from gateway.mail.notices import Notices
from gateway.pages import Renderer
from gateway.sealing import Sealer
from gateway.store import Store
from gateway.visit import visit_of


@dataclass(frozen=True, slots=True)
class EmailPaths:
    """Where the pages are."""

    login: str
    forgot: str


class EmailChange:
    """`owners` are normalised identifiers: nobody becomes one by a new email."""

    def __init__(self, store: Store, sealer: Sealer, notices: Notices, owners: frozenset[str]) -> None:
        self._store = store
        self._sealer = sealer
        self._notices = notices
        self._owners = owners

    async def look(self, token: str, now: int) -> MailedLink | LinkState | None:
        """Return a good link, or what has become of it. Changes nothing."""
        async with self._store.reading() as tx:
            link = await links.find(tx, self._sealer, Purpose.EMAIL_CHANGE, token)
        if link is None or link.account is None:
            return None
        state = link.state(now)
        return link if state is LinkState.GOOD else state

    async def confirm(self, token: str, inbound: Inbound, now: int) -> MailedLink | LinkState | None:
        """Give the account its new email. Of any number of equal requests, one does."""
        found = await self.look(token, now)
        if not isinstance(found, MailedLink) or found.account is None:
            return found
        async with self._store.transaction() as tx:
            account = await rows.find(tx, found.account, lock=True)
            if account is None or not await rows.is_welcome(tx, account):
                return None
            if {found.identifier, account.identifier} & self._owners:
                return None
            if not await links.consume(tx, found, now):
                return LinkState.USED
            if not await rows.set_identifier(tx, account.id, found.identifier):
                return None
            await links.void_all(tx, account.id, now)
            details = {"from": account.identifier, "to": found.identifier}
            await audit.record(tx, entry_of(Event.ACCOUNT_EMAIL_CHANGED, account, inbound, now, details))
            await self._notices.send(tx, "email_changed", account, inbound, now, new_email=found.identifier)
        return found


class EmailPages:
    def __init__(self, *, change: EmailChange, renderer: Renderer, paths: EmailPaths) -> None:
        self._change = change
        self._renderer = renderer
        self._paths = paths

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/email/{token}: a button, since mail scanners look at every link."""
        found = await self._change.look(request.match_info["token"], int(time.time()))
        if isinstance(found, MailedLink):
            return self._page("email-confirm.html", request, who=found.identifier)
        return self._dead(request, found)

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """POST /me/email/{token}"""
        inbound = visit_of(request).inbound
        done = await self._change.confirm(request.match_info["token"], inbound, int(time.time()))
        if isinstance(done, MailedLink):
            return see_other(f"{self._paths.login}?email-changed=1")
        return self._dead(request, done)

    def _dead(self, request: web.Request, state: LinkState | None) -> web.Response:
        told = state.value if state else "unknown"
        return self._page("link-dead.html", request, status=410 if state else 404, purpose="email", state=told)

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, paths=self._paths, **context)
