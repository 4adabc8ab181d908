"""/me/security: the state of each factor, with links to change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from gateway.factors.contract import Done
from gateway.login.answers import Answers
from gateway.login.security import SecurityService
from gateway.web.platform import Platform
from gateway.web.visit import signed_in_of, visit_of


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def done(self) -> Mapping[str, Done]: ...
    @property
    def security(self) -> SecurityService: ...


class SecurityPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.security
        self._answers = needs.answers
        self._renderer = needs.renderer
        self._done = needs.done

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security"""
        visit, session = visit_of(request), signed_in_of(request)
        panels = await self._service.list_panels(session)
        done = request.query.get("done", "")
        return self._renderer.page(
            "login/security.html",
            visit,
            panels=[(panel.template, panel.facts) for panel in panels],
            done=done,
            note=self._done.get(done),
            target=self._answers.only(request.query.getall("next", [])),
        )
