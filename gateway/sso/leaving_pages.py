"""What a provider calls to sign people out here, and the page after signing out that leads to the provider."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.login.outcome import LockedOut
from gateway.sso.leaving import Leaving
from gateway.sso.oidc.record import Refusal, Refused
from gateway.sso.oidc.request import read_query
from gateway.web.redirects import see_other
from gateway.web.rendering import Renderer, seconds_until
from gateway.web.routes import Urls
from gateway.web.visit import read_form, visit_of


class Needs(Protocol):
    @property
    def leaving(self) -> Leaving: ...
    @property
    def renderer(self) -> Renderer: ...
    @property
    def url(self) -> Urls: ...


class LeavingPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.leaving
        self._renderer = needs.renderer
        self._url = needs.url

    async def take_token(self, request: web.Request) -> web.Response:
        """POST /login/sso/logout/{tenant}: `logout_token`, from the provider (Back-Channel Logout 1.0 §2.5 to 2.8)."""
        try:
            token = (await read_form(request)).text("logout_token")
        except web.HTTPClientError:
            return refuse(Refusal.MALFORMED.value)
        visit = visit_of(request)
        outcome = await self._service.end_by_token(request.match_info["tenant"], token, visit.inbound, visit.now)
        if isinstance(outcome, LockedOut):
            return refuse("too many tokens were refused", 429, seconds_until(outcome.until, visit.now))
        return refuse(outcome.reason.value) if isinstance(outcome, Refused) else web.Response()

    async def take_frame(self, request: web.Request) -> web.Response:
        """GET /login/sso/logout/{tenant}: `iss`, `sid`, in a frame of the provider (Front-Channel Logout 1.0 §2, 3).

        The answer is an empty page, whatever was done. Entra ID sends only `sid`.
        """
        visit, query = visit_of(request), read_query(request.rel_url.raw_query_string)
        given = {} if isinstance(query, Refused) or request.method == "HEAD" else query
        origins = await self._service.end_by_page(
            request.match_info["tenant"], given.get("iss", ""), given.get("sid", ""), visit.inbound, visit.now
        )
        return self._renderer.frame(origins)

    async def show(self, request: web.Request) -> web.Response:
        """GET /login/sso/left/{token}: signed out here; the way to sign out at the provider too."""
        address = await self._service.find_way_on(request.match_info["token"], visit_of(request).now)
        if not address:
            return see_other(f"{self._url('login')}?signed-out=1")
        return self._renderer.page("sso/left.html", None, address=address)


def refuse(why: str, status: int = 400, wait: int = 0) -> web.Response:
    """Return the answer to a logout token that was refused (Back-Channel Logout 1.0 §2.8)."""
    response = web.json_response({"error": "invalid_request", "error_description": why}, status=status)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response
