"""The floor of any gateway in Python on this loop: bytes in, bytes out, nothing read and nobody checked.

`python bench/relay.py PORT UPSTREAM_PORT` keeps one upstream connection for each client's.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

import uvloop


class Half(asyncio.Protocol):
    """One side; `other` is where its bytes go, once that is connected."""

    def __init__(self, upstream: int | None = None) -> None:
        self._upstream = upstream
        self._early: list[bytes] = []
        self._dialling: asyncio.Task[None] | None = None
        self.transport = cast(asyncio.Transport, None)
        self.other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._upstream is not None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial(self._upstream))

    def data_received(self, received: bytes) -> None:
        if self.other is None:
            self._early.append(received)
        else:
            self.other.write(received)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    async def _dial(self, port: int) -> None:
        other, half = await asyncio.get_running_loop().create_connection(Half, "127.0.0.1", port)
        half.other, self.other = self.transport, other
        other.write(b"".join(self._early))


async def main(port: int, upstream: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Half(upstream), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
