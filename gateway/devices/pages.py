"""/me/sessions, and the link of new-device mails."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.devices.revoke_link import RevokeLinks
from gateway.devices.service import DeviceService
from gateway.page_views.service import PageViewService
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.user_agents import label
from gateway.web.visit import read_form, signed_in_of, visit_of

DONE = ("revoked", "others")


class Needs(Platform, Protocol):
    @property
    def devices(self) -> DeviceService: ...
    @property
    def page_views(self) -> PageViewService: ...
    @property
    def revoke_links(self) -> RevokeLinks: ...


class DevicePages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.devices
        self._page_views = needs.page_views
        self._links = needs.revoke_links
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/sessions"""
        session = signed_in_of(request)
        devices = await self._service.list(session, visit_of(request).now)
        done = request.query.get("done", "")
        return await self._renderer.long_page(
            "devices/sessions.html",
            visit_of(request),
            devices=devices,
            standing=await self._page_views.stand(session),
            keep_days=self._page_views.keep_days,
            done=done if done in DONE else "",
        )

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/revoke: `session`."""
        wanted = (await read_form(request)).text("session")
        session = signed_in_of(request)
        is_ended = await self._service.end(session, wanted, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('sessions')}?done=revoked" if is_ended else self._url("sessions"))

    async def end_others(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/others"""
        await read_form(request)
        session = signed_in_of(request)
        await self._service.end_others(session, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('sessions')}?done=others")

    # The link of a mail needs no sign-in. GET changes nothing, because mail scanners open links.

    async def show_link(self, request: web.Request) -> web.StreamResponse:
        """GET /devices/revoke/{token}"""
        session_id = self._links.read(request.match_info["token"])
        if session_id is None:
            return self._page("devices/revoke.html", request, status=410, state="bad", device=None)
        row, is_open = await self._service.look(session_id)
        if row is None or not is_open:
            return self._page("devices/revoke.html", request, state="ended", device=None)
        return self._page("devices/revoke.html", request, state="open", device=label(row.user_agent), row=row)

    async def use_link(self, request: web.Request) -> web.StreamResponse:
        """POST /devices/revoke/{token}: end that session."""
        session_id = self._links.read(request.match_info["token"])
        if session_id is None:
            return self._page("devices/revoke.html", request, status=410, state="bad", device=None)
        is_ended = await self._service.end_by_link(session_id, visit_of(request).inbound, visit_of(request).now)
        return self._page("devices/revoke.html", request, state="done" if is_ended else "ended", device=None)

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, **context)
