"""What the owner does at /ops about an attack."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.ops.blocks import Block
from gateway.ops.service import AttackService, Unblockable
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

HOURS = (1, 24, 168)


class Needs(Platform, Protocol):
    @property
    def attacks(self) -> AttackService: ...
    @property
    def reaches(self) -> Reaches: ...


class AttackPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.attacks
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    async def unlock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unlock: `key`, of a lock that the page shows."""
        key = (await read_form(request)).text("key")
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        is_done = await self._service.unlock(owner, key, inbound, visit_of(request).now)
        return see_other(f"{self._url('ops')}?done=unlocked" if is_done else self._url("ops"))

    async def block(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/block: `network` (an address or a network) and `hours`. It asks first."""
        form = await read_form(request)
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        hours = int(form.text("hours")) if form.text("hours") in map(str, HOURS) else HOURS[0]
        if not form.is_confirmed:
            return await self._ask(request, form.text("network"), hours)
        done = await self._service.block(owner, form.text("network"), hours * 3_600, inbound, visit_of(request).now)
        if isinstance(done, Block):
            return see_other(f"{self._url('ops')}?done=blocked")
        return see_other(f"{self._url('ops')}?done={done.value}")

    async def _ask(self, request: web.Request, text: str, hours: int) -> web.StreamResponse:
        """Ask before a network is blocked, and say who is signed in from there."""
        network = self._service.check_network(text, visit_of(request).inbound)
        if isinstance(network, Unblockable):
            return see_other(f"{self._url('ops')}?done={network.value}")
        return self._renderer.page(
            "web/confirm.html",
            visit_of(request),
            kind="blocked",
            subject=str(network),
            hours=hours,
            reach=await self._reaches.of_network(network, visit_of(request).now),
            action=self._url("ops_block"),
            fields={"network": str(network), "hours": str(hours)},
            back=self._url("ops"),
        )

    async def unblock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unblock: `network`, as the page shows it."""
        network = (await read_form(request)).text("network")
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        is_done = await self._service.unblock(owner, network, inbound, visit_of(request).now)
        return see_other(f"{self._url('ops')}?done=unblocked" if is_done else self._url("ops"))
