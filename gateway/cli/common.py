"""Shared by the commands: finding settings, store and accounts, and printing tables."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.actions.action import Action
    from gateway.model.account import Account
    from gateway.sessions.reach import Reaches
    from gateway.settings import Settings
    from gateway.store import Store, Transaction

PLACES = (Path("/etc/otium-gateway"), Path("config"))  # the installed one first, whatever the current folder
NAMED = 20  # tenants in one line

Result = TypeVar("Result")
Row = Mapping[str, str | int]
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="GATEWAY_CONFIG", help="Configuration folder (with gateway.toml and access.toml)."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Output JSON.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Apply the changes. Without this, only show them.")]
Email = Annotated[str, typer.Argument(help="The account's email, or its id.")]


class Failed(Exception):
    """An expected failure, printed in one line."""


def fail(sentence: str) -> NoReturn:
    raise Failed(sentence)


def find_config(given: Path | None) -> Path:
    if given is not None:
        if not given.is_dir():
            fail(f"no such folder: {given}")
        return given
    found = next((place for place in PLACES if place.is_dir()), None)
    return found or fail("no configuration folder found; use --config or GATEWAY_CONFIG")


def settings_of(config: Path | None, read: Callable[[Path, Mapping[str, str]], Settings] | None = None) -> Settings:
    """Return the settings, read by `read` (default: load_for_command). Raises Failed with a line per problem."""
    from gateway.settings import BadSettings
    from gateway.settings.load import load_for_command

    try:
        return (read or load_for_command)(find_config(config), os.environ)
    except BadSettings as error:
        for problem in error.problems[:-1]:
            sys.stderr.write(f"otium-gateway: {problem}\n")
        fail(str(error.problems[-1]))


def with_store(settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    """Run `work` with the store. Raises BadSettings if it can't be used, is missing or has another schema version."""
    from gateway.process.blame import blaming
    from gateway.store.readiness import open_ready

    async def use() -> Result:
        async with open_ready(settings.store.url) as store:
            return await work(store)

    with blaming(settings):
        return asyncio.run(use())


async def find_account(store: Store, email: str) -> Account:
    """Return an account by email or id. Raises Failed. Prints the stored email if it is spelled differently."""
    from gateway.accounts import rows
    from gateway.model.account import normalise_identifier

    async with store.reading() as tx:
        if email.startswith("acc_") and "@" not in email:
            return await rows.find(tx, email) or fail(f"no account {email}")
        identifier = normalise_identifier(email)
        print_respelling(email, identifier)
        return await rows.find_by_identifier(tx, identifier) or fail(f"no account with the email {identifier}")


async def find_person(store: Store, email: str) -> Account:
    """Return the account of a person. Raises Failed for a service account too: it has nothing to sign in with."""
    account = await find_account(store, email)
    if account.is_service:
        fail(f"{account.identifier} is a service account, which never signs in; it has API tokens only")
    return account


def print_respelling(email: str, identifier: str) -> None:
    """Print the normalised email to standard error, if more than the case differs."""
    from gateway.model.account import is_respelled

    if is_respelled(email, identifier):
        sys.stderr.write(f"otium-gateway: {printable(email)} is kept as {identifier}\n")


async def explain_unavailable(tx: Transaction, tenant: str, identifier: str) -> str:
    """Return the reason why a tenant can't have an account with an email."""
    from gateway.accounts import claims, rows

    claim = await claims.find(tx, identifier.rpartition("@")[2])
    if claim is not None and claim.tenant != tenant:
        release = f"otium-gateway tenant release {claim.tenant} {claim.domain} --confirm"
        return f"{claim.domain} belongs to {claim.tenant}; `{release}`"
    if await rows.find_by_identifier(tx, identifier) is not None:
        return f"an account with the email {identifier} already exists"
    return f"another account had the email {identifier} until lately, and can still get it back"


async def check_tenant(tx: Transaction, slug: str | None) -> None:
    """Raise Failed, with a list of tenants, if there is no such tenant. None is accepted."""
    from gateway.accounts.directory import list_tenants

    known = [tenant.slug for tenant in await list_tenants(tx)]
    if slug is not None and slug not in known:
        more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
        fail(f"no tenant {slug}. Existing tenants: {', '.join(known[:NAMED]) or 'none'}{more}")


def ask_first(reach: str, confirm: bool, *more: str) -> bool:
    """Return `confirm`. If it is False, print what the command would do, one line each."""
    if not confirm:
        for step in (reach, *more):
            typer.echo(f"would {step}")
        typer.echo("nothing changed; add --confirm to apply")
    return confirm


def reaches_of(settings: Settings, store: Store) -> Reaches:
    """Return the counter of people and sessions that an action affects."""
    from gateway.app.services import Services

    return Services(settings, store).reaches


@contextlib.asynccontextmanager
async def acting(settings: Settings, store: Store) -> AsyncIterator[Action]:
    """Begin an action by the operator."""
    from gateway.actions.action import operator as operator_actor
    from gateway.app.services import Services

    services = Services(settings, store)
    async with services.actions.begin(operator_actor(operator()), services.clock()) as action:
        yield action


def operator() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


def moment(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def show(table: Sequence[Row], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(table))
        return
    if not table:
        typer.echo("none")
        return
    cells = [[printable(str(value)) for value in row.values()] for row in table]
    names = list(table[0])
    widths = [max(len(line[at]) for line in [names, *cells]) for at in range(len(names))]
    for line in [names, *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Replace control characters, so that stored text can't send commands to the operator's terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
