"""Checks of `check-config` beyond the settings: can all objects be constructed, and is the store usable? Read-only."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from gateway.accounts import spelling
from gateway.app.gateway import Gateway
from gateway.app.parts import Parts
from gateway.model.clock import utc
from gateway.observe.board import Board
from gateway.process.blame import blaming
from gateway.process.worker import inspect_store
from gateway.settings import Settings
from gateway.settings.mistakes import Said
from gateway.sso.keys import expiry
from gateway.store.location import SQLite, locate
from gateway.store.migrate import migrate
from gateway.store.readiness import open_ready

OLDEST = "0001"


def try_to_build(settings: Settings) -> None:
    """Construct everything that a worker has, on a temporary empty store."""
    with tempfile.TemporaryDirectory() as folder:
        store = settings.store.model_copy(update={"url": f"sqlite:///{Path(folder) / 'gateway.db'}"})
        asyncio.run(build(settings.model_copy(update={"store": store})))


async def build(settings: Settings) -> None:
    board = Board()
    await Gateway(Parts(settings, board), board.lease()).drain()


async def check_rows(settings: Settings) -> list[Said]:
    async with open_ready(settings.store.url) as store, store.reading() as tx:
        return [("", reason) for reason in (*await spelling.advise(tx), *await expiry.advise(tx, utc()))]


def check_store(settings: Settings) -> tuple[str, list[Said]]:
    """Return one line about the store, and warnings. Raises BadSettings as `serve` would."""
    with blaming(settings):
        steps = migrate(settings.store.url, dry_run=True)
        if not steps:
            return "the database is up to date", [*inspect_store(settings), *asyncio.run(check_rows(settings))]
    if steps[0] != OLDEST:
        return f"the database needs migrations {', '.join(steps)}; `serve` will apply them", []
    location = locate(settings.store.url)
    if isinstance(location, SQLite) and not location.path.exists():
        return f"no database yet; `serve` will create it at {location.place}", []
    return f"the store at {location.place} is empty; `serve` will set it up", []
