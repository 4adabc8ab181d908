"""/ops/tenants: the owner adds, renames and suspends tenants, and grants them email domains."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, Protocol

from aiohttp import web

from gateway.accounts import claims, directory, rows
from gateway.accounts.claims import Claim, check_claim
from gateway.accounts.directory import Tenant
from gateway.actions.action import Action, Actions, requester
from gateway.model.account import Unacceptable, check_name, check_tenant
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.sessions.reach import Reaches
from gateway.store import Store
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("added", "renamed", "suspended", "resumed", "claimed", "released", "secured", "proved")


class TenantResult(Enum):
    DONE = "done"
    TAKEN = "taken"
    NOT_THERE = "not_there"
    OWN = "own"  # the owner can't suspend their own tenant
    CLAIMED = "claimed"  # another tenant has the domain


class TenantService:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def look(self) -> tuple[list[Tenant], list[Claim]]:
        """Return all tenants and all claimed email domains."""
        async with self._store.reading() as tx:
            return await directory.list_tenants(tx), await claims.list_all(tx)

    async def count_people(self, claim: Claim) -> int | None:
        """Return how many people of a tenant have an email at a domain that it claims; None if it doesn't."""
        async with self._store.reading() as tx:
            is_held = claim in await claims.list_all(tx)
            return await claims.count_people(tx, claim) if is_held else None

    async def add(self, owner: Session, slug: str, name: str, inbound: Inbound, now: int) -> TenantResult:
        async with self._begin(owner, inbound, now) as action:
            if not await rows.add_tenant(action.tx, slug, name):
                return TenantResult.TAKEN
            await note(action, Event.TENANT_ADDED, owner, slug, name=name)
        return TenantResult.DONE

    async def rename(self, owner: Session, slug: str, name: str, inbound: Inbound, now: int) -> TenantResult:
        async with self._begin(owner, inbound, now) as action:
            if not await rows.rename_tenant(action.tx, slug, name):
                return TenantResult.NOT_THERE
            await note(action, Event.TENANT_RENAMED, owner, slug, name=name)
        return TenantResult.DONE

    async def suspend(self, owner: Session, slug: str, inbound: Inbound, now: int) -> TenantResult:
        """Refuse the tenant's sign-ins, and end all its sessions."""
        if slug == owner.tenant:
            return TenantResult.OWN
        async with self._begin(owner, inbound, now) as action:
            if not await rows.set_tenant_status(action.tx, slug, is_active=False):
                return TenantResult.NOT_THERE
            await session_rows.end_tenant(action.tx, slug, now)
            await note(action, Event.TENANT_SUSPENDED, owner, slug)
        return TenantResult.DONE

    async def resume(self, owner: Session, slug: str, inbound: Inbound, now: int) -> TenantResult:
        async with self._begin(owner, inbound, now) as action:
            if not await rows.set_tenant_status(action.tx, slug, is_active=True):
                return TenantResult.NOT_THERE
            await note(action, Event.TENANT_RESUMED, owner, slug)
        return TenantResult.DONE

    async def claim(self, owner: Session, claim: Claim, inbound: Inbound, now: int) -> TenantResult:
        """Reserve an email domain for new accounts of a tenant. Existing accounts of other tenants stay."""
        async with self._begin(owner, inbound, now) as action:
            if not await rows.has_tenant(action.tx, claim.tenant):
                return TenantResult.NOT_THERE
            if await claims.add(action.tx, claim, owner.identifier, now) != claim:
                return TenantResult.CLAIMED
            await note(action, Event.DOMAIN_CLAIMED, owner, claim.tenant, domain=claim.domain)
        return TenantResult.DONE

    async def release(self, owner: Session, claim: Claim, inbound: Inbound, now: int) -> TenantResult:
        async with self._begin(owner, inbound, now) as action:
            if not await claims.release(action.tx, claim):
                return TenantResult.NOT_THERE
            await note(action, Event.DOMAIN_RELEASED, owner, claim.tenant, domain=claim.domain)
        return TenantResult.DONE

    def _begin(self, owner: Session, inbound: Inbound, now: int) -> AbstractAsyncContextManager[Action]:
        return self._actions.begin(requester(inbound, owner.id), now)


async def note(action: Action, event: Event, owner: Session, slug: str, **more: str) -> None:
    await action.record_own(event, owner, {"tenant": slug, **more}, slug)


def wrong_field(form: Form) -> str:
    """Return the field of a refused form that is to be corrected."""
    if form.text("do") == "claimed":
        return "domain"
    for field, check in (("tenant", check_tenant), ("name", check_name)):
        try:
            check(form.text(field))
        except Unacceptable:
            return field
    return "tenant"


class Needs(Platform, Protocol):
    @property
    def reaches(self) -> Reaches: ...
    @property
    def tenants(self) -> TenantService: ...


class TenantPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.tenants
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/tenants"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/tenants: `do` (added, renamed, suspended, …, claimed, released), `tenant`, `name`, `domain`.

        Suspending, and releasing a domain, ask for confirmation.
        """
        form, owner = await read_form(request), signed_in_of(request)
        try:
            if form.text("do") == "suspended" and not form.is_confirmed:
                return await self._ask(request, check_tenant(form.text("tenant")))
            if form.text("do") == "released" and not form.is_confirmed:
                return await self._ask_release(request, Claim(form.text("domain"), check_tenant(form.text("tenant"))))
            result = await self._change(owner, form, visit_of(request).inbound, visit_of(request).now)
        except Unacceptable as error:
            return await self._page(request, error.sentence, form)
        if result is TenantResult.DONE:
            return see_other(f"{self._url('ops_tenants')}?done={form.text('do')}")
        return await self._page(request, result.value, form)

    async def _change(self, owner: Session, form: Form, inbound: Inbound, now: int) -> TenantResult:
        slug = check_tenant(form.text("tenant"))
        match form.text("do"):
            case "added":
                return await self._service.add(owner, slug, check_name(form.text("name")), inbound, now)
            case "renamed":
                return await self._service.rename(owner, slug, check_name(form.text("name")), inbound, now)
            case "suspended":
                return await self._service.suspend(owner, slug, inbound, now)
            case "resumed":
                return await self._service.resume(owner, slug, inbound, now)
            case "claimed":
                claim = Claim(check_claim(form.text("domain")), slug)
                return await self._service.claim(owner, claim, inbound, now)
            case "released":
                return await self._service.release(owner, Claim(form.text("domain"), slug), inbound, now)
            case _:
                raise web.HTTPBadRequest

    async def _ask(self, request: web.Request, slug: str) -> web.Response:
        """Ask for confirmation before suspending, with the numbers of people and sessions affected."""
        if slug == signed_in_of(request).tenant:
            return await self._page(request, problem=TenantResult.OWN.value)
        tenants, _ = await self._service.look()
        if all(tenant.slug != slug for tenant in tenants):
            return await self._page(request, problem=TenantResult.NOT_THERE.value)
        return self._renderer.page(
            "web/confirm.html",
            visit_of(request),
            kind="suspended",
            subject=slug,
            reach=await self._reaches.of_tenant(slug, visit_of(request).now),
            action=self._url("ops_tenants"),
            fields={"do": "suspended", "tenant": slug},
            back=self._url("ops_tenants"),
        )

    async def _ask_release(self, request: web.Request, claim: Claim) -> web.Response:
        """Ask for confirmation before a tenant loses a domain, and say how many of its people are there."""
        people = await self._service.count_people(claim)
        if people is None:
            return await self._page(request, problem=TenantResult.NOT_THERE.value)
        return self._renderer.page("tenants/release.html", visit_of(request), claim=claim, people=people)

    async def _page(self, request: web.Request, problem: str = "", form: Form | None = None) -> web.Response:
        """Show the page; after a problem, with what was typed."""
        tenants, claimed = await self._service.look()
        done = request.query.get("done", "")
        context: dict[str, Any] = {
            "tenants": tenants,
            "claims": claimed,
            "own": signed_in_of(request).tenant,
            "done": done if done in DONE else "",
            "problem": problem,
            "typed": {name: form.text(name) if form else "" for name in ("do", "tenant", "name", "domain")},
            "wrong": wrong_field(form) if form else "",
        }
        return await self._renderer.long_page(
            "tenants/tenants.html", visit_of(request), status=422 if problem else 200, **context
        )
