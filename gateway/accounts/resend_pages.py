"""/admin/accounts/resend, and /ops/accounts/resend for the owner: invite everyone again whose link has expired."""

from __future__ import annotations

from functools import partial
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.people import PeopleService
from gateway.accounts.people_set import PeopleSet
from gateway.model.account import State
from gateway.sessions.reach import Reach
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

AT_ONCE = 100  # mails of one press; each takes some milliseconds


class Needs(Platform, Protocol):
    @property
    def people(self) -> PeopleService: ...


class ResendPages:
    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._service = needs.people
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)

    async def resend(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/resend: `confirmed`, and from the owner `tenant`. Asks first, and says how many."""
        form, admin = await read_form(request), self._people.admin_of(request)
        tenant = form.text("tenant") if self._people.is_owners else signed_in_of(request).tenant
        back = self._back(tenant)
        if form.is_confirmed:
            count = await self._service.resend_all(admin, tenant, AT_ONCE)
            return see_other(f"{back}&{urlencode({'done': 'resent-all', 'count': count})}")
        wanted = len(await self._service.list_uninvited(admin, tenant))
        return self._renderer.page(
            "web/confirm.html",
            visit_of(request),
            kind="resent-all",
            subject=tenant,
            reach=Reach(min(wanted, AT_ONCE), 0),
            waiting=max(0, wanted - AT_ONCE),
            action=self._at("resend"),
            fields={"tenant": tenant} if self._people.is_owners else {},
            back=back,
        )

    def _back(self, tenant: str) -> str:
        """Return the list of invited people."""
        query = {"state": State.INVITED.value, **({"tenant": tenant} if self._people.is_owners else {})}
        return f"{self._at()}?{urlencode(query)}"
