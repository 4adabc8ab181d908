"""/me/security: which factors there are, and changing them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.factors.backup_code import FEW
from gateway.factors.totp import TOTPFactor, provisioning_uri, write_key
from gateway.login.answers import Answers
from gateway.login.code_pages import grouped
from gateway.login.qr import draw
from gateway.login.security import Changed, NotAllowed, SecurityService, WrongCode
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.policy.freshness import stale_factor
from gateway.throttle.side_work import SideWork
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import Renderer
from gateway.web.visit import Visit, read_form, signed_in_of, visit_of

DONE = ("enabled", "disabled", "regenerated", "password")


@dataclass(frozen=True, slots=True)
class SecurityPaths:
    """Where the pages are."""

    overview: str
    totp: str
    codes: str
    off: str
    others: str
    sessions: str
    password: str
    email: str


class SecurityPages:
    def __init__(
        self,
        *,
        service: SecurityService,
        renderer: Renderer,
        answers: Answers,
        factor: TOTPFactor,
        issuer: str,
        side: SideWork,
        paths: SecurityPaths,
    ) -> None:
        self._service = service
        self._renderer = renderer
        self._answers = answers
        self._factor = factor
        self._issuer = issuer
        self._side = side
        self._paths = paths

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security"""
        visit, session = visit_of(request), signed_in_of(request)
        overview = await self._service.look(session)
        done = request.query.get("done", "")
        return self._page(
            "security.html",
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
        return self._prove_first(session, self._back(wish, is_needed)) or await self._enrolment(
            visit, session, wish, is_needed
        )

    async def submit_totp(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/totp: `offered`, `code`; `next` where a page needs it."""
        visit, session = visit_of(request), signed_in_of(request)
        form = await read_form(request)
        wish, is_needed = Wish(self._answers.only([form.text("next")])), bool(form.text("next"))
        stale = self._prove_first(session, self._back(wish, is_needed))
        if stale is not None:
            return stale
        offered = form.text("offered")
        code = Secret(form.text("code"))
        match await self._service.enrol(session, offered, code, visit.inbound, int(time.time())):
            case WrongCode():
                return await self._enrolment(visit, session, wish, is_needed, offered, status=422)
            case Changed(signed_in, codes) if signed_in is not None:
                # By way of the overview, which offers to sign out everywhere else.
                target = f"{self._paths.overview}?done=enabled&{wish.query}"
                page = self._page("codes.html", visit, codes=codes, target=target, count=None)
                return self._answers.with_session(page, visit, signed_in)
            case _:
                return see_other(self._paths.overview)

    async def confirm_codes(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/codes: whether the old ones may die."""
        visit, session = visit_of(request), signed_in_of(request)
        return self._prove_first(session, self._paths.codes) or self._page("confirm-codes.html", visit)

    async def regenerate(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/codes: the new ones are in this answer and nowhere else, so there is no redirect."""
        visit, session = visit_of(request), signed_in_of(request)
        await read_form(request)
        stale = self._prove_first(session, self._paths.codes)
        if stale is not None:
            return stale
        match await self._service.regenerate(session, visit.inbound, int(time.time())):
            case Changed(_, codes):
                target = f"{self._paths.overview}?done=regenerated"
                return self._page("codes.html", visit, codes=codes, target=target, count=None)
            case NotAllowed():
                return see_other(self._paths.overview)

    async def confirm_off(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/off"""
        visit, session = visit_of(request), signed_in_of(request)
        return self._prove_first(session, self._paths.off) or self._page("confirm-off.html", visit)

    async def turn_off(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/off"""
        visit, session = visit_of(request), signed_in_of(request)
        await read_form(request)
        stale = self._prove_first(session, self._paths.off)
        if stale is not None:
            return stale
        changed = await self._service.turn_off(session, visit.inbound, int(time.time()))
        return see_other(self._paths.overview + ("?done=disabled" if isinstance(changed, Changed) else ""))

    def _prove_first(self, session: Session, back: str) -> web.Response | None:
        """Send who has proved nothing lately to do so, and then back."""
        factor = stale_factor(session, int(time.time()))
        return self._answers.step(factor, Wish(back, again=True)) if factor else None

    def _back(self, wish: Wish, is_needed: bool) -> str:
        """Return the address of the set-up; it says so if the page that is wished for needs it."""
        return f"{self._paths.totp}?{wish.query}" if is_needed else self._paths.totp

    async def _enrolment(
        self, visit: Visit, session: Session, wish: Wish, is_needed: bool, offered: str = "", status: int = 200
    ) -> web.Response:
        """`is_needed`: a page that somebody asked for is only for who has this."""
        now = int(time.time())
        secret = self._factor.reopen(session.account, offered, now) if offered else None
        if secret is None:
            secret, offered = self._factor.offer(session.account, now)
        uri = provisioning_uri(secret, session.identifier, self._issuer)
        return self._page(
            "enrol.html",
            visit,
            status=status,
            action=self._paths.totp,
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
        return self._renderer.page(template, visit, status=status, paths=self._paths, **context)
