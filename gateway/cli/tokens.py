"""Commands on API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import AsJSON, Config, acting, fail, find_account, moment, settings_of, show, with_store
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.store import Store

program = typer.Typer(help="API tokens, with which programs act for people.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="The account's email.")]


@program.command("list")
def list_tokens(email: Email, config: Config = None, as_json: AsJSON = False) -> None:
    """List the tokens of an account."""
    from gateway.tokens import rows

    async def read(store: Store) -> list[rows.TokenRow]:
        account = await find_account(store, email)
        async with store.reading() as tx:
            return await rows.list_of(tx, account.id, utc())

    found = with_store(settings_of(config), read)
    table = [
        {
            "id": row.id,
            "name": row.name,
            "role": row.role.value,
            "methods": ",".join(sorted(row.grant.methods)),
            "paths": ",".join(row.grant.paths),
            "networks": ",".join(map(str, row.grant.networks)),
            "expires": moment(row.grant.expires_at),
            "state": "valid" if row.is_live(utc()) else "revoked" if row.revoked_at else "expired",
            "last_used": moment(row.used_at) if row.used_at else "never",
        }
        for row in found
    ]
    show(table, as_json)


@program.command("revoke")
def revoke(token: Annotated[str, typer.Argument(help="The token's id, as listed.")], config: Config = None) -> None:
    """End a token: programs that use it are refused from their next request on. The person gets an email."""
    from gateway.accounts import rows as account_rows
    from gateway.tokens import rows
    from gateway.tokens.service import end

    settings = settings_of(config)

    async def change(store: Store) -> str:
        async with acting(settings, store) as action:
            found = await rows.find(action.tx, token)
            account = await account_rows.find(action.tx, found.account) if found else None
            if found is None or account is None:
                fail(f"there is no token {token}")
            if not await end(action, account, found):
                fail(f"{token} has ended already")
            await action.notify("token_revoked", account, token=found.name)
            return account.identifier

    typer.echo(f"{token} of {with_store(settings, change)} is revoked")
