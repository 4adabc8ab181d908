"""The secret that all keys come from."""

from __future__ import annotations

import base64
import os

import typer

SECRET_BYTES = 48

program = typer.Typer(help="The secret that all keys come from.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """The secret that all keys come from."""


@program.command("create")
def create_key() -> None:
    """Print a new secret, for GATEWAY_SECRET or the credential gateway-secret."""
    typer.echo(base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii"))
