"""Manage sessions (signed-in devices)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
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
    from gateway.settings import Settings
    from gateway.store import Store

program = typer.Typer(help="Manage sessions (signed-in devices).", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Manage sessions (signed-in devices)."""


@program.command("list")
def list_sessions(
    email: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List active sessions."""
    from gateway.app.services import Services
    from gateway.model.session import has_outlived
    from gateway.sessions import rows
    from gateway.web.user_agents import label

    settings = settings_of(config)

    async def read(store: Store) -> list[rows.SessionRow]:
        account = await find_account(store, email) if email else None
        async with store.reading() as tx:
            found = await rows.list_open(tx, account.id if account else None)
        lifetimes, now, owners = Services(settings, store).lifetimes, utc(), settings.access.owners
        return [
            row
            for row in found
            if not has_outlived(row.started_at, row.seen_at, lifetimes.of(is_owner=row.identifier in owners), now)
        ]

    table = [
        {
            "id": row.id,
            "email": row.identifier,
            "address": row.address,
            "signed_in": moment(row.started_at),
            "last_seen": moment(row.seen_at),
            "browser": row.user_agent if as_json else label(row.user_agent),
        }
        for row in with_store(settings, read)
    ]
    show(table, as_json)


@program.command("revoke")
def revoke_session(
    session_id: Annotated[str | None, typer.Argument(help="Session ID, from `session list`.")] = None,
    email: Annotated[str | None, typer.Option(help="All sessions of this account.")] = None,
    tenant: Annotated[str | None, typer.Option(help="All sessions of everyone in this tenant.")] = None,
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """End a session, or all sessions of an account or tenant, at once, and email people. A tenant takes --confirm."""
    from gateway.accounts import rows
    from gateway.accounts.change import end_session, sign_out

    if [session_id, email, tenant].count(None) != 2:
        fail("give a session ID, --email or --tenant")

    settings = settings_of(config)
    if tenant is not None:
        reach = with_store(settings, lambda store: describe_reach(settings, store, tenant))
        if not ask_first(reach, confirm):
            return

    async def change(store: Store) -> int:
        account = await find_account(store, email) if email else None
        async with acting(settings, store) as action:
            if account is not None:
                return await sign_out(action, account)
            if tenant is not None:
                await check_tenant(action.tx, tenant)
                people = [one for one in await rows.list_all(action.tx, tenant) if not one.is_service]
                return sum([await sign_out(action, member) for member in people])
            return int(await end_session(action, session_id or ""))

    ended = with_store(settings, change)
    if session_id and not ended:
        fail(f"no active session {session_id}")
    typer.echo(f"{counted(ended, 'session')} ended")


async def describe_reach(settings: Settings, store: Store, tenant: str) -> str:
    """Describe how many people and sessions ending a tenant's sessions affects."""
    async with store.reading() as tx:
        await check_tenant(tx, tenant)
    reach = await reaches_of(settings, store).of_tenant(tenant, utc())
    people, devices = counted(reach.people, "person", "people"), counted(reach.sessions, "device")
    return f"end the sessions of {people} in {tenant}, signed in on {devices}"
