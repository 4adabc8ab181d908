"""Redirects to pages and sign-in steps, and cookies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.web.return_to import DeadEnds, quote_way, safe_return
from gateway.web.visit import Form

FLAGS = "Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class Wish:
    """The page to return to after sign-in.

    `again`: it needs a fresh proof from a signed-in person. `only`: nothing counts in place of the factor asked for.
    """

    target: str
    again: bool = False
    only: bool = False

    @property
    def query(self) -> str:
        return f"next={quote_way(self.target)}{'&again=1' if self.again else ''}{'&only=1' if self.only else ''}"


@dataclass(frozen=True, slots=True)
class Steps:
    """`steps` maps factors to the paths of their pages; `dead_ends` are not accepted as targets."""

    steps: Mapping[Factor, str]
    dead_ends: DeadEnds

    def wish_of_query(self, request: web.Request) -> Wish:
        query = request.query
        return Wish(self.only(query.getall("next", [])), query.get("again") == "1", query.get("only") == "1")

    def wish_of_form(self, form: Form) -> Wish:
        return Wish(self.only([form.text("next")]), form.text("again") == "1", form.text("only") == "1")

    def only(self, targets: list[str]) -> str:
        """Return the safe target. If `next` occurs twice it is ignored: two parsers could take different ones."""
        return safe_return(targets[0] if len(targets) == 1 else None, self.dead_ends)

    def step(self, factor: Factor, wish: Wish, note: str = "") -> web.Response:
        """Redirect to the page of `factor`; `note` is appended to the query."""
        return see_other(f"{self.steps[factor]}?{wish.query}{note}")


def set_cookie(response: web.Response, name: str, value: Secret[str], seconds: int) -> None:
    response.headers.add("Set-Cookie", f"{name}={value.reveal()}; Path=/; Max-Age={seconds}; {FLAGS}")


def expire(response: web.Response, name: str) -> None:
    response.headers.add("Set-Cookie", f"{name}=; Path=/; Max-Age=0; {FLAGS}")


def see_other(target: str) -> web.Response:
    """Redirect with 303 after a POST, so that a reload doesn't send the form again."""
    return web.Response(status=303, headers={"Location": target})
