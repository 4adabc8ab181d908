"""Imports what only provisioning needs: scim2-models, 6 MB and a quarter of a second."""

from __future__ import annotations

import asyncio
import importlib
import sys

MODULE = "gateway.scim.models"


async def ensure_loaded() -> None:
    """Import it in a thread, if it is not there yet: the event loop must not wait for that."""
    if MODULE not in sys.modules:
        await asyncio.to_thread(importlib.import_module, MODULE)
