"""A provider's server on loopback that answers what a test says, well-formed or not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

JSON = b"Content-Type: application/json\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes, head: bytes = JSON, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Server:
    """`requests` are those that came, `connections` how many; `sent` is how many bytes went out."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.sent = 0
        self.answer: bytes | Answer = response(b"{}")
        self.port = 0
        self._scheme = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{self.origin}/document"

    @property
    def origin(self) -> str:
        return f"{self._scheme}://localhost:{self.port}"

    @property
    def head(self) -> bytes:
        """The only request's head, in lower case."""
        (request,) = self.requests
        return request.partition(b"\r\n\r\n")[0].lower()

    @contextlib.asynccontextmanager
    async def listening(
        self, host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
    ) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, host, port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._scheme = "http" if context is None else "https"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            if isinstance(self.answer, bytes):
                writer.write(self.answer)
                await writer.drain()
            else:
                await self.answer(writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass  # the client left, or did not speak the same language
        finally:
            writer.transport.abort()

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)
