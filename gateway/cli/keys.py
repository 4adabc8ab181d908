"""The secret that all keys come from."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import typer

from gateway.cli.common import Config, Confirm, settings_of, with_store

if TYPE_CHECKING:
    from gateway.store import Store

SECRET_BYTES = 48

program = typer.Typer(help="The secret that all keys come from.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """The secret that all keys come from."""


@program.command("create")
def create_key() -> None:
    """Print a new secret, for GATEWAY_SECRET or the credential gateway-secret."""
    typer.echo(base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii"))


@program.command("rotate")
def rotate(
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Seal what the store holds encrypted with the newest secret, so that older ones can be dropped.

    Put the new secret below the old one and restart, so that the application learns of its key. Put it above and
    restart. Rotate. Drop the old one after seven days, when no link that it signed is good any more.
    """
    from gateway.cli.rotation import Counts, reseal

    settings = settings_of(config)

    async def change(store: Store) -> Counts:
        return await reseal(store, settings, dry_run=not confirm)

    counts = with_store(settings, change)
    verb = "sealed" if confirm else "would be sealed"
    factors = f"{counts.totp} TOTP secrets, {counts.codes} backup codes"
    others = f"{counts.mails} waiting mails, {counts.links} mailed links and {counts.forms} kept forms"
    typer.echo(f"{factors}, {others} {verb} anew")
    typer.echo(f"{counts.checkpoints} checkpoints of the audit log {verb.replace('sealed', 'signed')} anew")
    if confirm:
        typer.echo("older secrets seal nothing any more, and still sign links of the last seven days; then drop them")
    else:
        typer.echo("nothing changed; add --confirm to apply")
