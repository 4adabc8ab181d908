"""The pages of signing in and out."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.edge.return_to import safe_return
from gateway.login.service import Busy, FactorsMissing, LockedOut, SignedIn, SignInService, Wrong
from gateway.pages import Renderer, Visit, read_form, visit_of
from gateway.secret import Secret
from gateway.sessions.record import Lifetimes

RETRY_WHEN_BUSY = 5  # seconds
MAX_EMAIL = 320  # characters shown again in the form


class LoginPages:
    """`cookie` is the session cookie's name; `path` where the sign-in page is."""

    def __init__(
        self, *, service: SignInService, renderer: Renderer, cookie: str, lifetimes: Lifetimes, path: str
    ) -> None:
        self._service = service
        self._renderer = renderer
        self._cookie = cookie
        self._lifetimes = lifetimes
        self._path = path

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login: the form; who is signed in already goes on at once."""
        visit = visit_of(request)
        targets = request.query.getall("next", [])
        target = safe_return(targets[0] if len(targets) == 1 else None)
        if visit.session is not None:
            return see_other(target)
        return self._form(visit, target=target, signed_out="signed-out" in request.query)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login: `email`, `password`, `next`."""
        visit = visit_of(request)
        form = await read_form(request)
        email, target = form.text("email"), safe_return(form.text("next"))
        now = int(time.time())
        match await self._service.sign_in(email, Secret(form.text("password")), visit.inbound, now):
            case SignedIn() as signed_in:
                return self._welcome(visit, signed_in, target)
            case Wrong():
                return self._form(visit, target=target, email=email, problem="wrong", status=422)
            case LockedOut(until):
                seconds = max(1, until - now)
                headers = {"Retry-After": str(seconds)}
                minutes = -(-seconds // 60)
                return self._form(
                    visit,
                    target=target,
                    email=email,
                    problem="locked",
                    minutes=minutes,
                    status=429,
                    headers=headers,
                )
            case Busy():
                headers = {"Retry-After": str(RETRY_WHEN_BUSY)}
                return self._form(visit, target=target, email=email, problem="busy", status=503, headers=headers)
            case FactorsMissing():
                return self._renderer.page("owner.html", visit, status=403)

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /logout: a question, since a link must not sign anybody out."""
        visit = visit_of(request)
        if visit.session is None:
            return see_other(self._path)
        return self._renderer.page("logout.html", visit)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /logout: end the session, and leave nothing of it in the browser."""
        visit = visit_of(request)
        if visit.session is not None:
            await self._service.sign_out(visit.session, visit.inbound, int(time.time()))
        response = see_other(f"{self._path}?signed-out=1")
        response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        response.headers.add("Set-Cookie", f"{self._cookie}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
        expire_upstream_cookies(response, visit)
        return response

    def _welcome(self, visit: Visit, signed_in: SignedIn, target: str) -> web.Response:
        lifetime = self._lifetimes.owners if signed_in.is_owner else self._lifetimes.members
        response = see_other(target)
        response.headers.add(
            "Set-Cookie",
            f"{self._cookie}={signed_in.token.reveal()}; Path=/; Max-Age={lifetime.absolute}"
            "; Secure; HttpOnly; SameSite=Lax",
        )
        if not signed_in.is_same_person:
            expire_upstream_cookies(response, visit)
        return response

    def _form(
        self,
        visit: Visit,
        *,
        target: str,
        email: str = "",
        problem: str = "",
        minutes: int = 0,
        signed_out: bool = False,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        return self._renderer.page(
            "login.html",
            None,
            status=status,
            headers=headers,
            action=self._path,
            target=target,
            email=email[:MAX_EMAIL],
            problem=problem,
            minutes=minutes,
            signed_out=signed_out,
        )


def see_other(target: str) -> web.Response:
    """POST, then 303: going back or reloading sends nothing twice."""
    return web.Response(status=303, headers={"Location": target})


def expire_upstream_cookies(response: web.Response, visit: Visit) -> None:
    """Expire what the app keeps in this browser: some apps go on with the first user they saw (pgAdmin, Airflow)."""
    for name in visit.inbound.cookies:
        if name.isascii() and name.isprintable() and not set(name) & set(' ";,='):
            response.headers.add("Set-Cookie", f"{name}=; Path=/; Max-Age=0; Secure")
