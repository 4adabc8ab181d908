"""The answers that the pages of signing in share: where to go next, and with which cookies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.edge.cookies import SENT_COOKIE
from gateway.edge.return_to import HOME, quote_way, safe_return, sent_value
from gateway.factors.record import Factor
from gateway.login import attempt
from gateway.login.outcome import GoOn, SignedIn
from gateway.secret import Secret
from gateway.sessions.record import Lifetimes, digest
from gateway.visit import Form, Visit

MAX_EXPIRED = 200  # cookies
FLAGS = "Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class Wish:
    """Where somebody wants to go, and whether that place asks for a proof `again` of who is signed in."""

    target: str
    again: bool = False

    @property
    def query(self) -> str:
        return f"next={quote_way(self.target)}{'&again=1' if self.again else ''}"


def wish_of_query(request: web.Request) -> Wish:
    return Wish(only(request.query.getall("next", [])), request.query.get("again") == "1")


def wish_of_form(form: Form) -> Wish:
    return Wish(safe_return(form.text("next")), form.text("again") == "1")


def only(targets: list[str]) -> str:
    """A target that is given twice is none: two readers could take different ones."""
    return safe_return(targets[0] if len(targets) == 1 else None)


@dataclass(frozen=True, slots=True)
class Answers:
    """`steps` are the paths of the page for each factor; `cookie` is the session cookie's name."""

    cookie: str
    lifetimes: Lifetimes
    steps: Mapping[Factor, str]

    def step(self, factor: Factor, wish: Wish) -> web.Response:
        """Send the browser to the page of `factor`."""
        return see_other(f"{self.steps[factor]}?{wish.query}")

    def go_on(self, outcome: GoOn, wish: Wish) -> web.Response:
        response = self.step(outcome.factor, Wish(wish.target))
        if outcome.token is not None:
            set_cookie(response, attempt.COOKIE, outcome.token, attempt.LIFE_SECONDS)
        return response

    def welcome(self, visit: Visit, signed_in: SignedIn, target: str) -> web.Response:
        """Send a person who is signed in now to where they wanted."""
        return self.with_session(see_other(target), visit, signed_in, target)

    def with_session(
        self, response: web.Response, visit: Visit, signed_in: SignedIn, target: str = HOME
    ) -> web.Response:
        lifetime = self.lifetimes.owners if signed_in.is_owner else self.lifetimes.members
        set_cookie(response, self.cookie, signed_in.token, lifetime.absolute)
        if visit.inbound.attempt_key is not None:
            expire(response, attempt.COOKIE)
        if visit.inbound.sent_key == digest(sent_value(target).encode("ascii")):
            expire(response, SENT_COOKIE.decode("ascii"))  # its way ends here; another tab's may not
        if not signed_in.is_same_person:
            expire_upstream_cookies(response, visit)
        return response


def set_cookie(response: web.Response, name: str, value: Secret[str], seconds: int) -> None:
    response.headers.add("Set-Cookie", f"{name}={value.reveal()}; Path=/; Max-Age={seconds}; {FLAGS}")


def expire(response: web.Response, name: str) -> None:
    response.headers.add("Set-Cookie", f"{name}=; Path=/; Max-Age=0; {FLAGS}")


def see_other(target: str) -> web.Response:
    """POST, then 303: going back or reloading sends nothing twice."""
    return web.Response(status=303, headers={"Location": target})


def expire_upstream_cookies(response: web.Response, visit: Visit) -> None:
    """Expire what the app keeps in this browser: some apps go on with the first user they saw (pgAdmin, Airflow).

    Browsers hold fewer than `MAX_EXPIRED` for a site; who sends more would only make the answer too long to arrive.
    """
    for name in visit.inbound.cookies[:MAX_EXPIRED]:
        if name.isascii() and name.isprintable() and not set(name) & set(' ";,='):
            response.headers.add("Set-Cookie", f"{name}=; Path=/; Max-Age=0; Secure")
