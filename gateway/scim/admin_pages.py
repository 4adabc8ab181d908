"""/admin/sso/provisioning: a tenant's administrators make and revoke the tokens of their provider."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.model.secret import Secret
from gateway.scim.pages import base_of
from gateway.scim.tokens import MAX_DAYS, TokenProblem, TokenService
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

DONE = ("revoked", "proved")
DAYS = (90, 180, 365)


class Needs(Platform, Protocol):
    @property
    def scim_tokens(self) -> TokenService: ...


class ProvisioningPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.scim_tokens
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/provisioning"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso/provisioning: `do` (created, revoked), `days` or `token` (its id)."""
        form, author = await read_form(request), signed_in_of(request)
        visit = visit_of(request)
        if form.text("do") == "created":
            made = await self._service.make(author, read_days(form.text("days")), visit.inbound, visit.now)
            if isinstance(made, TokenProblem):
                return await self._page(request, problem=made.value)
            return await self._page(request, made=made)
        if form.text("do") != "revoked":
            raise web.HTTPBadRequest
        if not form.is_confirmed:
            return self._renderer.page("scim/revoke.html", visit, token=form.text("token"))
        failed = await self._service.revoke(author, form.text("token"), visit.inbound, visit.now)
        if failed is not None:
            return await self._page(request, problem=failed.value)
        return see_other(f"{self._url('admin_sso_provisioning')}?done=revoked")

    async def _page(self, request: web.Request, problem: str = "", made: Secret[str] | None = None) -> web.Response:
        """Show the page. A new token is in this response and nowhere else."""
        visit, done = visit_of(request), request.query.get("done", "")
        return self._renderer.page(
            "scim/provisioning.html",
            visit,
            status=422 if problem else 200,
            problem=problem,
            done=done if done in DONE else "",
            overview=await self._service.look(signed_in_of(request).tenant, visit.now),
            made=made.reveal() if made else "",
            days=DAYS,
            base=base_of(self._url),
        )


def read_days(text: str) -> int:
    """Return how long a token is to be good. Raises HTTPBadRequest."""
    if not text.isdecimal() or not text.isascii() or len(text) > 3 or not 0 < int(text) <= MAX_DAYS:
        raise web.HTTPBadRequest
    return int(text)
