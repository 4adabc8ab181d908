"""Routes of saved forms, forward-auth, and the public key of assertions."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.crypto import keys
from gateway.dispatch.dispatcher import KEEP_FOREIGN_PATH, KEEP_PATH
from gateway.dispatch.forms.pages import FormPages
from gateway.policy.decision import Need
from gateway.settings.record import Settings
from gateway.web.routes import HandedOver, Pages, Route


class KeyNeeds(Protocol):
    @property
    def settings(self) -> Settings: ...


class KeyPages:
    def __init__(self, needs: KeyNeeds) -> None:
        self._key_set = keys.public_key_set(needs.settings.secrets)

    async def show(self, _: web.Request) -> web.StreamResponse:
        """GET /.well-known/otium-gateway/jwks.json (RFC 7517)"""
        return web.json_response(self._key_set, headers={"Cache-Control": "public, max-age=300"})


FORMS = Pages(
    FormPages,
    Route("form", "/login/form/{token}", Need.SESSION, get=FormPages.show),
    handed_over=(
        HandedOver(KEEP_PATH.decode("ascii"), FormPages.keep),
        HandedOver(KEEP_FOREIGN_PATH.decode("ascii"), FormPages.keep_foreign, takes_foreign=True),
    ),
)
KEYS = Pages(
    KeyPages,
    Route("auth", "/_gateway/auth", Need.PROXY, by_dispatcher=True, is_dead_end=True),
    Route("jwks", "/.well-known/otium-gateway/jwks.json", Need.NOBODY, get=KeyPages.show),
)
PAGES = (FORMS, KEYS)
