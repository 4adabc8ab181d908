"""How to connect to an upstream: over TCP, a Unix socket, or a socket pair inside this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from gateway.proxy.connection import UpstreamConnection

Dial = Callable[[Callable[[], UpstreamConnection]], Awaitable[UpstreamConnection]]


async def connect(
    dial: Dial,
    factory: Callable[[], UpstreamConnection],
    seconds: float,
    then: Callable[[UpstreamConnection | str], None],
) -> None:
    """Call `then` with a new connection, or with the reason why there is none after so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            connection = await dial(factory)
    except (OSError, TimeoutError) as error:
        then(str(error) or "timed out")
    else:
        then(connection)


def dial_tcp(host: str, port: int) -> Dial:
    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        _, connection = await asyncio.get_running_loop().create_connection(factory, host, port)
        return connection

    return dial


def dial_unix(path: str) -> Dial:
    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        _, connection = await asyncio.get_running_loop().create_unix_connection(factory, path)
        return connection

    return dial


def dial_inside(serve: Callable[[], asyncio.BaseProtocol]) -> Dial:
    """Return a Dial to a server in this process, over socket pairs. `serve` makes the protocol of each connection."""

    async def dial(factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(serve, theirs)
        _, connection = await loop.create_connection(factory, sock=ours)
        return connection

    return dial
