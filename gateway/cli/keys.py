"""Create and rotate the secret."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import typer

from gateway.cli.common import Config, Confirm, settings_of, with_store

if TYPE_CHECKING:
    from gateway.store import Store

SECRET_BYTES = 48

program = typer.Typer(help="Create and rotate the secret.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Create and rotate the secret."""


@program.command("create")
def create_key() -> None:
    """Generate a new secret (for GATEWAY_SECRET or the gateway-secret credential)."""
    typer.echo(base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii"))


@program.command("rotate")
def rotate(
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Re-encrypt stored data with the newest secret, so older secrets can be removed.

    Put the new secret below the old one and restart, so that the application learns of its key. Put it above and
    restart. Rotate. Drop the old one after seven days, when no link that it signed is good any more.
    """
    from gateway.app.nouns import SEALED
    from gateway.cli.rotation import reseal

    settings = settings_of(config)

    async def change(store: Store) -> dict[str, int]:
        return await reseal(store, settings, dry_run=not confirm)

    counts = with_store(settings, change)
    verb = "re-encrypted" if confirm else "would be re-encrypted"
    *most, last = (f"{counts[name]} {sealed.words}" for name, sealed in SEALED.items())
    typer.echo(f"{', '.join(most)} and {last} {verb}")
    typer.echo(f"{counts['checkpoints']} checkpoints of the audit log {verb.replace('encrypted', 'signed')}")
    if confirm:
        typer.echo(
            "older secrets no longer protect stored data; "
            "keep them for seven more days for emailed links, then remove them"
        )
    else:
        typer.echo("nothing changed; add --confirm to apply")
