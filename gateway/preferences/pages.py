"""/me/settings and /admin/settings: in which language and time zone people read, and the tenant's language."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.languages.catalogue import OFFERED, Language
from gateway.languages.reader import accepted_language
from gateway.languages.zones import find_zone, list_zones
from gateway.preferences.service import PreferenceService
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of


class Needs(Platform, Protocol):
    @property
    def preferences(self) -> PreferenceService: ...


class PreferencePages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.preferences
        self._renderer = needs.renderer
        self._url = needs.url
        self._default = needs.renderer.readers.default

    async def show_own(self, request: web.Request) -> web.StreamResponse:
        """GET /me/settings"""
        visit, person = visit_of(request), signed_in_of(request)
        zone = find_zone(visit.inbound.zone)
        accepted = accepted_language(visit.inbound) or person.preferences.tenant_language
        return self._renderer.page(
            "preferences/own.html",
            visit,
            chosen=person.preferences,
            languages=[Language.of(code) for code in OFFERED],
            accepted=Language.of(accepted) if accepted in OFFERED else self._default.language,
            zones=list_zones(person.preferences.zone),
            browsers_zone=(zone or self._default.zone).key,
            is_saved=request.query.get("done") == "saved",
        )

    async def change_own(self, request: web.Request) -> web.StreamResponse:
        """POST /me/settings: `language` and `zone`, each empty for the browser's."""
        form, visit = await read_form(request), visit_of(request)
        language, zone = form.text("language"), form.text("zone")
        await self._service.change_own(signed_in_of(request), language, zone, visit.inbound, visit.now)
        return see_other(f"{self._url('settings')}?done=saved")

    async def show_tenant(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/settings"""
        author = signed_in_of(request)
        return self._renderer.page(
            "preferences/tenant.html",
            visit_of(request),
            chosen=await self._service.of_tenant(author.tenant),
            languages=[Language.of(code) for code in OFFERED],
            default=self._default.language,
            is_saved=request.query.get("done") == "saved",
        )

    async def change_tenant(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/settings: `language`, empty for that of the settings."""
        form, visit = await read_form(request), visit_of(request)
        await self._service.change_tenant(signed_in_of(request), form.text("language"), visit.inbound, visit.now)
        return see_other(f"{self._url('admin_settings')}?done=saved")
