"""Responses shared by the sign-in pages: the redirect to the next step, and its cookies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.browsers.record import LIFE_SECONDS as BROWSER_SECONDS
from gateway.browsers.record import expiries, fitting, guess
from gateway.browsers.rows import Arrival, Former
from gateway.login.outcome import GoOn, SignedIn
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Lifetimes
from gateway.model.token import digest
from gateway.sessions import attempt
from gateway.web.carried_email import PARAMETER, CarriedEmail
from gateway.web.redirects import Steps, Wish, expire, see_other, set_cookie
from gateway.web.return_to import HOME, sent_value
from gateway.web.visit import Visit, asked_of, visit_of
from gateway.wire.cookies import BROWSER_COOKIE, SENT_COOKIE

CLEARING_ROUNDS = 12  # redirects; browsers follow twenty


@dataclass(frozen=True, slots=True)
class Answers(Steps):
    """`cookie` is the session cookie's name. `challenge` prepares the next factor (see login.flow).

    `clear_path` is the page that expires the cookies for which the sign-in response had no room. `carried` seals the
    email that goes along to another page.
    """

    cookie: str
    lifetimes: Lifetimes
    clear_path: str
    challenge: Callable[[GoOn, str, Inbound, int], Awaitable[str]]
    carried: CarriedEmail

    def carry(self, email: str, target: str, now: int, news: str = "") -> str:
        """Return the query of a page that shows the message `news` and fills in the email, with the target."""
        sealed = self.carried.seal(email, now)
        parts = (f"{news}=1" if news else "", f"{PARAMETER}={sealed}" if sealed else "")
        return "?" + "&".join(filter(None, (*parts, Wish(target).query if target != HOME else "")))

    def sign_in_url(self, email: str, target: str, now: int, news: str = "") -> str:
        """Return the URL of the sign-in page, which fills in the email; `target` is checked again."""
        return self.steps[Factor.PASSWORD] + self.carry(email, self.only([target]), now, news).rstrip("?")

    def carried_to(self, request: web.Request) -> str:
        """Return the email that was carried to this page, or that an application put into the query."""
        return self.carried.open(asked_of(request, PARAMETER), visit_of(request).now) or asked_of(request, "email")

    def restart(self, visit: Visit, wish: Wish) -> web.Response:
        """Redirect to the target if signed in, otherwise to the first step."""
        if visit.signed_in is not None:
            return see_other(wish.target)
        return self.step(Factor.PASSWORD, Wish(wish.target))

    async def go_on(self, visit: Visit, outcome: GoOn, wish: Wish, now: int) -> web.Response:
        """Prepare the next factor, and redirect to its page."""
        note = await self.challenge(outcome, wish.target, visit.inbound, now)
        response = self.step(outcome.factor, Wish(wish.target), note)
        if outcome.token is not None:
            set_cookie(response, attempt.COOKIE, outcome.token, attempt.LIFE_SECONDS)
        return response

    def welcome(self, visit: Visit, signed_in: SignedIn, target: str) -> web.Response:
        """Redirect to the target, with the cookie of the new session."""
        return self.with_session(see_other(self.next_url(visit, signed_in, target)), visit, signed_in, target)

    def next_url(self, visit: Visit, signed_in: SignedIn, target: str) -> str:
        """Return `target`, or the clearing page if the response has no room for all expired cookies."""
        lines = list_expiries(visit, signed_in.arrival)
        count = fitting(lines)
        return target if count == len(lines) else self.clearing_url(target, count, CLEARING_ROUNDS)

    def clearing_url(self, target: str, done: int, rounds: int) -> str:
        """Return the URL of the clearing page; `done` cookies are expired already."""
        return f"{self.clear_path}?{Wish(target).query}&done={done}&rounds={rounds}"

    def with_session(
        self, response: web.Response, visit: Visit, signed_in: SignedIn, target: str = HOME
    ) -> web.Response:
        lifetime = self.lifetimes.owners if signed_in.is_owner else self.lifetimes.members
        set_cookie(response, self.cookie, signed_in.token, lifetime.absolute)
        if visit.inbound.attempt_key is not None:
            expire(response, attempt.COOKIE)
        if visit.inbound.sent_key == digest(sent_value(target).encode("ascii")):
            expire(response, SENT_COOKIE.decode("ascii"))  # another tab may still need one for its target
        arrival = signed_in.arrival
        if arrival is not None:
            if arrival.former is Former.OTHER:
                response.headers["Clear-Site-Data"] = '"cache", "storage"'
            self.clear(response, list_expiries(visit, arrival), arrival.token)
        return response

    def clear(self, response: web.Response, lines: Sequence[str], browser: Secret[str] | None) -> None:
        """Expire as many cookies as fit. Once none is left, the browser gets the new cookie `browser`."""
        count = fitting(lines)
        for line in lines[:count]:
            response.headers.add("Set-Cookie", line)
        if count == len(lines) and browser is not None:
            set_cookie(response, BROWSER_COOKIE.decode("ascii"), browser, BROWSER_SECONDS)


def list_expiries(visit: Visit, arrival: Arrival | None) -> list[str]:
    """Return Set-Cookie values that expire the application's cookies of the person who used this browser before."""
    if arrival is None or arrival.former is Former.SAME:
        return []
    return expiries(arrival.learnt, visit.inbound.cookies, visit.inbound.host)


def expire_upstream_cookies(response: web.Response, visit: Visit) -> None:
    """Expire the application's cookies that were sent with this request, as far as the response has room.

    For browsers without Clear-Site-Data. The rest is expired when another person signs in.
    """
    lines = [cookie.expiry for cookie in guess(visit.inbound.cookies, "")]
    for line in lines[: fitting(lines)]:
        response.headers.add("Set-Cookie", line)
