"""Commands on the store itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from gateway.cli import moving
from gateway.cli.common import AsJSON, Config, Row, settings_of, show, with_store

if TYPE_CHECKING:
    from gateway.store import Store
    from gateway.store.nodes import NodeState

program = typer.Typer(help="Look after the store.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Look after the store."""


program.command("copy")(moving.copy)


@program.command("nodes")
def list_nodes(config: Config = None, as_json: AsJSON = False) -> None:
    """List the workers of all machines that share the store, and who is waited for (PostgreSQL)."""
    from gateway.store.location import SQLite, locate
    from gateway.store.nodes import list_states

    async def read(store: Store) -> list[NodeState]:
        async with store.reading() as tx:
            return await list_states(tx)

    settings = settings_of(config)
    nodes = with_store(settings, read)
    if as_json:
        typer.echo(json.dumps([node.describe() for node in nodes]))
    elif isinstance(locate(settings.store.url), SQLite):
        typer.echo("the store is a file of this machine, so no other machine shares it; PostgreSQL can be shared")
    else:
        show([describe(node) for node in nodes], False)


def describe(node: NodeState) -> Row:
    return {
        "host": node.host,
        "pid": node.pid,
        "version": node.version,
        "renewed": f"{node.renewed} s ago",
        "revisions behind": node.behind,
        "state": "lapsed" if node.is_lapsed else "waited for" if node.behind else "up to date",
    }
