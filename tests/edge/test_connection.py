"""The connection from a client, at the moment when it is closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from gateway.edge.client_request import ClientRequest
from gateway.edge.connection import ClientConnection, Edge
from gateway.edge.origin import TrustedProxies
from gateway.edge.request import Reader
from gateway.edge.shared import Patience, Shared
from gateway.model.inbound import Inbound
from gateway.wire.deadlines import Deadlines
from tests.support.raw import get


def greet(request: ClientRequest, inbound: Inbound) -> None:
    request.answer(200, [], b"hi")


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    reader = Reader(
        scheme="https",
        authorities=["app.example.com"],
        proxies=TrustedProxies([]),
        session_cookie="__Host-own",
        attempt_cookie="__Host-attempt",
        identity_names=[],
        max_fields=20,
        max_target_bytes=100,
    )
    shared = Shared(
        reader=reader,
        deadlines=Deadlines(asyncio.get_running_loop()),
        patience=Patience(10, 10, 10, 1),
        max_head_bytes=1_000,
        max_connections=10,
        max_bodies=10,
        is_proxy=lambda peer: True,
        refused=lambda *_: None,
        tell=lambda failure, *_: ([], failure.value.code.encode()),
        record=lambda *_: None,
        note_view=lambda *_: None,
    )
    yield Edge(shared, greet)
    shared.deadlines.stop()


async def connect(edge: Edge) -> tuple[ClientConnection, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, connection = await asyncio.get_running_loop().create_connection(lambda: ClientConnection(edge), sock=ours)
    return connection, theirs


@pytest.mark.parametrize("requests_before", [0, 1])
@pytest.mark.parametrize("way", ["in good time", "draining"])
async def test_a_request_that_has_arrived_unread_is_answered_though_the_wait_is_over(
    edge: Edge, requests_before: int, way: str
) -> None:
    """A worker that had no processor for a second finds the deadline over before it reads what came meanwhile."""
    loop = asyncio.get_running_loop()
    connection, client = await connect(edge)
    for _ in range(requests_before):
        await loop.sock_sendall(client, get("/"))
        assert (await loop.sock_recv(client, 1_000)).endswith(b"hi")
    if way == "draining":
        edge.drain()
    client.send(get("/"))
    connection.expire()
    answer = await asyncio.wait_for(loop.sock_recv(client, 1_000), 30)
    assert answer.endswith(b"hi")
    assert (b"Connection: close" in answer) == (way == "draining")
    client.close()


async def test_who_sends_nothing_is_let_go(edge: Edge) -> None:
    loop = asyncio.get_running_loop()
    connection, client = await connect(edge)
    connection.expire()
    assert await asyncio.wait_for(loop.sock_recv(client, 1_000), 30) == b""
    client.close()


async def test_a_head_that_never_ends_is_let_go_though_some_of_it_arrived_unread(edge: Edge) -> None:
    loop = asyncio.get_running_loop()
    connection, client = await connect(edge)
    client.send(b"GET / HTTP/1.1\r\n")
    connection.expire()
    assert connection.deadline <= edge.shared.deadlines.now + 1
    while not connection.buffer:
        await asyncio.sleep(0)
    connection.expire()
    assert (await asyncio.wait_for(loop.sock_recv(client, 1_000), 30)).startswith(b"HTTP/1.1 408 ")
    client.close()
