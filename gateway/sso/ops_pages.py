"""/ops/sso: the owner sees all tenants' providers, turns one off, and grants and takes domains."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.accounts.claims import Claim, check_claim
from gateway.model.account import Unacceptable, check_tenant
from gateway.sso.admin_pages import PRODUCTS
from gateway.sso.oversight import Oversight
from gateway.tenants.pages import TenantResult, TenantService
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

CHANGES = ("off", "granted", "taken")
ASKED = ("off", "taken")


class Needs(Platform, Protocol):
    @property
    def oversight(self) -> Oversight: ...
    @property
    def tenants(self) -> TenantService: ...


class OversightPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.oversight
        self._tenants = needs.tenants
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/sso"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/sso: `do` (off, granted, taken), `tenant`, `domain`. Turning off and taking ask first."""
        form = await read_form(request)
        what = form.text("do")
        if what not in CHANGES:
            raise web.HTTPBadRequest
        try:
            tenant = check_tenant(form.text("tenant"))
            domain = check_claim(form.text("domain")) if what != "off" else ""
        except Unacceptable as error:
            return await self._page(request, problem=error.sentence, form=form)
        if what in ASKED and not form.is_confirmed:
            return await self._ask(request, what, tenant, domain)
        problem = await self._change(request, what, tenant, domain)
        if problem:
            return await self._page(request, problem=problem, form=form)
        return see_other(f"{self._url('ops_sso')}?done={what}")

    async def _change(self, request: web.Request, what: str, tenant: str, domain: str) -> str:
        """Make the change; return what hinders it, or ""."""
        owner, inbound, now = signed_in_of(request), visit_of(request).inbound, visit_of(request).now
        if what == "off":
            return "" if await self._service.turn_off(owner, tenant, inbound, now) else TenantResult.NOT_THERE.value
        change = self._tenants.claim if what == "granted" else self._tenants.release
        result = await change(owner, Claim(domain, tenant), inbound, now)
        return "" if result is TenantResult.DONE else result.value

    async def _ask(self, request: web.Request, what: str, tenant: str, domain: str) -> web.Response:
        """Ask for confirmation, with whom it concerns."""
        picture = await self._service.look()
        provider = next((one for one in picture.providers if one.tenant == tenant), None)
        is_on = provider is not None and (provider.is_enabled or provider.is_required)
        if not (is_on if what == "off" else Claim(domain, tenant) in picture.claims):
            return await self._page(request, problem=TenantResult.NOT_THERE.value)
        return self._renderer.page(
            "sso/ops-confirm.html", visit_of(request), what=what, tenant=tenant, domain=domain, provider=provider
        )

    async def _page(self, request: web.Request, *, problem: str = "", form: Form | None = None) -> web.Response:
        done = request.query.get("done", "")
        is_granting = form is not None and form.text("do") == "granted"
        return await self._renderer.long_page(
            "sso/ops.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            done=done if done in (*CHANGES, "proved") and not problem else "",
            picture=await self._service.look(),
            products=PRODUCTS,
            given=form.text("domain")[:253] if form and is_granting else "",
            chosen=form.text("tenant") if form and is_granting else "",
        )
