"""The pages that save a form and show it. The dispatcher forwards it when its button is pressed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from aiohttp import web

from gateway.dispatch.forms.record import MAX_BYTES, describe, read_form
from gateway.dispatch.forms.service import KeptForms, Receipt
from gateway.model.clock import DAY
from gateway.web.platform import Platform
from gateway.web.redirects import see_other, set_cookie
from gateway.web.return_to import lost_query, way_query
from gateway.web.visit import Visit, visit_of
from gateway.wire.cookies import FORM_COOKIE

COOKIE_SECONDS = 30 * DAY  # longer than forms are saved, because the forms of several tabs share it


class Needs(Platform, Protocol):
    @property
    def kept_forms(self) -> KeptForms: ...
    @property
    def origins(self) -> Collection[str]: ...


class FormPages:
    """`origins` are those of the site."""

    def __init__(self, needs: Needs) -> None:
        self._forms = needs.kept_forms
        self._origins = needs.origins
        self._renderer = needs.renderer
        self._url = needs.url

    async def keep(self, request: web.Request) -> web.StreamResponse:
        """Save a form that can't be forwarded now, and redirect to the sign-in page. Called through the dispatcher."""
        visit = visit_of(request)
        account = await self._forms.find_sender(visit.inbound, visit.session, visit.now)
        body = await read_body(request) if account else None
        if account is None or body is None:
            return self._not_kept(visit)
        form = read_form(visit.inbound, body)
        receipt = await self._forms.keep(account, form, visit.inbound, visit.now) if describe(form) else None
        return self._kept(receipt) if receipt else self._not_kept(visit)

    async def keep_foreign(self, request: web.Request) -> web.StreamResponse:
        """Save a form of another site, where the access file allows it. Called through the dispatcher."""
        visit = visit_of(request)
        body = await read_body(request)
        form = read_form(visit.inbound, body, is_foreign=True) if body is not None else None
        is_shown = form is not None and describe(form) is not None
        receipt = await self._forms.keep_foreign(form, visit.inbound, visit.now) if form and is_shown else None
        return self._kept(receipt) if receipt else self._not_kept(visit)

    def _kept(self, receipt: Receipt) -> web.Response:
        response = see_other(self._url("form", token=receipt.token.reveal()))
        if receipt.browser is not None:
            set_cookie(response, FORM_COOKIE.decode("ascii"), receipt.browser, COOKIE_SECONDS)
        return response

    def _not_kept(self, visit: Visit) -> web.Response:
        way, lost = way_query(visit.inbound, self._origins), lost_query(visit.inbound, self._origins)
        return see_other(f"{self._url('login')}?{way}&{lost}")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login/form/{token}; `show=1` unmasks fields that look secret."""
        visit = visit_of(request)
        if visit.signed_in is None:
            raise web.HTTPForbidden
        kept = await self._forms.find(request.match_info["token"], visit.signed_in.account, visit.inbound, visit.now)
        shown = describe(kept.form) if kept else None
        if kept is None or shown is None:
            return self._renderer.page("dispatch/form-gone.html", visit, status=410)
        is_unmasked = request.query.get("show") == "1"
        response = self._renderer.page(
            "dispatch/form-kept.html", visit, form=kept.form, shown=shown, is_unmasked=is_unmasked
        )
        response.headers["Referrer-Policy"] = "same-origin"  # the Referer identifies the form (see late.py)
        return response


async def read_body(request: web.Request) -> bytes | None:
    """Return the whole body, or None if it exceeds MAX_BYTES."""
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > MAX_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
