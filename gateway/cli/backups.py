"""Backup, while the gateway runs, and restore, while it is stopped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import Config, Confirm, acting, ask_first, fail, find_config, settings_of, with_store
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.store import Store


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to create for the backup.")],
    config: Config = None,
) -> None:
    """Back up the database and configuration to a new folder, while the gateway keeps running."""
    from gateway.app.backup import Facts, look, make
    from gateway.process.blame import blaming

    settings = settings_of(config)
    if folder.exists():
        fail(f"{folder} already exists; choose a new folder")

    async def read_facts(store: Store) -> Facts:
        async with store.reading() as tx:
            return await look(tx)

    facts = with_store(settings, read_facts)
    try:
        with blaming(settings, settings.store.direct_key):
            manifest = make(settings, find_config(config), folder.absolute(), facts, os.environ, utc())
    except OSError as error:
        fail(f"{error.filename or folder} can't be written: {error.strerror}")
    typer.echo(f"{folder}: {', '.join(manifest.files)}; schema {manifest.schema}")
    typer.echo(f"not included, keep separately: {'; '.join([*manifest.secrets, *manifest.environment])}")


def restore(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A backup's folder.")],
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Restore the database from a backup. Everyone has to sign in again; queued emails are held back."""
    from gateway.app.backup import Unusable, read, settle
    from gateway.app.nouns import STORED
    from gateway.process.blame import blaming
    from gateway.store import Store
    from gateway.store.copying import InUse, put_in_place, stage
    from gateway.store.location import locate
    from gateway.store.migrate import migrate

    settings = settings_of(config)
    try:
        manifest = read(folder.absolute(), settings)
    except Unusable as error:
        fail(str(error))
    replace_it = f"replace the database with the backup from {manifest.made_at} (schema {manifest.schema})"
    if not ask_first(replace_it, confirm, "end all sessions and links, and hold back queued emails"):
        return
    now = utc()
    location = locate(settings.store.direct)

    async def end_what_was_open(url: str) -> int:
        store = Store.open(url)
        try:
            async with acting(settings, store) as action:
                return await settle(action)
        finally:
            await store.close()

    try:
        with blaming(settings, settings.store.direct_key):
            staged = stage(location, folder.absolute(), [stored.table.name for stored in STORED])
            migrate(staged.url, version_table=staged.version_table)
            ended = asyncio.run(end_what_was_open(staged.url))
            former = put_in_place(location, f"before-{now}")
    except InUse as error:
        fail(str(error))
    typer.echo(f"restored the backup from {manifest.made_at}; ended {counted(ended, 'session')}")
    if former is not None:
        typer.echo(f"the previous database is {former}; delete it once everything works")
