"""/admin/accounts/invite, and /ops/accounts/invite for the owner: invite one person."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Protocol

from aiohttp import web

from gateway.accounts.csv_import.reading import Create, Reject, judge
from gateway.accounts.people import Administrator, PeopleService, Result
from gateway.accounts.people_set import PeopleSet, modules_of, status_of
from gateway.model.account import Module, Role, is_respelled
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, visit_of


class Needs(Platform, Protocol):
    @property
    def people(self) -> PeopleService: ...


class InvitePages:
    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._service = needs.people
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/invite"""
        return self._form(request, Form({}))

    async def invite(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/invite: `email`, `name`, `role`, `module-…`; from the owner also `tenant`."""
        form, admin = await read_form(request), self._people.admin_of(request)
        wanted = read_invitation(form, admin)
        if isinstance(wanted, Reject):
            return self._form(request, form, problem=wanted.reason)
        if is_respelled(form.text("email"), wanted.identifier):  # the normalised spelling is confirmed first
            return self._form(request, Form({**form.fields, "email": wanted.identifier}), problem="respelled")
        result = await self._service.invite(admin, wanted)
        if result is Result.DONE:
            return see_other(f"{self._at()}?done=invited")
        if result is Result.NOT_THERE:  # the administrator's own right has ended
            raise web.HTTPNotFound
        return self._form(request, form, problem=result.value)

    def _form(self, request: web.Request, form: Form, problem: str = "") -> web.Response:
        return self._renderer.page(
            "accounts/invite.html",
            visit_of(request),
            status=status_of(problem),
            given={name: form.text(name)[:320] for name in ("email", "name", "role", "tenant")},
            chosen=modules_of(form),
            roles=list(Role),
            modules=list(Module),
            problem=problem,
            people_url=self._at,
            is_owners=self._people.is_owners,
        )


def read_invitation(form: Form, admin: Administrator) -> Create | Reject:
    row = {name: form.text(name) for name in ("email", "name", "role")}
    row["tenant"] = form.text("tenant") if admin.tenant is None else admin.tenant
    verdict = judge(0, row)
    return verdict if isinstance(verdict, Reject) else replace(verdict, modules=modules_of(form))


def invites_admin(people: PeopleSet, request: web.Request, form: Form) -> bool:
    """Whether the form would add an admin. This needs a fresh proof, or an unattended browser could be used for it."""
    wanted = read_invitation(form, people.admin_of(request))
    if isinstance(wanted, Reject) or is_respelled(form.text("email"), wanted.identifier):  # the form is shown again
        return False
    return wanted.role is Role.ADMIN
