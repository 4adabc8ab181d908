"""A way to a PostgreSQL server that can be frozen or cut, and that may drop notifications.

    python -m tests.support.pg_relay PORT SERVER_PORT [drop]

Run as a process of its own: SIGSTOP makes it a network that swallows everything, SIGKILL one that is gone. Without TLS,
all that the server says after the client's first message is a sequence of messages: a letter, and a length that counts
itself. A notification has the letter A.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

NOTIFICATION = b"A"


def start(port: int, server_port: int, *, drops: bool = False) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.pg_relay", str(port), str(server_port)]
    return subprocess.Popen([*command, "drop"] if drops else command)


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()


async def carry_messages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readexactly(5)
        body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
        if head[:1] != NOTIFICATION:
            writer.write(head + body)
            await writer.drain()


async def main(port: int, server_port: int, drops: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", server_port)
            ways = [
                asyncio.ensure_future(carry(reader, onward_writer)),
                asyncio.ensure_future((carry_messages if drops else carry)(onward_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            onward_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), "drop" in sys.argv))
