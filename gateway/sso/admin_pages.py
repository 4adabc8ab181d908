"""/admin/sso: a tenant's administrators connect their identity provider."""

from __future__ import annotations

import re
from typing import Protocol

from aiohttp import web

from gateway.login.answers import Answers
from gateway.model.secret import Secret
from gateway.model.token import new_id
from gateway.settings.record import Settings
from gateway.sso.admin import Overview, ProviderResult, ProviderService
from gateway.sso.keys.expiry import expires_soon
from gateway.sso.oidc import entra
from gateway.sso.oidc.discovery import WELL_KNOWN, check_issuer
from gateway.sso.oidc.record import Kind, Provider
from gateway.sso.pages import Needs as SignOnNeeds
from gateway.sso.pages import SSOPages
from gateway.sso.rows import Registered
from gateway.web.redirects import Wish, see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DONE = ("saved", "on", "off", "removed", "proved")
PRODUCTS = {
    Kind.ENTRA: "Microsoft Entra ID",
    Kind.GOOGLE: "Google Workspace",
    Kind.OKTA: "Okta",
    Kind.KEYCLOAK: "Keycloak",
    Kind.GENERIC: "",
}
EXAMPLES = {
    Kind.ENTRA: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0",
    Kind.GOOGLE: "https://accounts.google.com",
    Kind.OKTA: "https://acme.okta.com",
    Kind.KEYCLOAK: "https://id.acme.example/realms/staff",
    Kind.GENERIC: "https://id.acme.example",
}
FIELDS = ("issuer", "client_id", "creates_accounts", "counts_for_two", "acr_values", "signs")
SCOPES = ("openid", "email", "profile")
MAX_ISSUER, MAX_CLIENT, MAX_SECRET, MAX_CLASSES = 500, 200, 1_000, 200
CLASS = re.compile(r"[!#-\[\]-~]+")  # no quotes or backslashes: some providers read them in their own way
CONTEXT = re.compile(r"c[1-9][0-9]?")  # an authentication context of Entra ID


class Needs(SignOnNeeds, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def providers(self) -> ProviderService: ...
    @property
    def settings(self) -> Settings: ...


class Unfit(ValueError):
    """A field of the form is not acceptable; the message is its name."""


class ProviderPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.providers
        self._sign_on = SSOPages(needs)
        self._renderer = needs.renderer
        self._url = needs.url
        self._allows_http = needs.settings.sso.private_networks

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso: `do` (saved, trial, on, off, removed) and the fields of the provider."""
        form, author = await read_form(request), signed_in_of(request)
        visit = visit_of(request)
        overview = await self._service.look(author.tenant)
        what = form.text("do")
        if what == "saved":
            try:
                wanted = read_provider(form, author.tenant, overview.registered, allows_http=self._allows_http)
            except Unfit as error:
                return await self._page(request, problem=str(error), form=form)
            result = await self._service.save(author, wanted, visit.inbound, visit.now)
            return self._done(what) if result is ProviderResult.DONE else await self._page(request, result.value, form)
        if overview.registered is None:
            raise web.HTTPBadRequest
        if what == "trial":
            return await self._sign_on.lead(visit, Wish(self._url("admin_sso")), overview.registered, is_trial=True)
        if what in ("off", "removed") and not form.is_confirmed:
            return self._ask(request, what, overview)
        if what == "removed":
            result = await self._service.remove(author, visit.inbound, visit.now)
        elif what in ("on", "off"):
            result = await self._service.switch(author, what == "on", visit.inbound, visit.now)
        else:
            raise web.HTTPBadRequest
        return self._done(what) if result is ProviderResult.DONE else await self._page(request, problem=result.value)

    def _ask(self, request: web.Request, what: str, overview: Overview) -> web.Response:
        return self._renderer.page("sso/admin-confirm.html", visit_of(request), what=what, linked=overview.linked)

    def _done(self, word: str) -> web.Response:
        return see_other(f"{self._url('admin_sso')}?done={word}")

    async def _page(self, request: web.Request, problem: str = "", form: Form | None = None) -> web.Response:
        overview = await self._service.look(signed_in_of(request).tenant)
        registered, done = overview.registered, request.query.get("done", "")
        given = shown_of(form) if form else shown_of_stored(registered)
        return self._renderer.page(
            "sso/admin.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            done=done if done in DONE else "",
            overview=overview,
            expires=expires_soon(overview.key, visit_of(request).now),
            now=visit_of(request).now,
            given=given,
            kinds=list(Kind),
            products=PRODUCTS,
            examples=EXAMPLES,
            callback=self._url.address("sso_callback", tenant=signed_in_of(request).tenant),
            sign_out=self._url.address("sso_logout", tenant=signed_in_of(request).tenant),
            after=self._url.address("login"),
            direct=self._url.address("sso_tenant", tenant=signed_in_of(request).tenant),
        )


def read_provider(form: Form, tenant: str, before: Registered | None, *, allows_http: bool) -> Registered:
    """Return the provider of the form. Raises Unfit.

    The secret may be left out, to keep the stored one, but only for whom it was made: another issuer would be sent it.
    """
    issuer = read_issuer(form)
    if len(issuer) > MAX_ISSUER or check_issuer(issuer, allows_http=allows_http) is not None:
        raise Unfit("issuer")
    client_id = form.text("client_id").strip()
    if not client_id or len(client_id) > MAX_CLIENT or not client_id.isprintable():
        raise Unfit("client_id")
    secret = Secret(form.text("client_secret").strip())
    if not secret.reveal() and before is not None and is_same_client(before.provider, issuer, client_id):
        secret = before.provider.client_secret
    signs, length = bool(form.text("signs")), len(secret.reveal())
    if not (0 if signs else 1) <= length <= MAX_SECRET or not secret.reveal().isprintable():
        raise Unfit("client_secret")
    try:
        kind = Kind(form.text("kind"))
    except ValueError:
        raise Unfit("kind") from None
    identity = before.provider.id if before else new_id("idp")
    provider = Provider(identity, tenant, issuer, client_id, secret, kind, SCOPES, is_enabled=False)
    return Registered(
        provider,
        creates_accounts=bool(form.text("creates_accounts")),
        counts_for_two=bool(form.text("counts_for_two")),
        acr_values=read_classes(form, kind),
        signs=signs,
    )


def read_issuer(form: Form) -> str:
    """Return the issuer. Consoles show other things: Entra ID its tenant ID, and many only the address of discovery."""
    text = form.text("issuer").strip().removesuffix(WELL_KNOWN)
    is_tenant = form.text("kind") == Kind.ENTRA and entra.GUID.fullmatch(text.lower())
    return entra.issuer_of(text.lower()) if is_tenant else text


def is_same_client(provider: Provider, issuer: str, client_id: str) -> bool:
    return (provider.issuer, provider.client_id) == (issuer, client_id)


def read_classes(form: Form, kind: Kind) -> tuple[str, ...]:
    """Return the classes of sign-in with two factors, separated by spaces. Raises Unfit."""
    text = form.text("acr_values")
    pattern = CONTEXT if kind is Kind.ENTRA else CLASS
    if len(text) > MAX_CLASSES or not all(map(pattern.fullmatch, text.split())):
        raise Unfit("acr_values")
    return tuple(text.split())


def shown_of(form: Form) -> dict[str, object]:
    """Return the fields as they were sent, except the secret."""
    return {
        "kind": form.text("kind"),
        "issuer": form.text("issuer")[:MAX_ISSUER],
        "client_id": form.text("client_id")[:MAX_CLIENT],
        "creates_accounts": bool(form.text("creates_accounts")),
        "counts_for_two": bool(form.text("counts_for_two")),
        "acr_values": form.text("acr_values")[:MAX_CLASSES],
        "signs": bool(form.text("signs")),
    }


def shown_of_stored(registered: Registered | None) -> dict[str, object]:
    """Return the fields as they are stored."""
    if registered is None:
        return {**dict.fromkeys(FIELDS, ""), "kind": Kind.ENTRA}
    provider = registered.provider
    return {
        "kind": provider.kind,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "creates_accounts": registered.creates_accounts,
        "counts_for_two": registered.counts_for_two,
        "acr_values": " ".join(registered.acr_values),
        "signs": registered.signs,
    }
