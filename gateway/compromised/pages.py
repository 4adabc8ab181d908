"""/me/security/compromised, and the pages that secure accounts for an administrator and for the owner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.people import PeopleService
from gateway.accounts.people_set import PeopleSet
from gateway.audit.chain import Row
from gateway.audit.labels import label_row
from gateway.audit.rows import details_of
from gateway.audit.search import read_place
from gateway.compromised.service import Result, SecuringService
from gateway.compromised.story import DAYS
from gateway.login.answers import Answers
from gateway.model.account import State
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.user_agents import label, label_all
from gateway.web.visit import asked_of, read_form, signed_in_of, visit_of

DONE = ("secured", "proved")


@dataclass(frozen=True, slots=True)
class Line:
    """A row as shown. `by` is who else acted, whose device and address are their own affair; "" otherwise."""

    at: int
    label: str
    device: str
    address: str
    by: str
    is_failure: bool
    is_new_device: bool
    is_new_network: bool
    is_here: bool


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def people(self) -> PeopleService: ...
    @property
    def reaches(self) -> Reaches: ...
    @property
    def securing(self) -> SecuringService: ...


class CompromisedPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.securing
        self._answers = needs.answers
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/compromised: `before`, a place in the log."""
        session, visit = signed_in_of(request), visit_of(request)
        before = read_place(request.query.get("before", ""))
        story = await self._service.read_story(session, before, visit.now)
        await label_all(row.user_agent for row in story.rows)
        done = request.query.get("done", "")

        def line_of(row: Row) -> Line:
            details = details_of(row)
            return Line(
                at=row.at,
                label=label_row(row.event, details),
                device=label(row.user_agent) if row.user_agent and not row.actor else "",
                address="" if row.actor else row.address,
                by=row.actor,
                is_failure=row.outcome == "failure",
                is_new_device=details.get("new_device") is True,
                is_new_network=details.get("new_network") is True,
                is_here=row.session == session.id,
            )

        return await self._renderer.long_page(
            "compromised/compromised.html",
            visit,
            lines=[line_of(row) for row in story.rows],
            days=DAYS,
            before=before,
            older=story.older,
            has_password=await self._service.has_password(session),
            done=done if done in DONE else "",
        )

    async def secure(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/compromised: end everything but this session, and go on to a new password."""
        await read_form(request)
        visit = visit_of(request)
        secured = await self._service.secure_own(signed_in_of(request), visit.inbound, visit.now)
        if secured is None:
            return see_other(self._url("compromised"))
        leads_on = secured.has_password
        target = f"{self._url('password')}?secured=1" if leads_on else f"{self._url('compromised')}?done=secured"
        return self._answers.welcome(visit, secured.signed_in, target)


class PersonPages:
    """One of the two sets of pages about people (see accounts.people_set)."""

    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._service = needs.securing
        self._members = needs.people
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/secure?account=ID"""
        return await self._ask(request, asked_of(request, "account"))

    async def secure(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/secure: `account`, `confirmed`."""
        form = await read_form(request)
        account = form.text("account")
        if not form.is_confirmed:
            return await self._ask(request, account)
        match await self._service.secure_person(self._people.admin_of(request), account):
            case Result.DONE:
                return see_other(f"{self._at('member')}?{urlencode({'account': account, 'done': 'secured'})}")
            case Result.BUSY:
                return await self._ask(request, account, is_busy=True)
            case Result.NOT_THERE:
                raise web.HTTPNotFound

    async def _ask(self, request: web.Request, account: str, *, is_busy: bool = False) -> web.Response:
        admin, visit = self._people.admin_of(request), visit_of(request)
        member = await self._members.find(admin, account)
        if member is None or member.state is not State.ACTIVE or not self._members.may_change(admin, member.account):
            raise web.HTTPNotFound
        return self._renderer.page(
            "compromised/confirm.html",
            visit,
            status=503 if is_busy else 200,
            is_busy=is_busy,
            kind="person",
            subject=member.account.name,
            email=member.account.identifier,
            has_password=member.has_password,
            reach=await self._reaches.of_account(account, visit.now),
            tokens=None,
            action=self._at("secure"),
            fields={"account": account},
            back=f"{self._at('member')}?{urlencode({'account': account})}",
        )


class TenantPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.securing
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/tenants/secure?tenant=SLUG"""
        return await self._ask(request, asked_of(request, "tenant"))

    async def secure(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/tenants/secure: `tenant`, `confirmed`."""
        form, visit = await read_form(request), visit_of(request)
        tenant = form.text("tenant")
        if not form.is_confirmed:
            return await self._ask(request, tenant)
        ended = await self._service.secure_tenant(signed_in_of(request), tenant, visit.inbound, visit.now)
        if ended is None:
            raise web.HTTPNotFound
        return see_other(f"{self._url('ops_tenants')}?done=secured")

    async def _ask(self, request: web.Request, tenant: str) -> web.Response:
        visit = visit_of(request)
        if not await self._service.has_tenant(tenant):
            raise web.HTTPNotFound
        return self._renderer.page(
            "compromised/confirm.html",
            visit,
            is_busy=False,
            kind="tenant",
            subject=tenant,
            email="",
            has_password=False,
            reach=await self._reaches.of_tenant(tenant, visit.now, but=signed_in_of(request).id),
            tokens=await self._service.count_tokens(tenant, visit.now),
            action=self._url("ops_tenants_secure"),
            fields={"tenant": tenant},
            back=self._url("ops_tenants"),
        )
