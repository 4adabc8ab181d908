"""Commands on page views: record them for a tenant, and export those of a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Email,
    Row,
    acting,
    ask_first,
    check_tenant,
    fail,
    find_account,
    moment,
    reaches_of,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.store import Store

program = typer.Typer(help="Which pages the people of a tenant open, if that is recorded.", no_args_is_help=True)
Slug = Annotated[str, typer.Argument(help="The tenant.")]


@program.command("list")
def list_tenants(config: Config = None, as_json: AsJSON = False) -> None:
    """List the tenants whose page views are recorded, with the reasons."""
    from gateway.page_views import rows

    async def read(store: Store) -> list[Row]:
        async with store.reading() as tx:
            found = await rows.list_switches(tx)
        return [
            {"tenant": slug, "since": moment(switch.since), "reason": switch.reason} for slug, switch in found.items()
        ]

    show(with_store(settings_of(config), read), as_json)


@program.command("on")
def turn_on(
    tenant: Slug,
    reason: Annotated[str, typer.Option(help="Why. The tenant's people are told.")],
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Record every request of a tenant's people from now on."""
    from gateway.page_views import service

    settings, why = settings_of(config), service.check_reason(reason)

    async def count(store: Store) -> int:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
        return (await reaches_of(settings, store).of_tenant(tenant, utc())).people

    people = counted(with_store(settings, count), "person", "people")
    if not ask_first(f"record the page views of {people} of {tenant}, and tell them so", confirm):
        return

    async def change(store: Store) -> None:
        async with acting(settings, store) as action:
            if not await service.turn_on(action, tenant, why):
                fail(f"the page views of {tenant} are being recorded already")

    with_store(settings, change)
    typer.echo(f"the page views of {tenant} are recorded, and kept for {settings.page_views.keep_days} days")


@program.command("off")
def turn_off(tenant: Slug, config: Config = None) -> None:
    """Stop recording a tenant's page views. Recorded ones are kept until they expire."""
    from gateway.page_views import service

    settings = settings_of(config)

    async def change(store: Store) -> None:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
        async with acting(settings, store) as action:
            if not await service.turn_off(action, tenant):
                fail(f"the page views of {tenant} are not being recorded")

    with_store(settings, change)
    typer.echo(f"the page views of {tenant} are no longer recorded")


@program.command("export")
def export(
    email: Email,
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    config: Config = None,
) -> None:
    """Export a person's page views to standard output, by session. The export itself is in the audit log."""
    from gateway.audit.export import Format
    from gateway.model.event import Event
    from gateway.page_views.export import as_bytes
    from gateway.page_views.service import Reader

    if form not in [known.value for known in Format]:
        fail("--format must be jsonl or csv")
    settings = settings_of(config)

    async def write(store: Store) -> None:
        account = await find_account(store, email)
        async with acting(settings, store) as action:
            await action.record(Event.PAGE_VIEWS_EXPORTED, account, {"format": form})
        async for piece in as_bytes(store, Reader(account.id, None), Format(form)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    with_store(settings, write)
