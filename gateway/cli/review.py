"""The access review in the shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import AsJSON, Config, check_tenant, fail, operator, settings_of, show, with_store

if TYPE_CHECKING:
    from gateway.access_review.lines import Wanted
    from gateway.settings import Settings
    from gateway.store import Store


def review_access(
    tenant: Annotated[str, typer.Option(help="Tenant (company).")],
    unseen: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Only active accounts that weren't used for so many days.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Output CSV. The export is logged.")] = False,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Show the role, second step and API tokens of each account, and when it was last used."""
    from gateway.access_review.lines import Sort, Wanted

    if as_csv and as_json:
        fail("give --csv or --json, not both")
    wanted = Wanted() if unseen is None else Wanted(unseen_days=unseen, is_enabled=True, sort=Sort.SEEN)
    settings = settings_of(config)
    if as_csv:
        with_store(settings, lambda store: write_csv(settings, store, tenant, wanted))
    else:
        show(with_store(settings, lambda store: read_table(settings, store, tenant, wanted)), as_json)


async def read_table(settings: Settings, store: Store, tenant: str, wanted: Wanted) -> list[dict[str, str | int]]:
    from gateway.access_review.export import COLUMNS, values_of
    from gateway.app.services import Services

    async with store.reading() as tx:
        await check_tenant(tx, tenant)
    services = Services(settings, store)
    pages = services.access_reviews.every_page(tenant, wanted, services.clock())
    owners = settings.access.owners
    return [dict(zip(COLUMNS, values_of(line, owners), strict=True)) async for page in pages for line in page]


async def write_csv(settings: Settings, store: Store, tenant: str, wanted: Wanted) -> None:
    from gateway.access_review import export
    from gateway.actions.action import operator as operator_actor
    from gateway.app.services import Services

    async with store.reading() as tx:
        await check_tenant(tx, tenant)
    services = Services(settings, store)
    await services.access_reviews.note_export_by(operator_actor(operator()), tenant, services.clock())
    pages = services.access_reviews.every_page(tenant, wanted, services.clock())
    async for piece in export.as_csv(pages, settings.access.owners):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
