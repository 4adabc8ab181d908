"""/forgot-password, /reset-password, /invite, /me/password, and the hints while a new password is typed."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.accounts.links import LinkState, Purpose
from gateway.languages.reader import translate
from gateway.login.answers import Answers
from gateway.login.outcome import SignedIn
from gateway.model.account import MAX_IDENTIFIER, MAX_NAME
from gateway.model.secret import Secret
from gateway.passwords.changes import (
    InvalidLink,
    Opened,
    Overloaded,
    PasswordService,
    Set,
    TooOften,
    Unfit,
    WrongCurrent,
)
from gateway.passwords.policy import Person, Refusal
from gateway.passwords.service import PasswordChecker
from gateway.throttle.client import client_of
from gateway.web.platform import Platform
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.visit import read_form, signed_in_of, visit_of


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def checker(self) -> PasswordChecker: ...
    @property
    def password_changes(self) -> PasswordService: ...
    @property
    def product(self) -> str: ...


class PasswordPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.password_changes
        self._checker = needs.checker
        self._answers = needs.answers
        self._product = needs.product
        self._renderer = needs.renderer
        self._url = needs.url

    # /forgot-password.

    async def show_forgot(self, request: web.Request) -> web.StreamResponse:
        """GET /forgot-password: the form, or after it what to do next."""
        wish, email = self._answers.wish_of_query(request), self._answers.carried_to(request)
        return self._forgot(request, wish, email, sent="sent" in request.query)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """POST /forgot-password: `email`. The response doesn't disclose whether the account exists.

        With `prefill`, only fill in the email that was typed on the sign-in page, whose form a button posts here.
        """
        form = await read_form(request)
        wish, email = self._answers.wish_of_form(form), form.text("email")
        if form.text("prefill"):
            return self._forgot(request, wish, email, sent=False)
        visit = visit_of(request)
        await self._service.ask(email, visit.inbound, visit.now, wish.target)
        return see_other(self._url("forgot") + self._answers.carry(email, wish.target, visit.now, "sent"))

    def _forgot(self, request: web.Request, wish: Wish, email: str, *, sent: bool) -> web.Response:
        back = self._answers.sign_in_url(email, wish.target, visit_of(request).now)
        email = email[:MAX_IDENTIFIER]
        return self._page("passwords/forgot.html", request, sent=sent, email=email, wish=wish, back=back)

    # By a mailed link.

    async def show_reset(self, request: web.Request) -> web.StreamResponse:
        """GET /reset-password/{token}"""
        return await self._show(request, Purpose.RESET)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """POST /reset-password/{token}: `password`."""
        return await self._set(request, Purpose.RESET)

    async def show_invite(self, request: web.Request) -> web.StreamResponse:
        """GET /invite/{token}"""
        return await self._show(request, Purpose.INVITATION)

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """POST /invite/{token}: `password`."""
        return await self._set(request, Purpose.INVITATION)

    async def _show(self, request: web.Request, purpose: Purpose) -> web.StreamResponse:
        found = await self._service.look(purpose, request.match_info["token"], visit_of(request).now)
        if isinstance(found, InvalidLink):
            return self._invalid_link(request, purpose, found.state)
        return self._set_page(request, purpose, found)

    async def _set(self, request: web.Request, purpose: Purpose) -> web.StreamResponse:
        password = Secret((await read_form(request)).text("password"))
        token, now = request.match_info["token"], visit_of(request).now
        match await self._service.set_by_link(purpose, token, password, visit_of(request).inbound, now):
            case Set(_, email, target):
                # An invitation's link may have been given the page to open afterwards.
                target = target or self._answers.wish_of_query(request).target
                return see_other(self._answers.sign_in_url(email, target, now, "password-set"))
            case Unfit(why):
                found = await self._service.look(purpose, token, now)
                if isinstance(found, InvalidLink):
                    return self._invalid_link(request, purpose, found.state)
                return self._set_page(request, purpose, found, status=422, problem=why.sentence)
            case Overloaded():
                return self._set_page(request, purpose, None, status=503, problem="busy")
            case InvalidLink(state):
                return self._invalid_link(request, purpose, state)

    def _set_page(
        self, request: web.Request, purpose: Purpose, opened: Opened | None, *, status: int = 200, problem: str = ""
    ) -> web.Response:
        """Show the form; of an invitation, with the person, company and role that it is about."""
        invitation = opened if purpose is Purpose.INVITATION else None
        who = opened.account.identifier if opened else ""
        return self._page(
            "passwords/set-password.html",
            request,
            status=status,
            purpose=purpose.value,
            who=who,
            invitation=invitation,
            problem=problem,
        )

    def _invalid_link(self, request: web.Request, purpose: Purpose, state: LinkState | None) -> web.Response:
        status = 404 if state is None else 410
        return self._page(
            "accounts/link-dead.html",
            request,
            status=status,
            purpose=purpose.value,
            state=state.value if state else "unknown",
        )

    # At /me/password.

    async def show_change(self, request: web.Request) -> web.StreamResponse:
        """GET /me/password: `secured` after everything else of the account was ended."""
        has_password = await self._service.has_password(signed_in_of(request))
        template = "passwords/password.html" if has_password else "passwords/no-password.html"
        is_secured = "secured" in request.query
        return self._page(template, request, problem="", refusal=None, minutes=0, is_secured=is_secured)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /me/password: `current`, `password`."""
        form, visit, session = await read_form(request), visit_of(request), signed_in_of(request)
        now = visit_of(request).now
        current, new = Secret(form.text("current")), Secret(form.text("password"))
        match await self._service.change(session, current, new, visit.inbound, now):
            case Set(token) if token is not None:
                signed_in = SignedIn(token, session.is_owner)
                return self._answers.welcome(visit, signed_in, f"{self._url('security')}?done=password")
            case Unfit(why):
                return self._page(
                    "passwords/password.html", request, status=422, problem="unfit", refusal=why, minutes=0
                )
            case TooOften(until):
                wait = seconds_until(until, now)
                return self._page(
                    "passwords/password.html",
                    request,
                    status=429,
                    wait=wait,
                    problem="locked",
                    refusal=None,
                    minutes=minutes_of(wait),
                )
            case Overloaded():
                return self._page(
                    "passwords/password.html", request, status=503, problem="busy", refusal=None, minutes=0
                )
            case WrongCurrent() | Set():
                return self._page(
                    "passwords/password.html", request, status=422, problem="wrong", refusal=None, minutes=0
                )

    async def well_known(self, request: web.Request) -> web.StreamResponse:
        """GET /.well-known/change-password (W3C): password managers open this URL."""
        return web.Response(status=302, headers={"Location": self._url("password")})

    async def not_there(self, request: web.Request) -> web.StreamResponse:
        """The W3C probe by which password managers check that unknown URLs give 404."""
        raise web.HTTPNotFound

    async def hint(self, request: web.Request) -> web.StreamResponse:
        """POST /_gateway/password-hint: `password`, `email`, `name`. Nothing is stored, logged or sent elsewhere."""
        form = await read_form(request)
        session = visit_of(request).signed_in
        person = Person(
            session.identifier if session else form.text("email")[:MAX_IDENTIFIER],
            session.name if session else form.text("name")[:MAX_NAME],
            session.tenant if session else "",
            self._product,
        )
        client = client_of(visit_of(request).inbound.address)
        verdict = await self._checker.check_here(Secret(form.text("password")), person, client)
        if verdict is Refusal.BUSY:
            return web.json_response({"is_good": None, "hint": ""})
        return web.json_response({"is_good": verdict is None, "hint": self.words(verdict) if verdict else ""})

    def words(self, refusal: Refusal) -> str:
        """Return the sentence of a refusal, in the reader's language."""
        return translate(refusal.sentence)

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, **context)
