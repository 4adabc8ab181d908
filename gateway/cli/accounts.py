"""Manage accounts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Email,
    acting,
    ask_first,
    check_tenant,
    explain_unavailable,
    fail,
    find_account,
    find_person,
    moment,
    print_respelling,
    printable,
    reaches_of,
    settings_of,
    show,
    with_store,
)
from gateway.cli.emails import remove_account, set_email
from gateway.cli.passwords import accept, read_password
from gateway.cli.review import review_access
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.factors.contract import Summary
    from gateway.model.account import Account
    from gateway.settings import Settings
    from gateway.store import Store

program = typer.Typer(help="Manage accounts.", no_args_is_help=True)


@program.command("add")
def add_account(
    email: Email,
    name: Annotated[str, typer.Option(help="Full name.")],
    role: Annotated[str, typer.Option(help="employee, manager or admin.")] = "employee",
    tenant: Annotated[str, typer.Option(help="Tenant (company).")] = "default",
    department: Annotated[str, typer.Option(help="Department: finance, hr or legal also grants that module.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    config: Config = None,
) -> None:
    """Create an account and set its password (asked for, or from --password-stdin)."""
    from gateway.accounts import rows
    from gateway.accounts.change import create
    from gateway.accounts.csv_import.reading import Reject, judge
    from gateway.passwords.policy import Person

    settings = settings_of(config)
    row = {"email": email, "name": name, "role": role, "tenant": tenant, "department": department}
    wanted = judge(0, row)
    if isinstance(wanted, Reject):
        fail(wanted.reason)
    print_respelling(email, wanted.identifier)
    password = read_password(password_stdin)
    person = Person(wanted.identifier, wanted.name, wanted.tenant, settings.pages.product)

    async def change(store: Store) -> str:
        accepted = await accept(settings, password, person)
        added = replace(wanted, password_hash=accepted.hashed)
        async with acting(settings, store) as action:
            is_known = await rows.has_tenant(action.tx, added.tenant)
            if await create(action, added, accepted.remarks) is None:
                fail(await explain_unavailable(action.tx, added.tenant, added.identifier))
            return "" if is_known else f"; its tenant {added.tenant} is new"

    typer.echo(f"added {wanted.identifier}{with_store(settings, change)}")


program.command("set-email")(set_email)
program.command("remove")(remove_account)
program.command("review")(review_access)


@program.command("list")
def list_accounts(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List accounts."""
    from gateway.accounts import rows

    async def read(store: Store) -> list[Account]:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
            return await rows.list_all(tx, tenant)

    settings = settings_of(config)
    show([describe(account, settings) for account in with_store(settings, read)], as_json)


def describe(account: Account, settings: Settings) -> dict[str, str]:
    return {
        "email": account.identifier,
        "name": account.name,
        "tenant": account.tenant,
        "role": "owner" if account.identifier in settings.access.owners else account.role.value,
        "modules": ",".join(sorted(account.modules)),
        "status": account.status.value,
        "password": "set" if account.password_hash else "none",
        "second_step": ",".join(sorted(account.enrolled.factors)) or "none",
        "kind": "service account" if account.is_service else "person",
    }


@program.command("show")
def show_account(email: Email, config: Config = None, as_json: AsJSON = False) -> None:
    """Show an account, and what it has set up for two-step verification."""
    from gateway.app.services import Services

    settings = settings_of(config)

    async def read(store: Store) -> tuple[Account, list[Summary]]:
        account = await find_account(store, email)
        async with store.reading() as tx:
            return account, await Services(settings, store).factors.summarise(tx, account.id)

    account, summaries = with_store(settings, read)
    second_steps = [
        {
            "factor": str(summary.factor),
            "name": summary.name,
            "added": moment(summary.added_at) if summary.added_at else "",
            "last_used": moment(summary.used_at) if summary.used_at else "never",
            "note": str(summary.remark),
        }
        for summary in summaries
    ]
    if as_json:
        typer.echo(json.dumps({**describe(account, settings), "second_steps": second_steps}))
        return
    for key, value in describe(account, settings).items():
        typer.echo(f"{key}: {printable(value)}")
    if second_steps:
        typer.echo("")
        show(second_steps, as_json)


@program.command("import")
def import_accounts(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV file with the columns email,name,department,role[,tenant,password_hash].",
        ),
    ] = None,
    from_sql: Annotated[
        str | None,
        typer.Option(help="Import from the app's own database instead of a CSV file: sqlite:///… or postgresql://…"),
    ] = None,
    query_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with a SELECT that returns the CSV columns.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="Name under which this import source is remembered. Default: the database address.")
    ] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="Also link existing accounts to the app's users.")] = False,
    disable_missing: Annotated[
        bool, typer.Option("--disable-missing", help="Disable imported accounts that are missing from this import.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Apply the changes. Without this, only show them.")] = False,
    config: Config = None,
) -> None:
    """Import accounts from a CSV file or the app's database. Shows the changes; --apply makes them."""
    from gateway.accounts.app_sync.plan import Wishes
    from gateway.cli.imports import from_application, from_file

    settings = settings_of(config)
    if file is not None and from_sql is None and query_file is None and not (source or adopt or disable_missing):
        lines = from_file(settings, file, apply)
    elif file is None and from_sql is not None and query_file is not None:
        lines = from_application(settings, from_sql, query_file, source, Wishes(adopt, disable_missing), apply)
    else:
        fail(
            "give a CSV file, or --from-sql together with --query-file "
            "(--adopt, --disable-missing and --source only work with --from-sql)"
        )
    for line in lines:
        typer.echo(line)


@program.command("disable")
def disable_account(email: Email, config: Config = None) -> None:
    """Disable an account and sign it out everywhere."""
    from gateway.model.account import Status

    change_status(email, Status.DISABLED, config)


@program.command("enable")
def enable_account(email: Email, config: Config = None) -> None:
    """Enable a disabled account."""
    from gateway.model.account import Status

    change_status(email, Status.ACTIVE, config)


def change_status(email: str, status: Any, config: Path | None) -> None:
    from gateway.accounts.change import set_status
    from gateway.model.account import Status

    settings = settings_of(config)

    async def change(store: Store) -> str:
        account = await find_account(store, email)
        reach = await reaches_of(settings, store).of_account(account.id, utc())
        async with acting(settings, store) as action:
            if not await set_status(action, account, status):
                return f"{account.identifier} is already {status.value}"
        signed_out = f"; signed out of {counted(reach.sessions, 'device')}" if status is Status.DISABLED else ""
        return f"{account.identifier} is {status.value}{signed_out}"

    typer.echo(with_store(settings, change))


@program.command("set-role")
def change_role(
    email: Email,
    role: Annotated[str, typer.Argument(help="employee, manager or admin.")],
    config: Config = None,
) -> None:
    """Change an account's role. Takes effect immediately."""
    from gateway.accounts import rows
    from gateway.accounts.change import set_role
    from gateway.accounts.csv_import.reading import read_role

    settings, wanted = settings_of(config), read_role(role)

    async def change(store: Store) -> Account:
        account = await find_account(store, email)
        async with acting(settings, store) as action:
            # Read again under the lock, because its modules are written too.
            found = await rows.find(action.tx, account.id, lock=True)
            if found is None:
                fail(f"{account.identifier} was removed at this moment")
            await set_role(action, found, wanted, found.modules)
        return account

    typer.echo(f"{with_store(settings, change).identifier} is {wanted.value}")


@program.command("set-password")
def set_account_password(
    email: Email,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    config: Config = None,
) -> None:
    """Set an account's password and sign it out everywhere."""
    from gateway.accounts.change import set_password
    from gateway.app.services import Services
    from gateway.passwords.policy import Person

    settings = settings_of(config)
    password = read_password(password_stdin)

    async def change(store: Store) -> int:
        account = await find_person(store, email)
        person = Person(account.identifier, account.name, account.tenant, settings.pages.product)
        accepted = await accept(settings, password, person)
        async with acting(settings, store) as action:
            return await set_password(
                action, Services(settings, store).factors, account, accepted.hashed, accepted.remarks
            )

    typer.echo(f"password set; signed out of {counted(with_store(settings, change), 'session')}")


@program.command("secure")
def secure_account(email: Email, confirm: Confirm = False, config: Config = None) -> None:
    """End everything of an account that someone else is using; its password stops working, and a link is emailed."""
    from gateway.cli.recovery import describe_securing, secure

    settings = settings_of(config)
    if not confirm:
        account = with_store(settings, lambda store: find_account(store, email))
        first, *more = describe_securing(account, settings)
        ask_first(first, confirm, *more)
        return
    for line in with_store(settings, lambda store: secure(store, settings, email)):
        typer.echo(line)


@program.command("unlock")
def unlock_account(
    email: Annotated[str, typer.Option(help="The account's email.")],
    reset_2fa: Annotated[
        bool, typer.Option("--reset-2fa", help="Reset two-step verification; it is set up again at the next sign-in.")
    ] = False,
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="Set a new password and print it once.")
    ] = False,
    one_time_link: Annotated[
        bool,
        typer.Option("--one-time-link", help="Print the sign-in link instead of emailing it."),
    ] = False,
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Unlock an account: clear failed attempts and, optionally, reset two-step verification or the password."""
    from gateway.cli.recovery import Wanted, describe, recover

    settings = settings_of(config)
    wanted = Wanted(reset_2fa, reset_password, one_time_link)
    if not confirm:
        account = with_store(settings, lambda store: find_account(store, email))
        first, *more = describe(account, wanted)
        ask_first(first, confirm, *more)
        return
    for line in with_store(settings, lambda store: recover(store, settings, email, wanted)):
        typer.echo(line)
