"""Enforces the declarations of routes before their handlers run: blocked addresses, mail server, fresh proofs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from gateway.observe.logs import get_logger
from gateway.policy.freshness import stale_factor
from gateway.web.carried_form import CARRIED, PARAMETER, CarriedForm
from gateway.web.redirects import Steps, Wish
from gateway.web.rendering import Renderer
from gateway.web.return_to import quote_way
from gateway.web.routes import Fresh, Handler, Route, Urls
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of
from gateway.wire.failures import Failure

log = get_logger("pages")


class Block(Protocol):
    @property
    def until(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Guards:
    """`find_block` returns the block of an address at a time (UTC seconds). `carried` seals the fields of forms."""

    renderer: Renderer
    steps: Steps
    url: Urls
    has_mail: bool
    find_block: Callable[[str, int], Awaitable[Block | None]]
    carried: CarriedForm

    def guard(self, route: Route[Any], handler: Handler) -> Handler:
        """Wrap `handler` in the guards that its route declares."""
        if not self.has_mail and route.needs_mail:
            handler = self._show_no_mail(route.needs_mail)
        elif route.fresh is not None:
            handler = self._require_fresh_proof(route, route.fresh, handler)
        return self._refuse_blocked(handler) if route.refuses_blocked else handler

    def _refuse_blocked(self, handler: Handler) -> Handler:
        """Refuse blocked addresses, except people who are signed in: an office shares one address."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            visit = visit_of(request)
            now = visit.now
            block = None if visit.signed_in else await self.find_block(visit.inbound.address, now)
            if block is None:
                return await handler(request)
            log.warning("sign_in_from_blocked_address", request_id=visit.inbound.request_id)
            response = self.renderer.failure(Failure.ADDRESS_BLOCKED, visit.inbound.request_id)
            response.headers["Retry-After"] = str(block.until - now)
            return response

        return guarded

    def _show_no_mail(self, why: str) -> Handler:
        """Replace a page that needs a mail server by one that says what to do instead."""

        async def show(request: web.Request) -> web.StreamResponse:
            status = 200 if request.method in ("GET", "HEAD") else 503
            return self.renderer.page("web/no-mail.html", visit_of(request), status=status, why=why)

        return show

    def _require_fresh_proof(self, route: Route[Any], fresh: Fresh, handler: Handler) -> Handler:
        """Redirect to a factor's page and back if no fresh proof exists. The form's fields are lost, except `carry`
        and `form`.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            is_post = request.method == "POST"
            if fresh.form and not is_post:
                visit, sealed = visit_of(request), asked_of(request, PARAMETER)
                request[CARRIED] = self.carried.open(sealed, signed_in_of(request).account, visit.now)
            if fresh.only_post and not is_post:
                return await handler(request)
            # The form is read first: this re-authorises the session, and proofs may expire while the body arrives.
            given = await read_form(request) if is_post else Form({n: asked_of(request, n) for n in fresh.carry})
            if fresh.when is not None and not fresh.when(request, given):
                return await handler(request)
            factor = stale_factor(signed_in_of(request), visit_of(request).now, fresh.factors, fresh.seconds)
            if factor is None:
                return await handler(request)
            return self.steps.step(factor, Wish(self._return_path(request, route, fresh, given), again=True))

        return guarded

    def _return_path(self, request: web.Request, route: Route[Any], fresh: Fresh, given: Form) -> str:
        carried = [(name, given.text(name)) for name in fresh.carry]
        kept = {name: given.text(name) for name in fresh.form if name in given.fields}
        sealed = self.carried.seal(kept, signed_in_of(request).account, visit_of(request).now)
        fields = [*carried, (PARAMETER, sealed), ("done", "proved" if fresh.is_announced else "")]
        query = "&".join(f"{name}={quote_way(value)}" for name, value in fields if value)
        return self.url(fresh.back or route.name) + (f"?{query}" if query else "")
