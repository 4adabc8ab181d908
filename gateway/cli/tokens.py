"""Commands on API tokens and service accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Row,
    acting,
    ask_first,
    check_tenant,
    fail,
    find_account,
    moment,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.actions.action import Action
    from gateway.model.account import Account
    from gateway.settings import Settings
    from gateway.store import Store
    from gateway.tokens.service import Created, Wanted

program = typer.Typer(help="API tokens, with which programs act for people or service accounts.", no_args_is_help=True)
services = typer.Typer(help="Service accounts: a tenant's own, for programs. They never sign in.", no_args_is_help=True)
program.add_typer(services, name="service")
Name = Annotated[str, typer.Argument(help="The account's email or user name, or its id.")]
Service = Annotated[str, typer.Argument(help="The service account's user name, or its id.")]
RoleName = Annotated[str, typer.Option("--role", help="employee, manager or admin.")]


@program.command("create")
def create_token(
    account: Name,
    name: Annotated[str, typer.Option(help="The program that will use it.")],
    days: Annotated[int, typer.Option(help="How long it is valid, 366 at most.")] = 90,
    role: Annotated[str, typer.Option(help="employee, manager or admin; default: the account's.")] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="Only methods that change nothing.")] = False,
    path: Annotated[
        list[str] | None, typer.Option(help="Only this path and below, like /calendar; repeatable.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Only from this network, like 203.0.113.0/24; repeatable.")
    ] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Create a token for a person or a service account, and print it once. The person or the admins get an email."""
    from gateway.tokens.forms import Unfit, wanted_of

    settings = settings_of(config)

    async def change(store: Store) -> tuple[Account, Created]:
        owner = await find_account(store, account)
        try:
            wanted = wanted_of(
                name=name, days=str(days), role=role or owner.role, only_reads=read_only, paths=path or (),
                networks=network or (),
            )  # fmt: skip
        except Unfit as error:
            fail(
                f"--{str(error).removesuffix('s') if error.line else error} can't be used: {error.line or 'see --help'}"
            )
        async with acting(settings, store) as action:
            return owner, await issue_checked(action, settings, owner.id, wanted)

    owner, created = with_store(settings, change)
    if as_json:
        until = moment(created.row.grant.expires_at)
        line = {"id": created.row.id, "account": owner.identifier, "token": created.secret.reveal(), "expires": until}
        typer.echo(json.dumps(line))
    else:
        typer.echo(created.secret.reveal())


async def issue_checked(action: Action, settings: Settings, account_id: str, wanted: Wanted) -> Created:
    """Issue a token, under the same rules as the pages. Raises Failed."""
    from gateway.accounts import rows as account_rows
    from gateway.model.account import Status
    from gateway.tokens.service import MAX_A_DAY, MAX_LIVE, Created, NotCreated, issue

    owner = await account_rows.find(action.tx, account_id, lock=True)
    if owner is None or owner.status is not Status.ACTIVE:
        fail("the account is disabled, or was removed at this moment")
    if owner.identifier in settings.access.owners:
        fail("platform owners can't have API tokens")
    outcome = await issue(action, owner, wanted)
    reasons = {
        NotCreated.ROLE: f"{owner.identifier} is {owner.role.value}: a token can't have a higher role",
        NotCreated.TOO_MANY: f"{owner.identifier} has {MAX_LIVE} tokens; revoke one first",
        NotCreated.TOO_MANY_TODAY: f"{owner.identifier} got {MAX_A_DAY} tokens within a day; try again later",
    }
    return outcome if isinstance(outcome, Created) else fail(reasons[outcome])


@program.command("list")
def list_tokens(account: Name, config: Config = None, as_json: AsJSON = False) -> None:
    """List the tokens of an account."""
    from gateway.tokens import rows

    async def read(store: Store) -> list[rows.TokenRow]:
        owner = await find_account(store, account)
        async with store.reading() as tx:
            return await rows.list_of(tx, owner.id, utc())

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
    """End a token: it is refused from its next request on. The person or the administrators get an email."""
    from gateway.accounts import rows as account_rows
    from gateway.tokens import rows
    from gateway.tokens.mails import tell
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
            await tell(action, account, "token_revoked", token=found.name)
            return account.identifier

    typer.echo(f"{token} of {with_store(settings, change)} is revoked")


@services.command("add")
def add_service(
    name: Annotated[str, typer.Argument(help="What the program does, like 'Payroll export'.")],
    tenant: Annotated[str, typer.Option(help="Tenant (company).")] = "default",
    role: RoleName = "employee",
    module: Annotated[
        list[str] | None, typer.Option(help="Additional access: finance, hr or legal; repeatable.")
    ] = None,
    config: Config = None,
) -> None:
    """Create a service account, and print its user name. Create its tokens with `token create`."""
    from gateway.accounts.app_sync.plan import read_modules
    from gateway.accounts.csv_import.reading import read_role
    from gateway.model.account import check_name
    from gateway.tokens.service_accounts import MAX_ACCOUNTS, add

    settings, wanted, shown = settings_of(config), read_role(role), check_name(name)
    modules = read_modules(",".join(module or ()))

    async def change(store: Store) -> Account:
        async with acting(settings, store) as action:
            await check_tenant(action.tx, tenant)
            added = await add(action, tenant, shown, wanted, modules)
            return added or fail(f"{tenant} has {MAX_ACCOUNTS} service accounts; remove one first")

    typer.echo(with_store(settings, change).identifier)


@services.command("list")
def list_services(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant (company).")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List service accounts. Disable and enable them with `account disable` and `account enable`."""
    from gateway.tokens import rows

    async def read(store: Store) -> list[Row]:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
            found = await rows.list_services(tx, tenant, utc())
        return [
            {
                "user_name": account.identifier,
                "name": account.name,
                "tenant": account.tenant,
                "role": account.role.value,
                "status": account.status.value,
                "tokens": tokens,
                "id": account.id,
            }
            for account, tokens in found
        ]

    show(with_store(settings_of(config), read), as_json)


@services.command("remove")
def remove_service(account: Service, confirm: Confirm = False, config: Config = None) -> None:
    """Remove a service account with its tokens, for good."""
    from gateway.accounts import rows as account_rows
    from gateway.accounts.removal import remove
    from gateway.tokens import rows

    settings = settings_of(config)

    async def look(store: Store) -> tuple[Account, int]:
        found = await find_account(store, account)
        if not found.is_service:
            fail(f"{found.identifier} is a person's account")
        async with store.reading() as tx:
            return found, await rows.count_live(tx, found.id, utc())

    found, live = with_store(settings, look)
    if not ask_first(f"remove {found.identifier} of {found.tenant} with {counted(live, 'valid token')}", confirm):
        return

    async def change(store: Store) -> None:
        async with acting(settings, store) as action:
            held = await account_rows.find(action.tx, found.id, lock=True)
            if held is not None:
                await remove(action, held)

    with_store(settings, change)
    typer.echo(f"removed {found.identifier}")
