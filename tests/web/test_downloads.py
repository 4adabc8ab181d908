"""A download that breaks off can't be taken for a whole one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.store import StoreUnavailable
from gateway.web.downloads import send_file

WHOLE = b"0\r\n\r\n"  # the last chunk (RFC 9112 §7.1)


async def received(pieces: AsyncIterator[bytes]) -> bytes:
    """Return all that a client gets, until the connection ends."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await send_file(request, pieces, "list.csv", "text/csv")

    application = web.Application()
    application.router.add_get("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found = b""
    try:
        while piece := await reader.read(65_536):
            found += piece
    except ConnectionResetError:
        pass  # an aborted connection may end so, too
    writer.close()
    await runner.cleanup()
    return found


async def two_pieces() -> AsyncIterator[bytes]:
    yield b"first\r\n"
    yield b"second\r\n"


async def one_piece_and_a_failure() -> AsyncIterator[bytes]:
    yield b"first\r\n"
    raise StoreUnavailable("the disk is gone")


async def test_a_file_is_sent_piece_by_piece() -> None:
    found = await received(two_pieces())
    head, _, body = found.partition(b"\r\n\r\n")
    assert b'attachment; filename="list.csv"' in head
    assert b"text/csv; charset=utf-8" in head
    assert body == b"7\r\nfirst\r\n\r\n8\r\nsecond\r\n\r\n" + WHOLE


async def test_a_file_whose_source_fails_has_no_end() -> None:
    found = await received(one_piece_and_a_failure())
    assert b"200 OK" in found
    assert not found.endswith(WHOLE)
