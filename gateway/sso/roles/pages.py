"""/admin/sso/roles: what app roles and groups of the provider give people here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from gateway.model.account import Module, Role
from gateway.sso.oidc.record import Kind
from gateway.sso.roles.admin import Demotion, RoleService, Saved
from gateway.sso.roles.mapping import (
    MAX_CLAIM,
    MAX_RULES,
    MAX_VALUE,
    NO_MAP,
    ROLES,
    RoleMap,
    Rule,
    Source,
    read_gift,
)
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("saved", "proved")
SPARE = 3  # empty rows that are shown below the others
MORE = 10
DEFAULTS = (Role.EMPLOYEE, Role.MANAGER)  # nobody becomes an administrator without a rule


class Needs(Platform, Protocol):
    @property
    def roles(self) -> RoleService: ...


class Unfit(ValueError):
    """A field of the form is not acceptable; the message is its name."""


class RolePages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.roles
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/roles"""
        found = await self._service.look(signed_in_of(request).tenant)
        kind, role_map = found or (None, NO_MAP)
        return self._page(request, fields_of(role_map), len(role_map.rules) + SPARE, kind=kind)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso/roles: `do` (saved, more), `claim`, `default`, `names_follow`, `roles_follow`, and for each
        row N `source-N`, `value-N` and `gives-N`.
        """
        form, author, visit = await read_form(request), signed_in_of(request), visit_of(request)
        what, rows = form.text("do"), count_rows(form)
        found = await self._service.look(author.tenant)
        if what not in ("saved", "more") or found is None:
            raise web.HTTPBadRequest
        if what == "more":
            return self._page(request, form.fields, rows + MORE, kind=found[0])
        try:
            wanted = read_map(form)
        except Unfit as error:
            return self._page(request, form.fields, rows, kind=found[0], problem=str(error))
        saved = await self._service.save(author, wanted, visit.inbound, visit.now, is_confirmed=form.is_confirmed)
        match saved:
            case Demotion():
                return self._renderer.page("sso/roles-confirm.html", visit, demotion=saved, fields=fields_of(wanted))
            case Saved.NOT_THERE:
                raise web.HTTPBadRequest
            case Saved.DONE:
                return see_other(f"{self._url('admin_sso_roles')}?done=saved")

    def _page(
        self, request: web.Request, given: Mapping[str, str], rows: int, *, kind: Kind | None, problem: str = ""
    ) -> web.Response:
        done = request.query.get("done", "")
        return self._renderer.page(
            "sso/roles.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            done=done if done in DONE and request.method != "POST" else "",
            given=given,
            rows=range(min(rows, MAX_RULES)),
            most=MAX_RULES,
            kind=kind,
            sources=list(Source),
            roles=list(Role),
            modules=list(Module),
            defaults=DEFAULTS,
        )


def fields_of(role_map: RoleMap) -> dict[str, str]:
    """Return the fields of the form that says a mapping."""
    fields = {"claim": role_map.claim, "default": role_map.default.value}
    switches = {"names_follow": role_map.names_follow, "roles_follow": role_map.roles_follow}
    fields |= {name: "yes" for name, is_on in switches.items() if is_on}
    for at, rule in enumerate(role_map.rules):
        fields |= {f"source-{at}": rule.source.value, f"value-{at}": rule.value, f"gives-{at}": rule.gives.value}
    return fields


def count_rows(form: Form) -> int:
    """Return how many rows the form had."""
    return next((at for at in range(MAX_RULES) if f"value-{at}" not in form.fields), MAX_RULES)


def read_map(form: Form) -> RoleMap:
    """Return the mapping of the form. Rows without a value are left out, and those that repeat one. Raises Unfit."""
    claim = form.text("claim").strip() or ROLES
    if len(claim) > MAX_CLAIM or not claim.isprintable():
        raise Unfit("claim")
    default = next((role for role in DEFAULTS if role.value == form.text("default")), None)
    if default is None:
        raise Unfit("default")
    rules = [rule for at in range(MAX_RULES) if (rule := read_rule(form, at)) is not None]
    return RoleMap(
        tuple(dict.fromkeys(rules)),
        claim,
        default,
        names_follow=bool(form.text("names_follow")),
        roles_follow=bool(form.text("roles_follow")),
    )


def read_rule(form: Form, at: int) -> Rule | None:
    value = form.text(f"value-{at}").strip()
    if not value:
        return None
    source = next((source for source in Source if source.value == form.text(f"source-{at}")), None)
    gives = read_gift(form.text(f"gives-{at}"))
    if source is None or gives is None or len(value) > MAX_VALUE or not value.isprintable():
        raise Unfit(f"value-{at}")
    return Rule(source, value, gives)
