"""/admin/accounts: find people of a tenant; /ops/accounts: the same for the owner, in all tenants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.directory import Wanted
from gateway.accounts.people import PeopleService
from gateway.accounts.people_set import PeopleSet
from gateway.model.account import Role, State
from gateway.web.platform import Platform
from gateway.web.visit import signed_in_of, visit_of

UNSEEN_DAYS = (30, 90, 365)
MAX_WORDS = 200  # characters
DONE = ("invited", "removed", "resent-all")
MAX_COUNT = 4  # digits


class Needs(Platform, Protocol):
    @property
    def people(self) -> PeopleService: ...


class AccountsPages:
    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._service = needs.people
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts: `q`, `role`, `state`, `totp`, `unseen`, `tenant`, `after`."""
        wanted = parse_filters(request.query)
        members, after = await self._service.page(self._people.admin_of(request), wanted)
        more = {name: value for name, value in request.query.items() if name not in ("after", "done", "count")}
        done, count = request.query.get("done", ""), request.query.get("count", "")
        uninvited = await self._count_uninvited(request, wanted)
        return await self._renderer.long_page(
            "accounts/accounts.html",
            visit_of(request),
            tenant=signed_in_of(request).tenant,
            done=done if done in DONE else "",
            count=int(count) if count.isascii() and count.isdigit() and len(count) <= MAX_COUNT else 0,
            uninvited=uninvited,
            people_url=self._at,
            is_owners=self._people.is_owners,
            members=members,
            wanted=wanted,
            roles=list(Role),
            states=list(State),
            unseen_days=UNSEEN_DAYS,
            next_page=f"{self._at()}?{urlencode({**more, 'after': after})}" if after else "",
            first_page=f"{self._at()}?{urlencode(more)}",
            is_filtered=wanted != Wanted(after=wanted.after),
        )

    async def _count_uninvited(self, request: web.Request, wanted: Wanted) -> int:
        """Return how many invitations can be sent again at once, on the list of a tenant's invited people."""
        admin = self._people.admin_of(request)
        tenant = wanted.tenant if admin.tenant is None else admin.tenant
        if wanted.state is not State.INVITED or not tenant:
            return 0
        return len(await self._service.list_uninvited(admin, tenant))


def parse_filters(given: Mapping[str, str]) -> Wanted:
    """Parse the filters of a query; ignore invalid values, and NUL characters, which PostgreSQL rejects."""
    query = {name: value.replace("\0", "") for name, value in given.items()}
    unseen = query.get("unseen", "")
    return Wanted(
        words=query.get("q", "").strip()[:MAX_WORDS],
        role=next((role for role in Role if role == query.get("role")), None),
        state=next((state for state in State if state == query.get("state")), None),
        has_two_step={"on": True, "off": False}.get(query.get("totp", "")),
        unseen_days=int(unseen) if unseen in map(str, UNSEEN_DAYS) else None,
        tenant=query.get("tenant", "").strip()[:63],
        after=query.get("after", "")[:320],
    )
