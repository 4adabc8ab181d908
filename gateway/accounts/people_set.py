"""The pages about people exist twice: an admin's, about their own tenant, and the owner's, about all of them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.accounts.people import Actor, Result
from gateway.model.account import Module
from gateway.web.routes import Urls
from gateway.web.visit import Form, signed_in_of


@dataclass(frozen=True, slots=True)
class PeopleSet:
    """`name` is that of the list's route, with which the names of the others begin."""

    name: str
    is_owners: bool

    def path(self, url: Urls, page: str = "") -> str:
        """Return where one of these pages is; the list, without `page`."""
        return url(f"{self.name}_{page}" if page else self.name)

    def actor_of(self, request: web.Request) -> Actor:
        """Return who asks, and whom they reach on these pages."""
        session = signed_in_of(request)
        return Actor(session, None if self.is_owners else session.tenant)


def status_of(problem: str) -> int:
    if problem == Result.TOO_MANY.value:
        return 429
    return 422 if problem else 200


def modules_of(form: Form) -> frozenset[Module]:
    return frozenset(module for module in Module if form.text(f"module-{module.value}"))
