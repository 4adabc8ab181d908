"""/admin/security: what the administrators of a tenant demand of their people's sign-in."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.factors.passkey.names import name_of
from gateway.model.account import Role
from gateway.settings.record import Settings
from gateway.tenants.sign_in import SignIn, SignInService, UnknownModel, read_models, read_policy
from gateway.throttle.side_work import SideWork
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("saved", "proved")


class Needs(Platform, Protocol):
    @property
    def settings(self) -> Settings: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def tenant_sign_in(self) -> SignInService: ...


class SignInPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.tenant_sign_in
        self._side = needs.side
        self._renderer = needs.renderer
        self._url = needs.url
        self._factors = needs.settings.factors

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/security"""
        return await self._page(request, await self._service.find(signed_in_of(request).tenant))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/security: a level for each role, `passwordless`, `models`; asks for confirmation."""
        form, author = await read_form(request), signed_in_of(request)
        try:
            wanted = self._read(form)
        except UnknownModel as error:
            before = await self._service.find(author.tenant)
            return await self._page(request, before, problem="model", line=str(error), typed=form.text("models"))
        if not self._service.suits(author, wanted.policy):
            return await self._page(request, wanted, problem="author")
        if not form.is_confirmed:
            return await self._ask(request, wanted)
        await self._service.change(author, wanted, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('admin_security')}?done=saved")

    def _read(self, form: Form) -> SignIn:
        levels = {role: form.text(role.value) for role in Role}
        try:
            policy = read_policy(levels, allows_passwordless=bool(form.text("passwordless")))
        except ValueError:
            raise web.HTTPBadRequest from None
        return SignIn(policy, read_models(form.text("models")) if self._factors.attestation_roots else ())

    async def _ask(self, request: web.Request, wanted: SignIn) -> web.Response:
        effect = await self._service.foresee(signed_in_of(request).tenant, wanted.policy)
        fields = {role.value: wanted.policy.second_of(role).value for role in Role}
        if wanted.policy.allows_passwordless:
            fields["passwordless"] = "yes"
        return self._renderer.page(
            "tenants/sign-in-confirm.html",
            visit_of(request),
            effect=effect,
            fields={**fields, "models": "\n".join(wanted.models)},
            wanted=wanted,
            names=await self._name(wanted),
        )

    async def _page(
        self, request: web.Request, sign_in: SignIn, problem: str = "", line: str = "", typed: str = ""
    ) -> web.Response:
        done = request.query.get("done", "")
        return self._renderer.page(
            "tenants/sign-in.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            line=line,
            done=done if done in DONE else "",
            levels={role: self._service.levels(role) for role in Role},
            policy=sign_in.policy,
            models=typed or "\n".join(sign_in.models),
            names=await self._name(sign_in),
            has_passwordless=bool(self._factors.passwordless),
            has_models=bool(self._factors.attestation_roots),
        )

    async def _name(self, sign_in: SignIn) -> list[str]:
        return [await self._side.run(name_of, model) or model for model in sign_in.models]
