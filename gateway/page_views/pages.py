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
from gateway.web.rendering import Renderer
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


class OwnViews:
    """Pages about one's own devices."""

    def __init__(self, needs: Needs) -> None:
        self._store = needs.store
        self._service = needs.page_views
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/sessions/views: `session`, and `before`, a place in its list; without them, all sessions."""
        reader = Reader(signed_in_of(request).account, None)
        context: dict[str, Any] = {"name": "", "back": self._url("sessions"), "fields": {}, "page": "sessions_views"}
        return await show(self._service, self._renderer, request, reader, context)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/views/export"""
        await read_form(request)
        return await stream(self._store, request, Reader(signed_in_of(request).account, None))


class PersonViews:
    """Pages about a person, for an administrator of the same tenant."""

    def __init__(self, needs: Needs) -> None:
        self._store = needs.store
        self._service = needs.page_views
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/views: `account`, `session`, `before`."""
        account_id, session = asked_of(request, "account")[:MAX_ID], asked_of(request, "session")[:MAX_ID]
        admin = PEOPLE.admin_of(request)
        person = await self._service.admit(admin, account_id, Event.PAGE_VIEWS_READ, {"device": session or "all"})
        if person is None:
            raise web.HTTPNotFound
        fields = {"account": account_id}
        context: dict[str, Any] = {
            "name": person.name,
            "back": f"{self._url('accounts_member')}?{urlencode(fields)}",
            "fields": fields,
            "page": "accounts_views",
        }
        return await show(self._service, self._renderer, request, Reader(account_id, admin.tenant), context)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/views/export: `account`."""
        account_id, admin = (await read_form(request)).text("account")[:MAX_ID], PEOPLE.admin_of(request)
        details = {"format": Format.CSV.value}
        if await self._service.admit(admin, account_id, Event.PAGE_VIEWS_EXPORTED, details) is None:
            raise web.HTTPNotFound
        return await stream(self._store, request, Reader(account_id, admin.tenant))


async def show(
    service: PageViewService, renderer: Renderer, request: web.Request, reader: Reader, context: dict[str, Any]
) -> web.Response:
    """Show the sessions, or the views of one. `context` has the person's name and the addresses of links."""
    wanted = asked_of(request, "session")[:MAX_ID]
    if not wanted:
        sessions = await service.list_sessions(reader)
        await label_all(viewed.device.agent for viewed in sessions)
        context |= {"sessions": sessions, "keep_days": service.keep_days, "is_all": len(sessions) < MAX_SESSIONS}
        return await renderer.long_page("page_views/sessions.html", visit_of(request), label=label, **context)
    before = read_place(asked_of(request, "before"))
    page = await service.look_at(reader, wanted, before)
    await label_all([page.device.agent])
    return await renderer.long_page(
        "page_views/views.html",
        visit_of(request),
        label=label,
        device=page.device,
        query=urlencode({**context["fields"], "session": wanted}),
        days=by_day(page.views),
        is_first=before is None,
        older="{}.{}".format(*page.older) if page.older else "",
        **context,
    )


def read_place(text: str) -> tuple[int, int] | None:
    found = PLACE.fullmatch(text)
    place = (int(found[1]), int(found[2])) if found else None
    return place if place and place[1] <= LARGEST else None


async def stream(store: Store, request: web.Request, reader: Reader) -> web.StreamResponse:
    """Send all views as a CSV file."""
    pieces = as_bytes(store, reader, Format.CSV)
    return await send_file(request, pieces, "page-views.csv", Format.CSV.content_type)
