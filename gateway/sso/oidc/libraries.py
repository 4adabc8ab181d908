"""Imports what only single sign-on needs: aiohttp's client and joserfc, 3 MB and a quarter of a second."""

from __future__ import annotations

import asyncio
import sys


def load() -> None:
    """Import it. aiohttp's client reads the certificate authorities of the system as well."""
    import aiohttp.client  # noqa: F401
    import joserfc.jwk
    import joserfc.jws  # noqa: F401


async def ensure_loaded() -> None:
    """Import it in a thread, if it is not there yet: the event loop must not wait for that."""
    if "joserfc.jws" not in sys.modules:
        await asyncio.to_thread(load)
