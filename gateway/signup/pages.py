"""/signup: the form, a response that doesn't disclose accounts, and the mailed confirmation link."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.accounts.links import LinkState, MailedLink
from gateway.login.answers import Answers
from gateway.model.account import Unacceptable, is_respelled, normalise_identifier
from gateway.model.secret import Secret
from gateway.signup.service import (
    Asked,
    BadField,
    Confirmed,
    Overloaded,
    SignupService,
    TooManySignups,
    UnfitPassword,
    WrongPassword,
)
from gateway.web.platform import Platform
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.visit import read_form, visit_of


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def signup(self) -> SignupService: ...


class SignupPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.signup
        self._answers = needs.answers
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /signup"""
        wish, email = self._answers.wish_of_query(request), self._answers.carried_to(request)
        if "sent" in request.query:
            back = self._answers.sign_in_url(email, wish.target, visit_of(request).now)
            return self._page("signup/signup-sent.html", request, back=back)
        return self._form(request, email=email, wish=wish)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /signup: `name`, `email`, `password`; or `prefill`, with the email typed on the sign-in page."""
        form, now = await read_form(request), visit_of(request).now
        name, email = form.text("name"), form.text("email")
        inbound = visit_of(request).inbound
        wish = self._answers.wish_of_form(form)
        if form.text("prefill"):
            return self._form(request, email=email, wish=wish)
        shown = spelling_of(email)
        if shown:
            return self._form(request, name, shown, wish=wish, status=422, field="respelled")
        match await self._service.ask(name, email, Secret(form.text("password")), inbound, now, wish.target):
            case Asked():
                return see_other(self._url("signup") + self._answers.carry(email, wish.target, now, "sent"))
            case BadField(field, why):
                return self._form(request, name, email, wish=wish, status=422, field=field, problem=why)
            case UnfitPassword(why):
                return self._form(request, name, email, wish=wish, status=422, field="password", problem=why.sentence)
            case TooManySignups(until):
                wait = seconds_until(until, now)
                problem = str(minutes_of(wait))
                return self._form(request, name, email, wish=wish, status=429, field="many", problem=problem, wait=wait)
            case Overloaded():
                return self._form(request, name, email, wish=wish, status=503, field="busy")

    async def show_confirm(self, request: web.Request) -> web.StreamResponse:
        """GET /signup/{token}: ask for the chosen password."""
        found = await self._service.look(request.match_info["token"], visit_of(request).now)
        if isinstance(found, MailedLink):
            return self._page("signup/signup-confirm.html", request, who=found.identifier, problem="")
        return self._invalid_link(request, found.value if found else "unknown")

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """POST /signup/{token}: `password`."""
        password = Secret((await read_form(request)).text("password"))
        inbound, token, now = visit_of(request).inbound, request.match_info["token"], visit_of(request).now
        match await self._service.confirm(token, password, inbound, now):
            case Confirmed(email, target):
                return see_other(self._answers.sign_in_url(email, target, now, "confirmed"))
            case WrongPassword(link, until):
                status, problem = (422, "wrong") if until is None else (429, "locked")
                wait, who = seconds_until(until or now, now), link.identifier
                return self._page(
                    "signup/signup-confirm.html", request, status=status, wait=wait, who=who, problem=problem
                )
            case Overloaded():
                return self._page("signup/signup-confirm.html", request, status=503, who="", problem="busy")
            case LinkState() as state:
                return self._invalid_link(request, state.value)
            case None:
                return self._invalid_link(request, "unknown")

    def _invalid_link(self, request: web.Request, state: str) -> web.Response:
        status = 404 if state == "unknown" else 410
        return self._page("accounts/link-dead.html", request, status=status, purpose="signup", state=state)

    def _form(
        self,
        request: web.Request,
        name: str = "",
        email: str = "",
        *,
        wish: Wish,
        status: int = 200,
        wait: int = 0,
        field: str = "",
        problem: str = "",
    ) -> web.Response:
        context = {"wish": wish, "name": name[:200], "email": email[:320], "field": field, "problem": problem}
        return self._page("signup/signup.html", request, status=status, wait=wait, **context)

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, **context)


def spelling_of(email: str) -> str:
    """Return the normalised email if it differs from what was typed and must be confirmed, otherwise ""."""
    try:
        identifier = normalise_identifier(email)
    except Unacceptable:  # SignupService reports it
        return ""
    return identifier if is_respelled(email, identifier) else ""
