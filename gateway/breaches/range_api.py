"""The range API of Have I Been Pwned, or one like it: https://haveibeenpwned.com/API/v3#SearchingPwnedPasswordsByRange."""

from __future__ import annotations

import re

from aiohttp.client import ClientSession, ClientTimeout
from aiohttp.client_exceptions import ClientError
from aiohttp.streams import StreamReader

from gateway.breaches.lists import is_listed, split
from gateway.observe.logs import get_logger

log = get_logger("passwords")

API_SECONDS = 2.0
MAX_RANGE_BYTES = 1_000_000
RANGE = re.compile(rb"(?:[0-9A-Fa-f]{35}:\d+(?:\r?\n|$))+")


class BreachAPI:
    """The range API. It receives five digits of the digest, and its answers are padded to hide which range it was."""

    def __init__(self, address: str, *, seconds: float = API_SECONDS) -> None:
        self._address = address.rstrip("/")
        self._timeout = ClientTimeout(total=seconds)

    async def holds(self, digest: str) -> bool | None:
        """Return whether a password was breached; None if the API did not answer in time."""
        prefix, suffix = split(digest)
        try:
            async with (
                ClientSession(timeout=self._timeout) as client,
                client.get(f"{self._address}/{prefix}", headers={"Add-Padding": "true"}, allow_redirects=False) as got,
            ):
                body = await read(got.content) if got.status == 200 else b""
                if not RANGE.fullmatch(body):
                    log.warning("breach_api_unavailable", status=got.status, reason="this is no range")
                    return None
                return is_listed(body, suffix)
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("breach_api_unavailable", reason=str(error) or type(error).__name__)
            return None


async def read(content: StreamReader) -> bytes:
    """Return the whole body of a response, or nothing if it is too long for a range."""
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MAX_RANGE_BYTES:
            return b""
    return bytes(body)
