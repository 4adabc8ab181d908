"""Where a page sends the browser next, and the cookies that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.web.return_to import HOME, DeadEnds, quote_way, safe_return
from gateway.web.visit import Form

FLAGS = "Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class Wish:
    """The page to go to after signing in, and whether it asks a signed-in person for a proof `again`."""

    target: str
    again: bool = False

    @property
    def query(self) -> str:
        return f"next={quote_way(self.target)}{'&again=1' if self.again else ''}"


def sign_in_query(news: str, email: str, target: str = HOME) -> str:
    """Return the query of the sign-in page after `news`, with the email filled in and the way back."""
    told = urlencode({news: "1", "email": email})
    return told if target == HOME else f"{told}&{Wish(target).query}"


@dataclass(frozen=True, slots=True)
class Steps:
    """`steps` are the paths of the page for each factor; `dead_ends` are no targets after signing in."""

    steps: Mapping[Factor, str]
    dead_ends: DeadEnds

    def wish_of_query(self, request: web.Request) -> Wish:
        return Wish(self.only(request.query.getall("next", [])), request.query.get("again") == "1")

    def wish_of_form(self, form: Form) -> Wish:
        return Wish(self.only([form.text("next")]), form.text("again") == "1")

    def only(self, targets: list[str]) -> str:
        """A target that is given twice is none: two readers could take different ones."""
        return safe_return(targets[0] if len(targets) == 1 else None, self.dead_ends)

    def step(self, factor: Factor, wish: Wish, note: str = "") -> web.Response:
        """Send the browser to the page of `factor`, with `note` at the end of its query."""
        return see_other(f"{self.steps[factor]}?{wish.query}{note}")


def set_cookie(response: web.Response, name: str, value: Secret[str], seconds: int) -> None:
    response.headers.add("Set-Cookie", f"{name}={value.reveal()}; Path=/; Max-Age={seconds}; {FLAGS}")


def expire(response: web.Response, name: str) -> None:
    response.headers.add("Set-Cookie", f"{name}=; Path=/; Max-Age=0; {FLAGS}")


def see_other(target: str) -> web.Response:
    """POST, then 303: going back or reloading sends nothing twice."""
    return web.Response(status=303, headers={"Location": target})
