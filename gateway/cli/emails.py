"""Commands that change an account's email without its consent, and remove unused accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    Config,
    Confirm,
    Email,
    acting,
    ask_first,
    fail,
    find_person,
    print_respelling,
    settings_of,
    with_store,
)
from gateway.model.clock import DAY

if TYPE_CHECKING:
    from gateway.model.account import Account
    from gateway.store import Store


def set_email(
    email: Email,
    new: Annotated[str, typer.Argument(help="The new email.")],
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Change an account's email at once, without confirmation; both addresses are notified, and its sessions end."""
    from gateway.accounts.claims import UNDO_SECONDS
    from gateway.model.account import normalise_identifier

    settings = settings_of(config)
    identifier = normalise_identifier(new)
    account = with_store(settings, lambda store: find_person(store, email))
    if {account.identifier, identifier} & settings.access.owners:
        undo = "leave no way to undo it, for a platform owner; change `owners` in access.toml too"
    else:
        undo = f"notify both addresses, and let {account.identifier} undo it for {UNDO_SECONDS // DAY} days"
    change_it = f"change {account.identifier} of {account.tenant} to {identifier} and end every session"
    if not ask_first(change_it, confirm, undo):
        return
    print_respelling(new, identifier)

    async def change(store: Store) -> str:
        from gateway.accounts import rows
        from gateway.app.services import Services

        services = Services(settings, store)
        try:
            async with acting(settings, store) as action:
                found = await rows.find(action.tx, account.id, lock=True)
                if found is None or not await services.email_changes.set_now(action, found, identifier):
                    fail(f"{identifier} can't be used: another account or tenant has it, or had it a few days ago")
        finally:
            services.hasher.close()
        return f"{account.identifier} is {identifier} now"

    typer.echo(with_store(settings, change))


def remove_account(email: Email, confirm: Confirm = False, config: Config = None) -> None:
    """Remove an account that was never used, so that its email is free again."""
    settings = settings_of(config)
    account = with_store(settings, lambda store: find_person(store, email))
    if not ask_first(f"remove {account.identifier} of {account.tenant}, if it was never used", confirm):
        return

    async def change(store: Store) -> Account:
        from gateway.accounts import rows
        from gateway.accounts.removal import remove_unused

        async with acting(settings, store) as action:
            found = await rows.find(action.tx, account.id, lock=True)
            if found is None or not await remove_unused(action, found):
                fail(f"{account.identifier} has a password, or was used; `account disable` keeps people out")
            return found

    typer.echo(f"removed {with_store(settings, change).identifier}")
