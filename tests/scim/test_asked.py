"""The body of a request, as its handler reads it."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.scim.asked import Bodies
from gateway.scim.shapes import USER
from gateway.throttle.side_work import SideWork


async def test_a_body_is_there_again_when_the_work_has_to_be_done_again() -> None:
    """PostgreSQL undoes one of two transactions that wait for each other, and the handler is called again."""
    seen: list[Any] = []
    side = SideWork()
    bodies = Bodies(side)

    async def handle(request: web.Request) -> web.Response:
        seen.extend([await bodies.read(request, USER), await bodies.read(request, USER)])
        return web.Response()

    application = web.Application()
    application.router.add_post("/", handle)
    async with TestClient(TestServer(application)) as client:
        for given in ({"userName": "a"}, {"userName": "a" * 20_000}):
            async with client.post("/", json=given) as response:
                assert response.status == 200
            first, second = seen[-2:]
            assert first.content == given
            assert first is second
    side.close()
