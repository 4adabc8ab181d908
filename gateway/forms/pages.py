"""The page that shows a kept form and asks whether to send it. Sending it is the front's part."""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlencode

from aiohttp import web

from gateway.edge.return_to import NOT_KEPT, way_back
from gateway.forms.record import MAX_BYTES, describe, read_form
from gateway.forms.service import KeptForms
from gateway.login.answers import see_other
from gateway.pages import Renderer
from gateway.visit import visit_of


class FormPages:
    """`path` is where a kept form is shown, up to its token; `origins` are those of the site."""

    def __init__(
        self, *, forms: KeptForms, renderer: Renderer, path: str, sign_in_path: str, origins: Iterable[str]
    ) -> None:
        self._forms = forms
        self._renderer = renderer
        self._path = path
        self._sign_in_path = sign_in_path
        self._origins = origins

    async def keep(self, request: web.Request) -> web.StreamResponse:
        """A form that can't be forwarded now (handed over by the front): keep it, and ask to sign in."""
        visit, now = visit_of(request), int(time.time())
        account = await self._forms.whose(visit.inbound, visit.session)
        body = await read_body(request) if account else None
        if account is not None and body is not None:
            token = await self._forms.keep(account, read_form(visit.inbound, body), visit.inbound, now)
            if token is not None:
                return see_other(f"{self._path}{token.reveal()}")
        query = urlencode({"next": way_back(visit.inbound, self._origins), NOT_KEPT: "1"}, safe="/")
        return see_other(f"{self._sign_in_path}?{query}")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login/form/{token}"""
        visit, now = visit_of(request), int(time.time())
        if visit.signed_in is None:
            raise web.HTTPForbidden
        kept = await self._forms.find(request.match_info["token"], visit.signed_in.account, now)
        if kept is None:
            return self._renderer.page("form-gone.html", visit, status=410)
        response = self._renderer.page("form-kept.html", visit, kept=kept, fields=describe(kept.form))
        response.headers["Referrer-Policy"] = "same-origin"  # its button says so which form is meant (see late.py)
        return response


async def read_body(request: web.Request) -> bytes | None:
    """Return the whole body, or None if it is larger than what is kept."""
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > MAX_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
