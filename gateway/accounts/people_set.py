"""The two sets of pages about people: an admin's, for their own tenant, and the owner's, for all tenants."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.accounts.people import Administrator, Result
from gateway.model.account import Module
from gateway.web.routes import Urls
from gateway.web.visit import Form, signed_in_of, visit_of


@dataclass(frozen=True, slots=True)
class PeopleSet:
    """`name` is the name of the list's route, and the prefix of the other routes' names."""

    name: str
    is_owners: bool

    def path(self, url: Urls, page: str = "") -> str:
        """Return the path of a page; without `page`, that of the list."""
        return url(f"{self.name}_{page}" if page else self.name)

    def admin_of(self, request: web.Request) -> Administrator:
        """Return the signed-in administrator, restricted to their tenant unless these are the owner's pages."""
        session, visit = signed_in_of(request), visit_of(request)
        return Administrator(session, None if self.is_owners else session.tenant, visit.inbound, visit.now)


def status_of(problem: str) -> int:
    if problem == Result.TOO_MANY.value:
        return 429
    if problem == Result.CHANGED.value:
        return 409
    return 422 if problem else 200


def modules_of(form: Form) -> frozenset[Module]:
    return frozenset(module for module in Module if form.text(f"module-{module.value}"))
