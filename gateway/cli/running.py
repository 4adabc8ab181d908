"""Commands that run the gateway or the demo, check the configuration, explain decisions, and migrate."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import __version__
from gateway.cli.common import AsJSON, Config, fail, find_account, find_config, settings_of, with_store
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.model.account import Account
    from gateway.model.factor_policy import FactorPolicy, TenantPolicy
    from gateway.model.network_rule import NetworkRule
    from gateway.store import Store


def add_to(program: typer.Typer) -> None:
    """Add the commands without a group, and the option --version."""
    program.callback()(options)
    program.command()(serve)
    program.command()(demo)
    program.command("check-config")(check_config)
    program.command()(explain)
    program.command()(migrate)


def show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An authentication gateway that sits in front of your web app."""


def serve(config: Config = None) -> int:
    """Run the gateway. SIGHUP reloads the configuration; SIGTERM finishes open requests and stops."""
    from gateway.process.compiled import use_compiled

    form = use_compiled(os.environ)  # before anything imports what may be compiled
    from gateway.process.lean import import_lean

    import_lean()
    # What leaves most free memory behind comes first: what is imported next takes its place.
    from gateway.languages.catalogue import load_all
    from gateway.web.user_agents import load_lists

    load_all()
    load_lists()
    from gateway.observe import logs
    from gateway.process import worker
    from gateway.process.supervisor import run as run_supervisor
    from gateway.settings import Settings
    from gateway.web.templates import compile_all

    folder = find_config(config)
    settings = settings_of(config, worker.load_checked)
    logs.configure(settings.listen.log_format)
    if form.problem:
        logs.get_logger("serve").warning("not_compiled", reason=form.problem)
    compile_all()

    def read() -> Settings:
        return worker.load_checked(folder, os.environ)

    return run_supervisor(read, worker.prepare, worker.check, partial(worker.make_work, reload=read))


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the demo's database and configuration.")] = Path("var/demo"),
    port: Annotated[int, typer.Option(help="Port for the gateway.")] = 8000,
    mail_port: Annotated[int, typer.Option(help="Port for the demo inbox.")] = 8025,
) -> int:
    """Start a local demo: gateway, sample app, test inbox and test accounts."""
    from gateway.demo.run import run as run_demo

    return run_demo(folder, port=port, mail_port=mail_port)


def check_config(config: Config = None) -> None:
    """Check the configuration and this machine without changing anything, and list every problem."""
    from gateway.process.compiled import use_compiled

    form = use_compiled(os.environ)
    from gateway.app.services import Services
    from gateway.cli.checking import check_store, try_to_build
    from gateway.cli.probes import probe
    from gateway.process.preflight import advice_on
    from gateway.process.worker import load_checked
    from gateway.settings.load import SETTINGS_FILE

    folder = find_config(config)
    settings = settings_of(config, load_checked)
    try_to_build(settings)
    store, advice = check_store(settings)
    slower = [("", form.problem)] if form.problem else []
    probed = probe(settings, Services(settings).mailer)
    for key, reason in (*advice_on(settings, os.environ), *advice, *probed, *slower):
        typer.echo(f"advice: {key}: {reason}" if key else f"advice: {reason}")
    if not (folder / SETTINGS_FILE).exists():
        typer.echo(f"{folder} has no {SETTINGS_FILE}; using defaults and environment variables")
    typer.echo(store)
    typer.echo(f"the data path runs {form}")
    typer.echo(f"{folder}: configuration OK for {settings.public_url}")


def explain(
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    url: Annotated[str, typer.Argument(help="Path or full URL.")],
    email: Annotated[
        str | None, typer.Option("--as", help="Email of the account to check as. Default: not signed in.")
    ] = None,
    destination: Annotated[str | None, typer.Option(help="Where a COPY or MOVE goes: a path or an address.")] = None,
    depth: Annotated[str | None, typer.Option(help="How much a WebDAV request covers: 0, 1 or infinity.")] = None,
    address: Annotated[str, typer.Option(help="The client's IP address, for network rules.")] = "",
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Show whether a request would be allowed, and which rule decides."""
    from gateway.app.explain import Unclear
    from gateway.app.explain import explain as explain_request
    from gateway.model.factor_policy import NO_POLICY
    from gateway.model.networks import read_address

    settings = settings_of(config)
    account, demanded, networks = None, NO_POLICY, None
    if email:
        find = partial(find_person, email=email, policy=settings.factor_policy)
        account, demanded, networks = with_store(settings, find)
    if address and read_address(address) is None:
        fail(f"{address!r} is no IP address")
    given = (("Destination", destination), ("Depth", depth))
    fields = [f"{name}: {value}" for name, value in given if value is not None]
    try:
        explanation = explain_request(
            settings, method, url, account, utc(), fields, demanded, networks=networks, address=address
        )
    except Unclear as error:
        fail(str(error))
    typer.echo(json.dumps(explanation) if as_json else "\n".join(f"{key}: {text}" for key, text in explanation.items()))


async def find_person(
    store: Store, email: str, policy: FactorPolicy
) -> tuple[Account, TenantPolicy, NetworkRule | None]:
    """Return an account, its tenant's demands, and its network rule."""
    from gateway.accounts import rows
    from gateway.model.factor_policy import NO_POLICY
    from gateway.networks.rows import find_rule

    account = await find_account(store, email)
    async with store.reading() as tx:
        demanded = await rows.find_factor_policy(tx, account.tenant) or NO_POLICY
        return account, demanded, await find_rule(tx, account, policy)


def migrate(
    config: Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, without changing anything.")
    ] = False,
) -> None:
    """Create or upgrade the database. `serve` does this automatically."""
    from gateway.process.blame import blaming
    from gateway.store.migrate import describe
    from gateway.store.migrate import migrate as migrate_store

    settings = settings_of(config)
    with blaming(settings):
        steps = migrate_store(settings.store.url, dry_run=dry_run)
    for line in describe(steps):
        typer.echo(f"{'would apply' if dry_run else 'applied'} {line}")
    if not steps:
        typer.echo("the schema is up to date")
