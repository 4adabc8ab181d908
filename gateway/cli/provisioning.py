"""Commands on provisioning (SCIM): with its token, a tenant's provider can disable all of the tenant's people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import AsJSON, Config, acting, check_tenant, fail, moment, settings_of, show, with_store
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.scim.token_rows import ProvisioningToken
    from gateway.store import Store

program = typer.Typer(help="Tokens with which providers manage a tenant's accounts (SCIM).", no_args_is_help=True)


@program.command("list")
def list_tokens(
    tenant: Annotated[str, typer.Argument(help="The tenant.")], config: Config = None, as_json: AsJSON = False
) -> None:
    """List a tenant's provisioning tokens."""
    from gateway.scim import token_rows

    async def read(store: Store) -> list[ProvisioningToken]:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
            return await token_rows.list_of(tx, tenant)

    table = [
        {
            "id": token.id,
            "begins": token.hint,
            "created": moment(token.created_at),
            "created_by": token.created_by,
            "expires": moment(token.expires_at),
            "state": "valid" if token.is_good(utc()) else "expired",
            "last_used": moment(token.used_at) if token.used_at else "never",
        }
        for token in with_store(settings_of(config), read)
    ]
    show(table, as_json)


@program.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="The token's id, as listed.")], config: Config = None
) -> None:
    """Revoke a provisioning token: requests with it are refused from now on. Administrators get an email."""
    from gateway.scim.tokens import revoke

    settings = settings_of(config)

    async def change(store: Store) -> str:
        async with acting(settings, store) as action:
            ended = await revoke(action, token)
            return ended.tenant if ended is not None else fail(f"there is no provisioning token {token}")

    typer.echo(f"{token} of {with_store(settings, change)} is revoked")
