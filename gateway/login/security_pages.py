"""/me/security: which factors there are, and changing them."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.factors.backup_code import FEW
from gateway.factors.totp import TOTPFactor, provisioning_uri, write_key
from gateway.login.answers import Answers
from gateway.login.code_pages import grouped
from gateway.login.qr import draw
from gateway.login.security import Changed, NotAllowed, SecurityService, WrongCode
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.throttle.side_work import SideWork
from gateway.web.platform import Platform
from gateway.web.redirects import Wish, see_other
from gateway.web.visit import Visit, read_form, signed_in_of, visit_of

DONE = ("enabled", "disabled", "regenerated", "password")


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def product(self) -> str: ...
    @property
    def security(self) -> SecurityService: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def totp(self) -> TOTPFactor: ...


class SecurityPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.security
        self._answers = needs.answers
        self._factor = needs.totp
        self._issuer = needs.product
        self._side = needs.side
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security"""
        visit, session = visit_of(request), signed_in_of(request)
        overview = await self._service.look(session)
        done = request.query.get("done", "")
        return self._page(
            "login/security.html",
            visit,
            overview=overview,
            few=FEW,
            done=done if done in DONE else "",
            target=self._answers.only(request.query.getall("next", [])),
        )

    async def show_totp(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/totp: the QR code of a new secret."""
        visit, session = visit_of(request), signed_in_of(request)
        wish = Wish(self._answers.only(request.query.getall("next", [])))
        is_needed = "next" in request.query
        return await self._enrolment(visit, session, wish, is_needed)

    async def submit_totp(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/totp: `offered`, `code`; `next` where a page needs it."""
        form = await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        wish, is_needed = Wish(self._answers.only([form.text("next")])), bool(form.text("next"))
        offered = form.text("offered")
        code = Secret(form.text("code"))
        match await self._service.enrol(session, offered, code, visit.inbound, visit.now):
            case WrongCode():
                return await self._enrolment(visit, session, wish, is_needed, offered, status=422)
            case Changed(signed_in, codes) if signed_in is not None:
                # By way of the overview, which offers to sign out everywhere else.
                target = f"{self._url('security')}?done=enabled&{wish.query}"
                page = self._page("login/codes.html", visit, codes=codes, target=target, count=None)
                return self._answers.with_session(page, visit, signed_in)
            case _:
                return see_other(self._url("security"))

    async def confirm_codes(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/codes: whether the old ones may die."""
        return self._page("login/confirm-codes.html", visit_of(request))

    async def regenerate(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/codes: the new ones are in this answer and nowhere else, so there is no redirect."""
        await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        match await self._service.regenerate(session, visit.inbound, visit.now):
            case Changed(_, codes):
                target = f"{self._url('security')}?done=regenerated"
                return self._page("login/codes.html", visit, codes=codes, target=target, count=None)
            case NotAllowed():
                return see_other(self._url("security"))

    async def confirm_off(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/off"""
        return self._page("login/confirm-off.html", visit_of(request))

    async def turn_off(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/off"""
        await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        changed = await self._service.turn_off(session, visit.inbound, visit.now)
        return see_other(self._url("security") + ("?done=disabled" if isinstance(changed, Changed) else ""))

    async def _enrolment(
        self, visit: Visit, session: Session, wish: Wish, is_needed: bool, offered: str = "", status: int = 200
    ) -> web.Response:
        """`is_needed`: a page that somebody asked for is only for who has this."""
        now = visit.now
        secret = self._factor.reopen(session.account, offered, now) if offered else None
        if secret is None:
            secret, offered = self._factor.offer(session.account, now)
        uri = provisioning_uri(secret, session.identifier, self._issuer)
        return self._page(
            "login/enrol.html",
            visit,
            status=status,
            action=self._url("security_totp"),
            start_over="",
            who=session.identifier,
            wish=wish,
            is_needed=is_needed,
            offered=offered,
            uri=uri,
            key=grouped(write_key(secret)),
            picture=await self._side.run(draw, uri),
            problem="" if status == 200 else "wrong",
            minutes=0,
        )

    def _page(self, template: str, visit: Visit, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit, status=status, **context)
