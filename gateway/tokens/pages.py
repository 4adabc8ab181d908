"""/me/tokens, and the address at which a token that was found is revoked."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.model.account import Role
from gateway.tokens.forms import DAYS, DEFAULT_DAYS, Unfit, read_wanted
from gateway.tokens.service import APITokens, Created, outranks
from gateway.web.carried_form import carried_of
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("revoked", "proved")
FIRST = {"days": str(DEFAULT_DAYS), "access": "read"}
FIELDS = ("name", "days", "role", "access", "paths", "networks")
"""The form for a new token. It comes back sealed after a proof that was asked for (see web.carried_form)."""


class Needs(Platform, Protocol):
    @property
    def tokens(self) -> APITokens: ...


class TokenPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.tokens
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/tokens"""
        return await self._page(request)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /me/tokens: `name`, `days`, `role`, `access` (read, all), `paths`, `networks`. Shows the token once."""
        form, session, visit = await read_form(request), signed_in_of(request), visit_of(request)
        try:
            wanted = read_wanted(form, session.role)
        except Unfit as error:
            return await self._page(request, problem=str(error), line=error.line, form=form)
        outcome = await self._service.create(session, wanted, visit.inbound, visit.now)
        if outcome is None:
            return see_other(self._url("tokens"))
        if not isinstance(outcome, Created):
            return await self._page(request, problem=outcome.value, form=form)
        secret = outcome.secret.reveal()
        return self._renderer.page("tokens/created.html", visit, token=outcome.row, secret=secret, account=None)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /me/tokens/revoke: `token`."""
        wanted, visit = (await read_form(request)).text("token"), visit_of(request)
        is_ended = await self._service.revoke(signed_in_of(request), wanted, visit.inbound, visit.now)
        return see_other(f"{self._url('tokens')}?done=revoked" if is_ended else self._url("tokens"))

    async def _page(
        self, request: web.Request, problem: str = "", line: str = "", form: Form | None = None
    ) -> web.Response:
        session, visit, done = signed_in_of(request), visit_of(request), request.query.get("done", "")
        return await self._renderer.long_page(
            "tokens/tokens.html",
            visit,
            status=422 if problem else 200,
            problem=problem,
            line=line,
            done=done if done in DONE else "",
            tokens=await self._service.list_own(session, visit.now),
            given=given_in(request, form),
            days=DAYS,
            roles=up_to(session.role),
            now=visit.now,
            account=None,
        )


def up_to(role: Role) -> list[Role]:
    return [each for each in Role if not outranks(each, role)]


def given_in(request: web.Request, form: Form | None) -> dict[str, str]:
    """Return the fields of the form for a new token, as they were sent, or as they are at first."""
    if form is not None:
        return {field: form.text(field) for field in FIELDS}
    return {field: carried_of(request).get(field) or FIRST.get(field, "") for field in FIELDS}


class FoundTokens:
    """For the finder of a token, such as a colleague or a secret scanner."""

    def __init__(self, needs: Needs) -> None:
        self._service = needs.tokens

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /_gateway/tokens/revoke: `token`. Answers the same whether there was one."""
        form, visit = await read_form(request), visit_of(request)
        await self._service.revoke_found(form.text("token"), visit.inbound, visit.now)
        return web.Response(status=204)
