"""/admin/sso/domains: a tenant's administrators prove the company's email domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from gateway.accounts.claims import check_claim
from gateway.model.account import Unacceptable
from gateway.model.sentence import Sentence
from gateway.sso.domains.lookup import LABEL, record_name
from gateway.sso.domains.service import MOST_DOMAINS, Checked, DomainService, Result
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("added", "checked", "dropped", "removed", "proved")
MAX_DOMAIN = 253
MOST_SHOWN = 5


class Needs(Platform, Protocol):
    @property
    def domains(self) -> DomainService: ...


class DomainPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.domains
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/domains"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso/domains: `do` (added, checked, dropped, removed) and `domain`. Removing asks first."""
        form = await read_form(request)
        what, given = form.text("do"), form.text("domain")
        try:
            domain = check_claim(given)
        except Unacceptable as error:
            return await self._page(request, problem=error.sentence, given=given)
        if what == "removed" and not form.is_confirmed:
            return await self._ask(request, domain)
        checked = await self._change(request, form, domain)
        if checked.result is Result.DONE:
            return see_other(f"{self._url('admin_sso_domains')}?done={what}")
        is_new = what == "added"
        return await self._page(
            request, problem=checked.result.value, domain=domain, texts=checked.texts, given=given if is_new else ""
        )

    async def _change(self, request: web.Request, form: Form, domain: str) -> Checked:
        author, visit = signed_in_of(request), visit_of(request)
        match form.text("do"):
            case "added":
                return Checked(await self._service.begin(author.tenant, domain, visit.now))
            case "checked":
                return await self._service.check(author, domain, visit.inbound, visit.now)
            case "dropped":
                return Checked(await self._service.drop(author.tenant, domain))
            case "removed":
                return Checked(await self._service.release(author, domain, visit.inbound, visit.now))
            case _:
                raise web.HTTPBadRequest

    async def _ask(self, request: web.Request, domain: str) -> web.Response:
        """Ask for confirmation before a domain is given up, with the number of people who have an address there."""
        people = await self._service.count_people(signed_in_of(request).tenant, domain)
        if people is None:
            return await self._page(request, problem=Result.NOT_THERE.value, domain=domain)
        return self._renderer.page("sso/domain-confirm.html", visit_of(request), domain=domain, people=people)

    async def _page(
        self,
        request: web.Request,
        *,
        problem: Sentence | str = "",
        domain: str = "",
        texts: Sequence[str] = (),
        given: str = "",
    ) -> web.Response:
        done = request.query.get("done", "")
        return self._renderer.page(
            "sso/domains.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            is_said=isinstance(problem, Sentence),
            domain=domain,
            texts=texts[:MOST_SHOWN],
            given=given[:MAX_DOMAIN],
            done=done if done in DONE and not problem else "",
            domains=await self._service.look(signed_in_of(request).tenant),
            label=LABEL,
            record_name=record_name,
            most=MOST_DOMAINS,
        )
