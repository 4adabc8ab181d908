"""/me/sessions/views: page views of one's own devices; /admin/accounts/views: of a person of the tenant.

Each look at another person's page views is in the audit log.
"""

from __future__ import annotations

import re
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.people_set import PeopleSet
from gateway.audit.export import Format
from gateway.model.event import Event
from gateway.page_views.export import as_bytes
from gateway.page_views.rows import MAX_SESSIONS
from gateway.page_views.service import PageViewService, Reader, by_day
from gateway.store import Store
from gateway.web.downloads import send_file
from gateway.web.platform import Platform
from gateway.web.user_agents import label, label_all
from gateway.web.visit import asked_of, read_form, signed_in_of, visit_of

PLACE = re.compile(r"([0-9]{1,12})\.([0-9]{1,19})")  # the time and number of a view
LARGEST = 2**63 - 1
MAX_ID = 40
PEOPLE = PeopleSet("accounts", is_owners=False)


class Needs(Platform, Protocol):
    @property
    def store(self) -> Store: ...
    @property
    def page_views(self) -> PageViewService: ...


class ViewPages:
    """Shared by the pages about one's own devices and about another person's."""

    def __init__(self, needs: Needs) -> None:
        self._store = needs.store
        self._service = needs.page_views
        self._renderer = needs.renderer
        self._url = needs.url

    async def _show(
        self, request: web.Request, reader: Reader, page: str, back: str, name: str = "", **fields: str
    ) -> web.Response:
        """Show all sessions, or with `session` the views of one, from `before` on.

        `page` is the route, `fields` its query without these two; `name` is that of another person.
        """
        context: dict[str, Any] = {"page": page, "back": back, "name": name, "fields": fields, "label": label}
        wanted = asked_of(request, "session")[:MAX_ID]
        if wanted:
            return await self._show_one(request, reader, wanted, context, urlencode({**fields, "session": wanted}))
        sessions = await self._service.list_sessions(reader)
        await label_all(viewed.device.agent for viewed in sessions)
        return await self._renderer.long_page(
            "page_views/sessions.html",
            visit_of(request),
            sessions=sessions,
            keep_days=self._service.keep_days,
            is_all=len(sessions) < MAX_SESSIONS,
            **context,
        )

    async def _show_one(
        self, request: web.Request, reader: Reader, session: str, context: dict[str, Any], query: str
    ) -> web.Response:
        before = read_place(asked_of(request, "before"))
        page = await self._service.look_at(reader, session, before)
        await label_all([page.device.agent])
        return await self._renderer.long_page(
            "page_views/views.html",
            visit_of(request),
            device=page.device,
            query=query,
            days=by_day(page.views),
            is_first=before is None,
            older="{}.{}".format(*page.older) if page.older else "",
            **context,
        )

    async def _export(self, request: web.Request, reader: Reader) -> web.StreamResponse:
        pieces = as_bytes(self._store, reader, Format.CSV)
        return await send_file(request, pieces, "page-views.csv", Format.CSV.content_type)


class OwnViews(ViewPages):
    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/sessions/views: `session`, and `before`, a place in its list; without them, all sessions."""
        reader = Reader(signed_in_of(request).account, None)
        return await self._show(request, reader, "sessions_views", back=self._url("sessions"))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/views/export"""
        await read_form(request)
        return await self._export(request, Reader(signed_in_of(request).account, None))


class PersonViews(ViewPages):
    """About a person of the administrator's tenant."""

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/views: `account`, `session`, `before`."""
        account_id, session = asked_of(request, "account")[:MAX_ID], asked_of(request, "session")[:MAX_ID]
        admin = PEOPLE.admin_of(request)
        person = await self._service.admit(admin, account_id, Event.PAGE_VIEWS_READ, {"device": session or "all"})
        if person is None:
            raise web.HTTPNotFound
        back = f"{self._url('accounts_member')}?{urlencode({'account': account_id})}"
        reader = Reader(account_id, admin.tenant)
        return await self._show(request, reader, "accounts_views", back, person.name, account=account_id)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/views/export: `account`."""
        account_id, admin = (await read_form(request)).text("account")[:MAX_ID], PEOPLE.admin_of(request)
        details = {"format": Format.CSV.value}
        if await self._service.admit(admin, account_id, Event.PAGE_VIEWS_EXPORTED, details) is None:
            raise web.HTTPNotFound
        return await self._export(request, Reader(account_id, admin.tenant))


def read_place(text: str) -> tuple[int, int] | None:
    found = PLACE.fullmatch(text)
    place = (int(found[1]), int(found[2])) if found else None
    return place if place and place[1] <= LARGEST else None
