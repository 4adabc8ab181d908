"""/admin/sso/required: whether everyone has to sign in with the provider, and which administrators are exempt."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.sso.required import MIN_EXEMPT, Obstacle, Requirement, State
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

FIELD = "exempt_"
DONE = ("saved", "required", "optional", "proved")


class Needs(Platform, Protocol):
    @property
    def requirement(self) -> Requirement: ...


class RequiredPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.requirement
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/required"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso/required: `do` (saved, required, optional); saved takes `exempt_` and ids of accounts."""
        form, author, visit = await read_form(request), signed_in_of(request), visit_of(request)
        what, obstacle = form.text("do"), None
        if what == "saved":
            obstacle = await self._service.exempt(author, chosen_of(form), visit.inbound, visit.now)
        elif what in ("required", "optional") and not form.is_confirmed:
            state = await self._service.look(author.tenant)
            obstacle = find_obstacle(state) if what == "required" else None
            if obstacle is None:
                return self._renderer.page("sso/required-confirm.html", visit, what=what, state=state)
        elif what == "required":
            obstacle = await self._service.demand(author, visit.inbound, visit.now)
        elif what == "optional":
            await self._service.release(author, visit.inbound, visit.now)
        else:
            raise web.HTTPBadRequest
        if obstacle is not None:
            return await self._page(request, obstacle)
        return see_other(f"{self._url('admin_sso_required')}?done={what}")

    async def _page(self, request: web.Request, obstacle: Obstacle | None = None) -> web.Response:
        state, done = await self._service.look(signed_in_of(request).tenant), request.query.get("done", "")
        return self._renderer.page(
            "sso/required.html",
            visit_of(request),
            status=422 if obstacle else 200,
            problem=obstacle,
            done=done if done in DONE else "",
            state=state,
            least=MIN_EXEMPT,
        )


def chosen_of(form: Form) -> set[str]:
    """Return the ids of the accounts that are ticked."""
    return {name.removeprefix(FIELD) for name in form.fields if name.startswith(FIELD)}


def find_obstacle(state: State) -> Obstacle | None:
    if not state.is_on:
        return Obstacle.NOT_ON
    return None if state.is_safe else Obstacle.TOO_FEW
