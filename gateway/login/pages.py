"""/login and /logout: sign in with a password, and sign out."""

from __future__ import annotations

from typing import ClassVar, Protocol

from aiohttp import web

from gateway.browsers.record import expiries, fitting
from gateway.factors.contract import Factors
from gateway.login import step_pages
from gateway.login.answers import CLEARING_ROUNDS, expire_upstream_cookies
from gateway.login.outcome import Busy, GoOn, LockedOut, OtherNetwork, SignedIn, WrongPassword
from gateway.login.service import SignInService
from gateway.login.step_pages import StepPages
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.token import digest
from gateway.sessions import attempt
from gateway.web.redirects import Wish, expire, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.return_to import FOREIGN_FORM, NOT_KEPT, sent_value
from gateway.web.visit import Visit, read_form, visit_of
from gateway.wire.cookies import SENT_COOKIE

NEWS = (
    "signed-out",
    "password-set",
    "confirmed",
    "email-changed",
    NOT_KEPT,
)  # words in the query, for messages on the page
MAX_EMAIL = 320  # characters shown again in the form


class Needs(step_pages.Needs, Protocol):
    @property
    def factors(self) -> Factors: ...
    @property
    def sign_in(self) -> SignInService: ...


class LoginPages(StepPages):
    factor: ClassVar[Factor] = Factor.PASSWORD

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._service = needs.sign_in
        self._firsts = [factor.first_template for factor in needs.factors if factor.first_template]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login: the form, unless the person is signed in and no fresh proof is needed."""
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        if visit.signed_in is not None and not wish.again:
            return self._signed_in(visit, wish, message_in(request))
        return await self._form(visit, wish, email=self._answers.carried_to(request), news=message_in(request))

    def _signed_in(self, visit: Visit, wish: Wish, news: str) -> web.Response:
        """Redirect to the target if the gateway sent the person here, before they signed in in another tab.

        Otherwise ask: an application with a sign-in page of its own would redirect here again, in a loop.
        """
        was_sent = visit.inbound.sent_key == digest(sent_value(wish.target).encode("ascii"))
        if was_sent and news not in (NOT_KEPT, FOREIGN_FORM):
            response = see_other(wish.target)
            expire(response, SENT_COOKIE.decode("ascii"))
            return response
        return self._renderer.page("login/signed-in.html", visit, target=wish.target, news=news)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login: `email`, `password`, `next`; or `start-over`."""
        form = await read_form(request)
        visit = visit_of(request)
        email, wish = form.text("email"), self._answers.wish_of_form(form)
        now = visit.now
        if form.text("start-over"):
            return await self._start_over(visit, wish, now)
        outcome = await self._service.sign_in(email, Secret(form.text("password")), visit, now)
        self._counts.note(self.factor, outcome)
        match outcome:
            case SignedIn() | GoOn() | OtherNetwork():
                return await self.proceed(visit, wish, outcome, now)
            case WrongPassword():
                return await self._form(visit, wish, email=email, problem="wrong", status=422)
            case LockedOut(until):
                return await self._form(
                    visit, wish, email=email, problem="locked", status=429, wait=seconds_until(until, now)
                )
            case Busy():
                return await self._form(visit, wish, email=email, problem="busy", status=503)

    async def clear(self, request: web.Request) -> web.StreamResponse:
        """GET /login/clear: expire the former person's application cookies, if there are too many for one response."""
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        now = visit.now
        done, rounds = number_in(request, "done"), number_in(request, "rounds")
        learnt = await self._flow.list_former_cookies(visit)
        if visit.session is None or learnt is None:
            return see_other(wish.target)
        lines = expiries(learnt[done:], visit.inbound.cookies, visit.inbound.host)
        count = fitting(lines)
        if count < len(lines) and 0 < rounds <= CLEARING_ROUNDS:
            response = see_other(
                self._answers.clearing_url(wish.target, done + min(count, len(learnt[done:])), rounds - 1)
            )
            self._answers.clear(response, lines, None)
        else:
            response = see_other(wish.target)
            self._answers.clear(
                response, lines[:count], (await self._flow.claim_browser(visit.session, visit, now)).token
            )
        return response

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /logout: ask for confirmation, so that a link can't sign a person out (CSRF)."""
        visit = visit_of(request)
        if visit.session is None:
            return see_other(self._url("login"))
        return self._renderer.page("login/logout.html", visit, name=visit.session.name)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /logout: end the session, and clear the browser's data of this site."""
        visit, way = visit_of(request), ""
        if visit.session is not None:
            await self._service.sign_out(visit.session, visit.inbound, visit.now)
            way = await self._flow.find_way_out(visit.session, visit.now)
        response = see_other(way or f"{self._url('login')}?signed-out=1")
        response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        expire(response, self._answers.cookie)
        expire_upstream_cookies(response, visit)
        return response

    async def _start_over(self, visit: Visit, wish: Wish, now: int) -> web.Response:
        await self._flow.start_over(visit, now)
        response = see_other(f"{self._url('login')}?{Wish(wish.target).query}")
        expire(response, attempt.COOKIE)
        return response

    async def _form(
        self,
        visit: Visit,
        wish: Wish,
        *,
        email: str = "",
        problem: str = "",
        wait: int = 0,
        news: str = "",
        status: int = 200,
    ) -> web.Response:
        """Show the form; for a fresh proof, with the signed-in person's email fixed, and only what they can prove."""
        known = visit.session if wish.again else None
        evidence = await self._flow.find(visit, again=True, now=visit.now) if known else None
        has_kept_form = wish.target.startswith(self._answers.dead_ends.forms)
        return self._renderer.page(
            "login/login.html",
            visit if known else None,
            status=status,
            wait=wait,
            wish=wish,
            email=known.identifier if known else email[:MAX_EMAIL],
            known=known,
            has_password=evidence is None or evidence.account.password_hash is not None,
            problem=problem,
            firsts=self._firsts,
            minutes=minutes_of(wait),
            news=news or ("form-kept" if has_kept_form else ""),
        )


def number_in(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 5 else 0


def message_in(request: web.Request) -> str:
    """Return the message that the query asks for: one of the fixed words, or ""."""
    if request.query.get(NOT_KEPT) == FOREIGN_FORM:
        return FOREIGN_FORM
    return next((word for word in NEWS if word in request.query), "")
