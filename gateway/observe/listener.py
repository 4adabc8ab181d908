"""The operators' listener: /alive, /ready, /metrics.

It has its own socket, on loopback, so that no public path leads here. The worker that accepts a connection answers for
all workers.
"""

from __future__ import annotations

import socket

from aiohttp import web

from gateway.observe import exposition
from gateway.observe.board import Board
from gateway.observe.figures import ChecksHealth, ReadsFigures
from gateway.observe.pulse import Pulse

NO_STORE = {"Cache-Control": "no-store"}
END_SECONDS = 1.0
SERVER = "otium-gateway"


async def name_server(_: web.Request, response: web.StreamResponse) -> None:
    """Keep the versions of Python and aiohttp to ourselves."""
    response.headers["Server"] = SERVER


class AdminListener:
    def __init__(self, *, board: Board, pulse: Pulse, figures: ReadsFigures, health: ChecksHealth) -> None:
        self._board = board
        self._pulse = pulse
        self._figures = figures
        self._health = health
        self._runner: web.AppRunner | None = None

    async def start(self, sock: socket.socket) -> None:
        application = web.Application()
        application.on_response_prepare.append(name_server)
        for path, show in (("/alive", self.alive), ("/ready", self.ready), ("/metrics", self.metrics)):
            application.router.add_get(path, show)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=END_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def alive(self, _: web.Request) -> web.StreamResponse:
        """GET /alive: 200 while an event loop runs. The store is not checked: a restart would not bring it back."""
        return web.Response(text="alive\n", headers=NO_STORE)

    async def ready(self, _: web.Request) -> web.StreamResponse:
        """GET /ready: 200 if people can be served, else 503; the reasons as JSON."""
        health = await self._health.look()
        return web.json_response(health.describe(), status=200 if health.is_ready else 503, headers=NO_STORE)

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """GET /metrics: the numbers of all workers."""
        figures = await self._figures.read()
        self._pulse.show()
        content = exposition.write(self._board.totals(), figures)
        return web.Response(body=content, headers={**NO_STORE, "Content-Type": exposition.CONTENT_TYPE})
