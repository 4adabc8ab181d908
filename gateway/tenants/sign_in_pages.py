"""/admin/security: what the administrators of a tenant demand of their people's sign-in."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.factors.passkey.names import name_of
from gateway.model.account import Role
from gateway.model.factor_policy import TenantPolicy
from gateway.settings.record import Settings
from gateway.tenants.sign_in import SignIn, SignInService, TooManyModels, UnknownModel, read_models, read_policy
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
        policy = self._read_policy(form)
        try:
            wanted = SignIn(policy, read_models(form.text("models")) if self._factors.attestation_roots else ())
        except (UnknownModel, TooManyModels) as error:
            problem, typed = "model" if isinstance(error, UnknownModel) else "models", form.text("models")
            return await self._page(request, SignIn(policy), problem=problem, line=str(error), typed=typed)
        if not self._service.suits(author, policy):
            return await self._page(request, wanted, problem="author")
        if not self._service.is_proved(author, policy):
            return await self._page(request, wanted, problem="unproved")
        if not form.is_confirmed:
            return await self._ask(request, wanted)
        await self._service.change(author, wanted, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('admin_security')}?done=saved")

    def _read_policy(self, form: Form) -> TenantPolicy:
        """Return the policy of the form. Where no one signs in without a password, it doesn't ask whether they may."""
        levels = {role: form.text(role.value) for role in Role}
        is_allowed = bool(form.text("passwordless")) or not self._factors.passwordless
        try:
            return read_policy(levels, allows_passwordless=is_allowed)
        except ValueError:
            raise web.HTTPBadRequest from None

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
