"""Commands on blocked addresses, also for an owner who has blocked too much in the browser."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    ask_first,
    fail,
    moment,
    operator,
    reaches_of,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.ops.blocks import Block
    from gateway.store import Store

Network = Annotated[str, typer.Argument(help="An address, or a network like 203.0.113.0/24.")]

program = typer.Typer(help="Block IP addresses from signing in.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Block IP addresses from signing in."""


@program.command("list")
def list_blocks(config: Config = None, as_json: AsJSON = False) -> None:
    """List blocked addresses."""
    from gateway.ops import blocks

    async def read(store: Store) -> list[Block]:
        async with store.reading() as tx:
            return await blocks.list_active(tx, utc())

    table = [
        {"network": block.network, "until": moment(block.until), "by": block.created_by}
        for block in with_store(settings_of(config), read)
    ]
    show(table, as_json)


@program.command("add")
def add_block(
    network: Network,
    hours: Annotated[int, typer.Option(min=1, max=24 * 365, help="Duration in hours.")] = 24,
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Block sign-ins from an address. People already signed in stay signed in. A network needs --confirm.

    So does an address from which several people are signed in.
    """
    from gateway.ops.blocks import read_network
    from gateway.throttle.limits import address_bucket

    found = read_network(network) or fail(
        f"{network!r} can't be blocked; write an IP address, or a network no larger than /16 (IPv6: /32), "
        "like 203.0.113.0/24"
    )
    settings = settings_of(config)
    reach = with_store(settings, lambda store: reaches_of(settings, store).of_network(found, utc()))
    is_one = str(found) == str(ip_network(address_bucket(str(found.network_address)))) and reach.people <= 1
    said = f"block {found} for {counted(hours, 'hour')}; people signed in from there, who stay so: {reach.people}"
    if not is_one and not ask_first(said, confirm):
        return
    change(str(found), hours, config)
    typer.echo(f"{found} is blocked for {counted(hours, 'hour')}")


@program.command("remove")
def remove_block(network: Network, config: Config = None) -> None:
    """Remove a block."""
    from gateway.ops.blocks import read_network

    found = read_network(network)
    if found is None or not change(str(found), 0, config):
        fail(f"{network} is not blocked")
    typer.echo(f"{found} is no longer blocked")


def change(network: str, hours: int, config: Config) -> bool:
    """Block for `hours`; 0 removes the block. Returns whether anything changed."""
    from gateway.audit import rows as audit
    from gateway.model.entry import ACTOR, Entry, Outcome
    from gateway.model.event import Event
    from gateway.ops import blocks
    from gateway.ops.blocks import Block

    now, by = utc(), operator()

    async def work(store: Store) -> bool:
        async with store.transaction() as tx:
            if hours:
                await blocks.add(tx, Block(network, now + hours * 3_600, now, by))
            elif not await blocks.remove(tx, network):
                return False
            event = Event.ADDRESS_BLOCKED if hours else Event.ADDRESS_UNBLOCKED
            details: dict[str, str | int | bool] = {ACTOR: by, "network": network, "seconds": hours * 3_600}
            entry = Entry(event, Outcome.SUCCESS, now, "", request_id="cli", details=details)
            await audit.record(tx, entry)
            return True

    return with_store(settings_of(config), work)
