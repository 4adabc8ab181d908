"""Commands on tenants' identity providers. They need no running gateway, and work when a provider has failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli import provisioning, tenants
from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Result,
    Row,
    acting,
    ask_first,
    check_tenant,
    fail,
    moment,
    printable,
    settings_of,
    show,
    with_store,
)
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.actions.action import Action
    from gateway.settings import Settings
    from gateway.sso.overview import Connected
    from gateway.sso.rows import Registered
    from gateway.store import Store

MAX_SECRET_BYTES = 4_096
UNFIT = {
    "issuer": "--issuer: give the issuer as the provider shows it, an https address without a question mark",
    "client_id": "--client-id: give the client ID that the provider shows",
    "client_secret": "give the client secret that the provider shows, with --secret-stdin or --secret-file; or use "
    "--signature",
    "kind": "--kind: use entra, google, okta, keycloak or generic",
    "acr_values": "--acr-values: give words with spaces between them; for Entra ID, like c1",
}
HINDRANCES = {
    "key_not_tried": "{tenant}'s provider has to know the key first: an administrator of {tenant} tries it out at "
    "/admin/sso/key",
    "not_there": "{tenant} has no identity provider; add one with `otium-gateway sso set`",
    "not_tried": "{tenant}'s provider has to be tried out first: an administrator of {tenant} does that at /admin/sso",
    "no_domain": "{tenant} has no email domain yet; add one with `otium-gateway sso domain add`",
    "required": "{tenant} requires single sign-on, so its people would be locked out; first end that with "
    "`otium-gateway sso optional`",
}

program = typer.Typer(help="Identity providers of tenants, for single sign-on.", no_args_is_help=True)
domains = typer.Typer(help="Email domains that lead to a tenant's provider.", no_args_is_help=True)
program.add_typer(domains, name="domain")
program.add_typer(provisioning.program, name="provisioning")
domains.command("add")(tenants.claim_domain)
domains.command("remove")(tenants.release_domain)

Given = dict[str, str | bool | None]
Slug = Annotated[str, typer.Argument(help="The tenant.")]


@program.command("list")
def list_providers(config: Config = None, as_json: AsJSON = False) -> None:
    """List the tenants' identity providers."""
    from gateway.sso import overview

    async def read(store: Store) -> list[Row]:
        async with store.reading() as tx:
            return [row_of(one) for one in await overview.list_connected(tx)]

    show(with_store(settings_of(config), read), as_json)


@program.command("show")
def show_provider(tenant: Slug, config: Config = None, as_json: AsJSON = False) -> None:
    """Show a tenant's identity provider. Its secret is never shown."""

    found = with_store(settings_of(config), lambda store: find(store, tenant))
    details = {
        **row_of(found),
        "client_id": found.client_id,
        "creates_accounts": "yes" if found.creates_accounts else "no",
        "counts_for_two": "yes" if found.counts_for_two else "no",
        "client_proof": "signature" if found.signs else "secret",
    }
    if as_json:
        typer.echo(json.dumps(details))
    else:
        for name, value in details.items():
            typer.echo(f"{name:<17} {printable(str(value))}".rstrip())


@program.command("set")
def set_provider(
    tenant: Slug,
    issuer: Annotated[str | None, typer.Option(help="The issuer, as the provider shows it.")] = None,
    client_id: Annotated[str | None, typer.Option(help="The client ID that the provider gave.")] = None,
    kind: Annotated[str | None, typer.Option(help="entra, google, okta, keycloak or generic.")] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the client secret from stdin.")] = False,
    secret_file: Annotated[Path | None, typer.Option(help="Read the client secret from a file.")] = None,
    creates_accounts: Annotated[
        bool | None, typer.Option("--creates-accounts/--no-creates-accounts", help="Add people at their first sign-in.")
    ] = None,
    counts_for_two: Annotated[
        bool | None, typer.Option("--counts-for-two/--no-counts-for-two", help="Trust its second factor.")
    ] = None,
    acr_values: Annotated[str | None, typer.Option(help="What it is asked for, to have two factors.")] = None,
    signs: Annotated[
        bool | None,
        typer.Option("--signature/--no-signature", help="Prove ourselves with a signature, not a secret."),
    ] = None,
    config: Config = None,
) -> None:
    """Connect a tenant's identity provider, or change what is given. Another issuer or client ID turns it off."""
    settings = settings_of(config)
    given: Given = {
        "issuer": issuer,
        "client_id": client_id,
        "kind": kind,
        "client_secret": read_secret(secret_stdin, secret_file),
        "creates_accounts": creates_accounts,
        "counts_for_two": counts_for_two,
        "acr_values": acr_values,
        "signs": signs,
    }

    is_tried = with_store(settings, lambda store: save(settings, store, tenant, given))
    more = "" if is_tried else f"; an administrator of {tenant} tries it out at /admin/sso before it is turned on"
    typer.echo(f"{tenant}'s identity provider is saved{more}")


async def save(settings: Settings, store: Store, tenant: str, given: Given) -> bool:
    """Store a tenant's provider with what is given. Returns whether it was tried out. Raises Failed."""
    from gateway.app.services import Services
    from gateway.model.event import Event
    from gateway.sso import rows
    from gateway.sso.admin import ProviderResult, keep
    from gateway.sso.keys.service import prepare
    from gateway.sso.oversight import note

    sealer = Services(settings, store).sealer
    async with acting(settings, store) as action:
        await check_tenant(action.tx, tenant)
        before = await rows.find_of_tenant(action.tx, sealer, tenant)
        wanted = read_wanted(settings, tenant, before, given)
        made = await prepare(wanted.provider, action.now) if wanted.signs else None
        result = await keep(action, sealer, wanted, made)
        if isinstance(result, ProviderResult):
            fail_for(result.value, tenant)
        about: dict[str, str | bool] = {
            "issuer": wanted.provider.issuer,
            "creates_accounts": wanted.creates_accounts,
        }
        await note(action, Event.SSO_CHANGED, tenant, None, about)
        kept = await rows.find_of_tenant(action.tx, sealer, tenant)
        return kept is not None and kept.tried_at is not None


@program.command("on")
def turn_on(tenant: Slug, config: Config = None) -> None:
    """Turn a tenant's single sign-on on. It has to be tried out, and to have a domain."""
    from gateway.sso import oversight
    from gateway.sso.admin import ProviderResult

    settings = settings_of(config)

    result = act(settings, oversight.turn_on, tenant)
    if result is not ProviderResult.DONE:
        fail_for(result.value, tenant)
    more = "" if settings.sso.on else "; nobody sees it as long as sso.on is false in gateway.toml"
    typer.echo(f"single sign-on of {tenant} is on{more}")


@program.command("off")
def turn_off(tenant: Slug, confirm: Confirm = False, config: Config = None) -> None:
    """Turn a tenant's single sign-on off, even if the tenant requires it. Needs --confirm."""
    from gateway.sso import oversight

    settings = settings_of(config)
    found = with_store(settings, lambda store: find(store, tenant))
    if not (found.is_enabled or found.is_required):
        fail(f"single sign-on of {tenant} is off already")
    if not ask_first(f"turn off single sign-on of {tenant}; {reach(found)}", confirm, *more_of(found)):
        return

    act(settings, oversight.turn_off, tenant)
    typer.echo(f"single sign-on of {tenant} is off")


@program.command("optional")
def make_optional(tenant: Slug, confirm: Confirm = False, config: Config = None) -> None:
    """Let the people of a tenant that requires single sign-on use their passwords as well. Needs --confirm."""
    from gateway.sso import oversight

    settings = settings_of(config)

    async def read(store: Store) -> bool:
        from gateway.accounts import rows as account_rows
        from gateway.sso.factor import SSO

        async with store.reading() as tx:
            await check_tenant(tx, tenant)
            policy = await account_rows.find_factor_policy(tx, tenant, even_suspended=True)
            return policy is not None and policy.first == SSO

    if not with_store(settings, read):
        fail(f"{tenant} does not require single sign-on")
    if not ask_first(f"let the people of {tenant} sign in with passwords, also those of people who have left", confirm):
        return

    act(settings, oversight.make_optional, tenant)
    typer.echo(f"{tenant} no longer requires single sign-on")


@program.command("remove")
def remove_provider(tenant: Slug, confirm: Confirm = False, config: Config = None) -> None:
    """Delete a tenant's identity provider, with the connections of its people. Needs --confirm."""
    from gateway.sso import oversight

    settings = settings_of(config)
    found = with_store(settings, lambda store: find(store, tenant))
    if not ask_first(f"remove the identity provider of {tenant}; {reach(found)}", confirm, *more_of(found)):
        return

    act(settings, oversight.remove, tenant)
    typer.echo(f"the identity provider of {tenant} is removed")


def act(settings: Settings, change: Callable[[Action, str], Awaitable[Result]], tenant: str) -> Result:
    """Make a change as the operator, in one transaction."""

    async def work(store: Store) -> Result:
        async with acting(settings, store) as action:
            await check_tenant(action.tx, tenant)
            return await change(action, tenant)

    return with_store(settings, work)


def row_of(found: Connected) -> Row:
    state = "required" if found.is_required else "on" if found.is_enabled else "off"
    return {
        "tenant": found.tenant,
        "state": state,
        "kind": found.kind.value,
        "issuer": found.issuer,
        "people": found.people,
        "tried": moment(found.tried_at) if found.tried_at else "never",
        "domains": ",".join(found.domains),
    }


def reach(found: Connected) -> str:
    return f"{counted(found.people, 'person', 'people')} connected to it would need a password"


def more_of(found: Connected) -> list[str]:
    return [f"end that {found.tenant} requires it of everyone"] if found.is_required else []


async def find(store: Store, tenant: str) -> Connected:
    """Return a tenant's provider. Raises Failed."""
    from gateway.sso import overview

    async with store.reading() as tx:
        await check_tenant(tx, tenant)
        return await overview.find_connected(tx, tenant) or fail_for("not_there", tenant)


def read_wanted(settings: Settings, tenant: str, before: Registered | None, given: Given) -> Registered:
    """Return the stored provider with what is given, checked as on the page. Raises Failed."""
    from gateway.sso.admin_pages import Unfit, read_provider, shown_of_stored
    from gateway.web.visit import Form

    stored = {**shown_of_stored(before), **({} if before else {"kind": "generic"})}
    fields = {**stored, **{name: value for name, value in given.items() if value is not None}}
    form = Form({name: "yes" if value is True else str(value or "") for name, value in fields.items()})
    try:
        return read_provider(form, tenant, before, allows_http=settings.sso.private_networks)
    except Unfit as error:
        fail(UNFIT[str(error)])


def read_secret(from_stdin: bool, path: Path | None) -> str | None:
    """Read a client secret. It is never an argument: others can see the command line."""
    if from_stdin and path is not None:
        fail("use either --secret-stdin or --secret-file")
    if path is not None:
        if not path.is_file():
            fail(f"no such file: {path}")
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES)
    elif from_stdin:
        content = sys.stdin.buffer.readline(MAX_SECRET_BYTES)
    else:
        return None
    return content.decode("utf-8", "replace").strip() or fail(UNFIT["client_secret"])


def fail_for(hindrance: str, tenant: str) -> NoReturn:
    fail(HINDRANCES[hindrance].format(tenant=tenant))
