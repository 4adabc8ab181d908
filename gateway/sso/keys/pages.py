"""/admin/sso/key: our keys for a tenant's provider; /login/sso/jwks/{tenant}: their public parts."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.sso.keys.expiry import expires_at, expires_soon
from gateway.sso.keys.rows import KeyState, StoredKey
from gateway.sso.keys.service import KeyResult, KeyService
from gateway.sso.pages import Needs as SignOnNeeds
from gateway.sso.pages import SSOPages
from gateway.web.redirects import Wish, see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

DONE = ("made", "used", "retired", "dropped", "proved")


class Needs(SignOnNeeds, Protocol):
    @property
    def client_keys(self) -> KeyService: ...


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key as the page shows it. `until` is when its certificate expires, in UTC seconds."""

    key: StoredKey
    jwk: str
    until: int | None


class SigningKeyPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.client_keys
        self._sign_on = SSOPages(needs)
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/key"""
        return await self._page(request)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/sso/key: `do` (made, trial, used, retired, dropped)."""
        form, author, visit = await read_form(request), signed_in_of(request), visit_of(request)
        what = form.text("do")
        match what:
            case "made":
                result = await self._service.make(author, visit.inbound, visit.now)
            case "trial":
                found = await self._service.find_next(author.tenant)
                if found is None:
                    return await self._page(request, problem=KeyResult.NOT_THERE.value)
                return await self._sign_on.lead(visit, Wish(self._url("admin_sso_key")), found, is_trial=True)
            case "used":
                result = await self._service.use(author, visit.inbound, visit.now)
            case "retired" | "dropped":
                state = KeyState.FORMER if what == "retired" else KeyState.NEXT
                result = await self._service.remove(author, state, visit.inbound, visit.now)
            case _:
                raise web.HTTPBadRequest
        if result is not KeyResult.DONE:
            return await self._page(request, problem=result.value)
        return see_other(f"{self._url('admin_sso_key')}?done={what}")

    async def certificate(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/sso/certificate/{key}: a file for the provider's console."""
        found = await self._service.look(signed_in_of(request).tenant)
        key = next((each for each in found.all if each.id == request.match_info["key"] and each.certificate), None)
        if key is None:
            raise web.HTTPNotFound
        name = f'attachment; filename="{key.id}.cer"'
        return web.Response(
            text=ssl.DER_cert_to_PEM_cert(key.certificate),
            content_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": name},
        )

    async def _page(self, request: web.Request, problem: str = "") -> web.Response:
        tenant, done = signed_in_of(request).tenant, request.query.get("done", "")
        found = await self._service.look(tenant)
        return self._renderer.page(
            "sso/key.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            done=done if done in DONE and not problem else "",
            registered=found.registered,
            keys=[show(key) for key in found.all],
            upcoming=found.find("next"),
            former=found.find("former"),
            expires=expires_soon(found.find("current"), visit_of(request).now),
            now=visit_of(request).now,
            jwks=self._url.address("sso_jwks", tenant=tenant),
        )


class PublicKeyPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.client_keys

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login/sso/jwks/{tenant}: a JWK Set (RFC 7517 §5), for the provider."""
        found = await self._service.publish(request.match_info["tenant"])
        return web.json_response({"keys": found}, status=200 if found else 404)


def show(key: StoredKey) -> ShownKey:
    return ShownKey(key, json.dumps(json.loads(key.public), indent=2), expires_at(key))
