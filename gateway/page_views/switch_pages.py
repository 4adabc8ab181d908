"""/ops/page-views: the owner has page views of a tenant recorded, with a reason that its people are told."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.model.account import Unacceptable, check_tenant
from gateway.model.sentence import Sentence
from gateway.page_views.service import PageViewService, check_reason
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("on", "off", "proved")
ALREADY = Sentence("There is no such tenant, or its page views are being recorded already.")


class Needs(Platform, Protocol):
    @property
    def page_views(self) -> PageViewService: ...
    @property
    def reaches(self) -> Reaches: ...


class SwitchPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.page_views
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/page-views"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/page-views: `do` (on, off), `tenant`, `reason`. Switching on asks for confirmation."""
        form, owner, visit = await read_form(request), signed_in_of(request), visit_of(request)
        what = form.text("do")
        if what not in ("on", "off"):
            raise web.HTTPBadRequest
        try:
            tenant = check_tenant(form.text("tenant"))
            reason = check_reason(form.text("reason")) if what == "on" else ""
        except Unacceptable as error:
            return await self._page(request, problem=error.sentence, form=form)
        if what == "off":
            await self._service.turn_off(owner, tenant, visit.inbound, visit.now)
        elif not form.is_confirmed:
            return await self._ask(request, form, tenant, reason)
        elif not await self._service.turn_on(owner, tenant, reason, visit.inbound, visit.now):
            return await self._page(request, problem=ALREADY, form=form)
        return see_other(f"{self._url('ops_page_views')}?done={what}")

    async def _ask(self, request: web.Request, form: Form, tenant: str, reason: str) -> web.Response:
        tenants, switches = await self._service.look()
        if tenant in switches or all(known.slug != tenant for known in tenants):
            return await self._page(request, problem=ALREADY, form=form)
        return self._renderer.page(
            "page_views/confirm.html",
            visit_of(request),
            tenant=tenant,
            reason=reason,
            keep_days=self._service.keep_days,
            reach=await self._reaches.of_tenant(tenant, visit_of(request).now),
        )

    async def _page(
        self, request: web.Request, *, problem: Sentence | None = None, form: Form | None = None
    ) -> web.Response:
        tenants, switches = await self._service.look()
        done = request.query.get("done", "")
        return await self._renderer.long_page(
            "page_views/switch.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            is_wrong=problem not in (None, ALREADY),
            done=done if done in DONE and not problem else "",
            switches=switches,
            others=[tenant.slug for tenant in tenants if tenant.slug not in switches],
            keep_days=self._service.keep_days,
            chosen=form.text("tenant") if form else "",
            reason=form.text("reason")[:200] if form else "",
        )
