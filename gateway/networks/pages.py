"""/me/networks, /admin/networks and /admin/networks/member: from which networks accounts may be used.

A list that leaves out the address of its author is saved only after two pages that say so, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.model.account import Account, Role
from gateway.model.network_rule import (
    ADMINISTRATOR,
    EXEMPT,
    OWN,
    Ranges,
    Sections,
    write_ranges,
    write_sections,
)
from gateway.model.session import Session
from gateway.networks.forms import FIELDS, Problem, read_lists, text_of, texts_of
from gateway.networks.service import NetworkService, Saved
from gateway.sessions.reach import Reach, Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of

DONE = ("saved", "proved")


class Needs(Platform, Protocol):
    @property
    def networks(self) -> NetworkService: ...
    @property
    def reaches(self) -> Reaches: ...


class NetworkPages:
    """Shared by the three pages."""

    def __init__(self, needs: Needs) -> None:
        self._service = needs.networks
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    def _page(
        self, template: str, request: web.Request, *, problem: Problem | None = None, **context: object
    ) -> web.Response:
        visit, done = visit_of(request), request.query.get("done", "")
        return self._renderer.page(
            template,
            visit,
            status=422 if problem else 200,
            wait=0,  # named, so that the rest can only be for the template
            problem=problem,
            done=done if done in DONE else "",
            address=visit.inbound.address,
            **context,
        )

    def _ask(
        self,
        request: web.Request,
        form: Form,
        *,
        at: str,
        back: str,
        fields: Mapping[str, str],
        is_outside: bool,
        reach: Reach | None = None,
        subject: str = "",
    ) -> web.Response:
        """Show the first page that asks, or the second, if the first was confirmed."""
        is_second = form.is_confirmed
        return self._page(
            "networks/confirm.html",
            request,
            action=self._url(at),
            back=back,
            fields={**fields, "confirmed": "yes", **({"despite": "yes"} if is_second else {})},
            is_second=is_second,
            is_outside=is_outside,
            reach=reach,
            subject=subject,
            kind=at,
        )

    def _back(self, page: str, saved: Saved) -> web.Response:
        """Go back to the page. Authors who may no longer act are refused there."""
        return see_other(f"{self._url(page)}?done=saved" if saved is Saved.SAVED else self._url(page))


class OwnNetworks(NetworkPages):
    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/networks"""
        sections = await self._service.of_account(signed_in_of(request).account)
        return await self._own(request, write_ranges(sections.get(OWN, ())))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /me/networks: `networks`, one a line; `add` adds the address that the request comes from."""
        form, visit, person = await read_form(request), visit_of(request), signed_in_of(request)
        text = text_of(form, visit.inbound)
        if form.text("add") == "show":
            return await self._own(request, text)
        found = await read_lists({"networks": text}, visit.now)
        if isinstance(found, Problem):
            return await self._own(request, text, found)
        ranges = found["networks"]
        saved = await self._service.change_own(person, ranges, visit.inbound, visit.now, despite=insists(form))
        if saved is Saved.LEAVES_OUT:
            fields = {"networks": write_ranges(ranges)}
            return self._ask(request, form, at="networks", back=self._url("networks"), fields=fields, is_outside=True)
        return self._back("networks", saved)

    async def _own(self, request: web.Request, text: str, problem: Problem | None = None) -> web.Response:
        person = signed_in_of(request)
        others = await self._service.others_of(person)
        return self._page("networks/own.html", request, problem=problem, networks=text, others=others)


class TenantNetworks(NetworkPages):
    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/networks"""
        sections = await self._service.of_tenant(signed_in_of(request).tenant)
        texts = {field: write_ranges(sections.get(section, ())) for field, section in FIELDS.items()}
        return self._lists(request, texts)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/networks: `everyone`, and a list for each role, which replaces it; asks for confirmation."""
        form, visit, author = await read_form(request), visit_of(request), signed_in_of(request)
        texts = texts_of(form, visit.inbound, author.role)
        if form.text("add") == "show":
            return self._lists(request, texts)
        found = await read_lists(texts, visit.now)
        if isinstance(found, Problem):
            return self._lists(request, texts, found)
        wanted = {FIELDS[field]: ranges for field, ranges in found.items()}
        if not form.is_confirmed:
            is_outside = await self._service.leaves_out(author, wanted, visit.inbound, visit.now)
            return await self._ask_tenant(request, form, author, wanted, is_outside=is_outside)
        saved = await self._service.change_tenant(author, wanted, visit.inbound, visit.now, despite=insists(form))
        if saved is Saved.LEAVES_OUT:
            return await self._ask_tenant(request, form, author, wanted, is_outside=True)
        return self._back("admin_networks", saved)

    async def _ask_tenant(
        self, request: web.Request, form: Form, author: Session, wanted: Sections, *, is_outside: bool
    ) -> web.Response:
        reach = await self._reaches.outside_of(author.tenant, write_sections(wanted), visit_of(request).now)
        fields = {field: write_ranges(wanted.get(section, ())) for field, section in FIELDS.items()}
        return self._ask(
            request, form, at="admin_networks", back=self._url("admin_networks"),
            fields=fields, is_outside=is_outside, reach=reach,
        )  # fmt: skip

    def _lists(self, request: web.Request, texts: Mapping[str, str], problem: Problem | None = None) -> web.Response:
        return self._page("networks/tenant.html", request, problem=problem, texts=texts, roles=list(Role))


class MemberNetworks(NetworkPages):
    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/networks/member?account=ID"""
        member, sections = await self._find(request, asked_of(request, "account"))
        return self._member(request, member, sections, write_ranges(sections.get(ADMINISTRATOR, ())))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/networks/member: `account`, `networks`; `lifts` ends the person's own list. Asks first."""
        form, visit, author = await read_form(request), visit_of(request), signed_in_of(request)
        member, sections = await self._find(request, form.text("account"))
        text, lifts = text_of(form, visit.inbound), bool(form.text("lifts"))
        if form.text("add") == "show":
            return self._member(request, member, sections, text, lifts=lifts)
        found = await read_lists({"networks": text}, visit.now)
        if isinstance(found, Problem):
            return self._member(request, member, sections, text, found, lifts=lifts)
        ranges = found["networks"]
        if not form.is_confirmed:
            return await self._ask_member(request, form, member, ranges, lifts=lifts)
        saved = await self._service.change_member(
            author, member.id, ranges, visit.inbound, visit.now, lifts=lifts, despite=insists(form)
        )
        if saved is Saved.LEAVES_OUT:
            return await self._ask_member(request, form, member, ranges, lifts=lifts)
        if saved is Saved.GONE:
            raise web.HTTPNotFound
        return see_other(f"{self._at(member)}&done=saved")

    async def _find(self, request: web.Request, account: str) -> tuple[Account, Sections]:
        found = await self._service.of_member(signed_in_of(request), account)
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _ask_member(
        self, request: web.Request, form: Form, member: Account, ranges: Ranges, *, lifts: bool
    ) -> web.Response:
        visit, author = visit_of(request), signed_in_of(request)
        text = write_sections({ADMINISTRATOR: ranges})
        is_self = member.id == author.account
        return self._ask(
            request, form, at="admin_networks_member", back=self._at(member), subject=member.name,
            fields={"account": member.id, "networks": write_ranges(ranges), **({"lifts": "yes"} if lifts else {})},
            is_outside=is_self and self._service.refuses(author, "", text, visit.inbound, visit.now),
            reach=await self._reaches.outside_of_account(member.id, text, visit.now),
        )  # fmt: skip

    def _at(self, member: Account) -> str:
        return f"{self._url('admin_networks_member')}?{urlencode({'account': member.id})}"

    def _member(
        self,
        request: web.Request,
        member: Account,
        sections: Sections,
        text: str,
        problem: Problem | None = None,
        *,
        lifts: bool = False,
    ) -> web.Response:
        return self._page(
            "networks/member.html", request, problem=problem,
            member=member, networks=text, own=sections.get(OWN, ()), is_exempt=EXEMPT in sections, lifts=lifts,
        )  # fmt: skip


def insists(form: Form) -> bool:
    """Whether both pages that ask were confirmed."""
    return form.is_confirmed and form.text("despite") == "yes"
