"""/me/email, and the pages of its mailed links: the new address confirms, the old one agrees, stops or undoes.

A GET changes nothing, because mail scanners open every link.
"""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.accounts.email_change import EmailChanges
from gateway.accounts.email_outcome import Agreed, Done, Gone, Open, Overloaded, Refused, Undone, Waiting
from gateway.accounts.links import Purpose
from gateway.model.account import Unacceptable, is_respelled, normalise_identifier
from gateway.model.secret import Secret
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

MAX_EMAIL = 320  # characters shown again in the form
DONE = ("sent", "changed", "proved")


class Needs(Platform, Protocol):
    @property
    def email_changes(self) -> EmailChanges: ...


class EmailPages:
    def __init__(self, needs: Needs) -> None:
        self._changes = needs.email_changes
        self._renderer = needs.renderer
        self._url = needs.url

    # The person's own page.

    async def show_own(self, request: web.Request) -> web.StreamResponse:
        """GET /me/email"""
        return await self._own(request)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """POST /me/email: `email`. The answer doesn't disclose whether the email is taken."""
        form = await read_form(request)
        session, email = signed_in_of(request), form.text("email")
        try:
            identifier = normalise_identifier(email)
        except Unacceptable as error:
            return await self._own(request, 422, email=email, problem=error.sentence)
        if is_respelled(email, identifier):
            return await self._own(request, 422, email=identifier, problem="respelled")
        if session.is_owner or identifier == session.identifier:
            return await self._own(request, 422, email=email, problem="same")
        if not await self._changes.ask_own(session, identifier, visit_of(request).inbound, visit_of(request).now):
            return await self._own(request, 429, email=email, problem="many")
        return see_other(f"{self._url('email')}?done=sent")

    async def _own(
        self, request: web.Request, status: int = 200, *, email: str = "", problem: str = ""
    ) -> web.Response:
        pending = await self._changes.find_open(signed_in_of(request).account)
        done = request.query.get("done", "")
        return self._page(
            "accounts/email.html",
            request,
            status=status,
            email=email[:MAX_EMAIL],
            problem=problem,
            pending=pending,
            done=done if done in DONE else "",
        )

    # The new address.

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/email/{token}"""
        opened = await self._changes.look(token_of(request), visit_of(request).signed_in, visit_of(request).now)
        return self._invalid_link(request, opened) if isinstance(opened, Gone) else self._confirm_page(request, opened)

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """POST /me/email/{token}: `password`, unless this browser is signed in to the account."""
        password = Secret((await read_form(request)).text("password"))
        visit = visit_of(request)
        now = visit.now
        match await self._changes.confirm(token_of(request), password, visit.signed_in, visit.inbound, now):
            case Done(is_signed_in=True):
                return see_other(f"{self._url('email')}?done=changed")
            case Done():
                return see_other(f"{self._url('login')}?email-changed=1")
            case Waiting(until):
                return self._page("accounts/email-told.html", request, told="waiting", until=until)
            case Refused(opened, until):
                minutes = 0 if until is None else -(-max(1, until - now) // 60)
                return self._confirm_page(request, opened, minutes=minutes, problem="locked" if minutes else "wrong")
            case Overloaded():
                return self._page("accounts/email-told.html", request, status=503, told="busy")
            case Gone() as gone:
                return self._invalid_link(request, gone)

    def _confirm_page(self, request: web.Request, opened: Open, *, problem: str = "", minutes: int = 0) -> web.Response:
        status = 429 if minutes else 422 if problem else 200
        return self._page(
            "accounts/email-confirm.html", request, status=status, opened=opened, problem=problem, minutes=minutes
        )

    # The old address.

    async def show_old(self, request: web.Request) -> web.StreamResponse:
        """GET /me/email-change/{token}"""
        opened = await self._changes.find_link(Purpose.EMAIL_OLD, token_of(request), visit_of(request).now)
        if isinstance(opened, Gone):
            return self._invalid_link(request, opened)
        return self._page("accounts/email-old.html", request, opened=opened)

    async def answer_old(self, request: web.Request) -> web.StreamResponse:
        """POST /me/email-change/{token}: `do` (agree, stop)."""
        what = (await read_form(request)).text("do")
        token, inbound, now = token_of(request), visit_of(request).inbound, visit_of(request).now
        if what == "stop":
            stopped = await self._changes.stop(token, inbound, now)
            return self._result(request, stopped, "stopped")
        if what == "agree":
            match await self._changes.agree(token, inbound, now):
                case Agreed():
                    return self._page("accounts/email-told.html", request, told="agreed")
                case result:
                    return self._result(request, result, "changed")
        raise web.HTTPBadRequest

    # The former address.

    async def show_undo(self, request: web.Request) -> web.StreamResponse:
        """GET /me/email-undo/{token}"""
        opened = await self._changes.find_link(Purpose.EMAIL_UNDO, token_of(request), visit_of(request).now)
        if isinstance(opened, Gone):
            return self._invalid_link(request, opened)
        return self._page("accounts/email-undo.html", request, opened=opened)

    async def undo(self, request: web.Request) -> web.StreamResponse:
        """POST /me/email-undo/{token}"""
        await read_form(request)
        match await self._changes.undo(token_of(request), visit_of(request).inbound, visit_of(request).now):
            case Undone(token):
                return see_other(self._url("reset", token=token.reveal()))
            case Gone() as gone:
                return self._invalid_link(request, gone)

    # Shared.

    def _result(self, request: web.Request, result: object, told: str) -> web.Response:
        if isinstance(result, Gone):
            return self._invalid_link(request, result)
        return self._page("accounts/email-told.html", request, told=told)

    def _invalid_link(self, request: web.Request, gone: Gone) -> web.Response:
        told = gone.state.value if gone.state else "unknown"
        return self._page(
            "accounts/link-dead.html", request, status=410 if gone.state else 404, purpose="email", state=told
        )

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, **context)


def token_of(request: web.Request) -> str:
    return request.match_info["token"]
