"""Sends files: short ones, and long ones in pieces, as they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from gateway.observe.logs import get_logger
from gateway.store import StoreUnavailable

log = get_logger("pages")


def answer_file(content: bytes, name: str, content_type: str) -> web.Response:
    """Return a download that is short. `name` is in ASCII, without quotes; the text is UTF-8."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)


async def send_file(
    request: web.Request, pieces: AsyncIterator[bytes], name: str, content_type: str
) -> web.StreamResponse:
    """Respond with a download. `name` is in ASCII, without quotes; the text is UTF-8.

    If the store fails, the connection breaks, so that the browser doesn't take a part for the whole file.
    """
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.content_type, response.charset = content_type, "utf-8"
    await response.prepare(request)
    try:
        async for piece in pieces:
            await response.write(piece)
    except StoreUnavailable as error:
        log.error("export_broken_off", reason=str(error), file=name)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        log.info("export_broken_off", reason="the client left", file=name)
    return response
