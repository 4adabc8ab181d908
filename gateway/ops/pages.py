"""What the owner does at /ops about an attack, and the answer to those who sign in from a blocked address."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.observe.logs import get_logger
from gateway.ops.blocks import Block
from gateway.ops.service import AttackService, Unblockable
from gateway.sessions.reach import Reaches
from gateway.web.redirects import see_other
from gateway.web.rendering import Renderer
from gateway.web.visit import read_form, signed_in_of, visit_of
from gateway.wire.failures import Failure

log = get_logger("attacks")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOURS = (1, 24, 168)


class AttackPages:
    """`path` is where the owner's page is, `block_path` where a network is blocked."""

    def __init__(
        self, *, service: AttackService, reaches: Reaches, renderer: Renderer, path: str, block_path: str
    ) -> None:
        self._service = service
        self._reaches = reaches
        self._renderer = renderer
        self._path = path
        self._block_path = block_path

    async def unlock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unlock: `key`, of a lock that the page shows."""
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        key = (await read_form(request)).text("key")
        is_done = await self._service.unlock(owner, key, inbound, int(time.time()))
        return see_other(f"{self._path}?done=unlocked" if is_done else self._path)

    async def block(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/block: `network` (an address or a network) and `hours`. It asks first."""
        form = await read_form(request)
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        hours = int(form.text("hours")) if form.text("hours") in map(str, HOURS) else HOURS[0]
        if not form.is_confirmed:
            return await self._ask(request, form.text("network"), hours)
        done = await self._service.block(owner, form.text("network"), hours * 3_600, inbound, int(time.time()))
        if isinstance(done, Block):
            return see_other(f"{self._path}?done=blocked")
        return see_other(f"{self._path}?done={done.value}")

    async def _ask(self, request: web.Request, text: str, hours: int) -> web.StreamResponse:
        """Ask before a network is blocked, and say who is signed in from there."""
        network = self._service.check_network(text, visit_of(request).inbound)
        if isinstance(network, Unblockable):
            return see_other(f"{self._path}?done={network.value}")
        return self._renderer.page(
            "confirm.html",
            visit_of(request),
            kind="blocked",
            subject=str(network),
            hours=hours,
            reach=await self._reaches.of_network(network, int(time.time())),
            action=self._block_path,
            fields={"network": str(network), "hours": str(hours)},
            back=self._path,
        )

    async def unblock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unblock: `network`, as the page shows it."""
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        network = (await read_form(request)).text("network")
        is_done = await self._service.unblock(owner, network, inbound, int(time.time()))
        return see_other(f"{self._path}?done=unblocked" if is_done else self._path)

    def refuse_blocked(self, handler: Handler) -> Handler:
        """Return `handler` of a sign-in page, for all but those who come from a blocked address.

        Who is signed in is never kept out: an address may be an office, and others in it are not meant.
        """

        async def guard(request: web.Request) -> web.StreamResponse:
            visit, now = visit_of(request), int(time.time())
            if visit.signed_in is None:
                block = await self._service.find_block(visit.inbound.address, now)
                if block is not None:
                    log.warning("sign_in_from_blocked_address", request_id=visit.inbound.request_id)
                    response = self._renderer.failure(Failure.ADDRESS_BLOCKED, visit.inbound.request_id)
                    response.headers["Retry-After"] = str(block.until - now)
                    return response
            return await handler(request)

        return guard
