"""The command line. Exit 0, or another code and one clear line on standard error.

What a command needs is loaded when it runs: `--help` is quick, and the supervisor of `serve` stays small.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.accounts.record import Account
    from gateway.settings import Settings
    from gateway.store import Store

PLACES = (Path("config"), Path("/etc/otium-gateway"))
SECRET_BYTES = 48
MIN_PASSWORD = 12  # characters
EXPECTED = (
    "StoreUnavailable",
    "SchemaTooNew",
    "UnreadableFile",
    "Unacceptable",
    "CannotServe",
)  # loaded late

Result = TypeVar("Result")
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="GATEWAY_CONFIG", help="The folder of gateway.toml and access.toml."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Email = Annotated[str, typer.Argument(help="The account's email.")]

program = typer.Typer(
    name="otium-gateway",
    help="Signs people in, remembers their devices, and forwards what is allowed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
account_program = typer.Typer(help="Who may sign in.", no_args_is_help=True)
session_program = typer.Typer(help="Signed-in devices.", no_args_is_help=True)
audit_program = typer.Typer(help="What happened.", no_args_is_help=True)
keys_program = typer.Typer(help="The secret that all keys come from.", no_args_is_help=True)
program.add_typer(account_program, name="account")
program.add_typer(session_program, name="session")
program.add_typer(audit_program, name="audit")
program.add_typer(keys_program, name="keys")


class Failed(Exception):
    """Said to the operator in one line."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    command = typer.main.get_command(program)
    try:
        code = command.main(list(arguments), prog_name="otium-gateway", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return complain("stopped; nothing was changed")
    except Exception as error:
        message = said_to_operators(error)
        if message is None:
            raise
        return complain(message)


def said_to_operators(error: Exception) -> str | None:
    """Return what an expected failure says. Typer's own mistakes in usage are known by how they are told."""
    if hasattr(error, "format_message"):
        return str(error.format_message())
    return str(error) if isinstance(error, Failed) or type(error).__name__ in EXPECTED else None


def complain(sentence: str) -> int:
    sys.stderr.write(f"otium-gateway: {' '.join(sentence.split())}\n")
    return 1


def fail(sentence: str) -> NoReturn:
    raise Failed(sentence)


# Running.


@program.command()
def serve(config: Config = None) -> int:
    """Serve until told to stop. SIGHUP reads the settings anew, SIGTERM drains and ends."""
    from gateway import app, logs
    from gateway.serve import run as run_supervisor
    from gateway.settings import load

    folder = find_config(config)
    settings = settings_of(config)
    logs.configure(settings.listen.log_format)
    return run_supervisor(lambda: load(folder, os.environ), app.prepare, app.run_worker)


@program.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its store and settings.")] = Path("var/demo"),
    port: Annotated[int, typer.Option(help="Where the gateway listens.")] = 8000,
    mail_port: Annotated[int, typer.Option(help="Where the inbox is shown.")] = 8025,
) -> int:
    """Start everything on this machine: gateway, stand-in application, mail catcher, and people to sign in as."""
    from gateway.demo.run import run as run_demo

    return run_demo(folder, port=port, mail_port=mail_port)


@program.command("check-config")
def check_config(config: Config = None) -> None:
    """Read the settings as `serve` would, and say everything that is wrong with them."""
    settings = settings_of(config)
    typer.echo(f"{find_config(config)}: good, for {settings.public_url}")


@program.command()
def explain(
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    url: Annotated[str, typer.Argument(help="A path or a whole address.")],
    email: Annotated[str | None, typer.Option("--as", help="As this account; without it as nobody.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Say what would become of a request and by which rule, with the code that decides."""
    from gateway.explain import explain as explain_request

    settings = settings_of(config)
    account = with_store(settings, lambda store: find_account(store, email)) if email else None
    explanation = explain_request(settings, method, url, account, int(time.time()))
    typer.echo(json.dumps(explanation) if as_json else "\n".join(f"{key}: {text}" for key, text in explanation.items()))


@program.command()
def migrate(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Create the store or bring its schema up to this version. `serve` does so by itself."""
    from gateway.store.migrate import migrate as migrate_store

    steps = migrate_store(settings_of(config).store.url, dry_run=dry_run)
    verb = "would apply" if dry_run else "applied"
    typer.echo(f"{verb} {', '.join(steps)}" if steps else "the schema is up to date")


@keys_program.command("create")
def create_key() -> None:
    """Print a new secret, for GATEWAY_SECRET or the credential gateway-secret."""
    typer.echo(base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii"))


# Accounts.


@account_program.command("add")
def add_account(
    email: Email,
    name: Annotated[str, typer.Option(help="The person's name.")],
    role: Annotated[str, typer.Option(help="employee, manager or admin.")] = "employee",
    tenant: Annotated[str, typer.Option(help="The customer company.")] = "default",
    department: Annotated[str, typer.Option(help="finance, hr or legal give that module.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    config: Config = None,
) -> None:
    """Add an account and set its password."""
    from gateway.accounts.bulk import Create, Reject, judge
    from gateway.accounts.change import create

    settings = settings_of(config)
    row = {"email": email, "name": name, "role": role, "tenant": tenant, "department": department}
    wanted = judge(0, row, set())
    if not isinstance(wanted, Create):
        fail(wanted.reason if isinstance(wanted, Reject) else "there is an account with this email")
    hashed = hash_password(settings, read_password(password_stdin))

    async def change(store: Store) -> bool:
        from dataclasses import replace

        async with store.transaction() as tx:
            return await create(tx, replace(wanted, password_hash=hashed), operator(), int(time.time())) is not None

    if not with_store(settings, change):
        fail(f"there is an account with the email {wanted.identifier} already")
    typer.echo(f"added {wanted.identifier}")


@account_program.command("list")
def list_accounts(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List the accounts."""
    from gateway.accounts import rows

    async def read(store: Store) -> list[Account]:
        async with store.reading() as tx:
            return await rows.list_all(tx, tenant)

    settings = settings_of(config)
    table = [
        {
            "email": account.identifier,
            "name": account.name,
            "tenant": account.tenant,
            "role": "owner" if account.identifier in settings.access.owners else account.role.value,
            "modules": ",".join(sorted(account.modules)),
            "status": account.status.value,
            "password": "set" if account.password_hash else "none",
        }
        for account in with_store(settings, read)
    ]
    show(table, as_json)


@account_program.command("import")
def import_accounts(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV with email,name,department,role.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")] = False,
    config: Config = None,
) -> None:
    """Show what a CSV file would create, skip and refuse, row by row; with --apply, do it."""
    from gateway.accounts import rows
    from gateway.accounts.bulk import Create, Skip, Verdict, plan, read_csv
    from gateway.accounts.change import create

    settings = settings_of(config)
    given = read_csv(file.read_bytes())

    async def change(store: Store) -> list[Verdict]:
        async with store.transaction() as tx:
            verdicts = plan(given, [account.identifier for account in await rows.list_all(tx)])
            if apply:
                for wanted in verdicts:
                    if isinstance(wanted, Create):
                        await create(tx, wanted, operator(), int(time.time()))
            return verdicts

    counts = {"create": 0, "skip": 0, "refuse": 0}
    for verdict in with_store(settings, change):
        match verdict:
            case Create():
                word, line = (
                    "create",
                    f"{verdict.identifier} ({verdict.name}, {verdict.role.value}, {verdict.tenant})",
                )
            case Skip():
                word, line = "skip", f"{verdict.identifier}: {verdict.reason}"
            case _:
                word, line = "refuse", f"{verdict.email!r}: {verdict.reason}"
        counts[word] += 1
        typer.echo(f"line {verdict.line}: {word} {line}")
    done = "done" if apply else "nothing was changed; add --apply to do it"
    typer.echo(f"{counts['create']} to create, {counts['skip']} to skip, {counts['refuse']} refused: {done}")


@account_program.command("disable")
def disable_account(email: Email, config: Config = None) -> None:
    """Refuse an account from now on, and end its sessions."""
    from gateway.accounts.record import Status

    change_status(email, Status.DISABLED, config)


@account_program.command("enable")
def enable_account(email: Email, config: Config = None) -> None:
    """Let a disabled account sign in again."""
    from gateway.accounts.record import Status

    change_status(email, Status.ACTIVE, config)


def change_status(email: str, status: Any, config: Path | None) -> None:
    from gateway.accounts.change import set_status

    async def change(store: Store) -> bool:
        account = await find_account(store, email)
        async with store.transaction() as tx:
            return await set_status(tx, account, status, operator(), int(time.time()))

    is_changed = with_store(settings_of(config), change)
    typer.echo(f"{email} is {status.value}" if is_changed else f"{email} was {status.value} already")


@account_program.command("set-role")
def change_role(
    email: Email,
    role: Annotated[str, typer.Argument(help="employee, manager or admin.")],
    config: Config = None,
) -> None:
    """Give an account another role; it holds from its next request on."""
    from gateway.accounts.bulk import read_role
    from gateway.accounts.change import set_role

    wanted = read_role(role)

    async def change(store: Store) -> None:
        account = await find_account(store, email)
        async with store.transaction() as tx:
            await set_role(tx, account, wanted, operator(), int(time.time()))

    with_store(settings_of(config), change)
    typer.echo(f"{email} is {wanted.value}")


@account_program.command("set-password")
def set_account_password(
    email: Email,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    config: Config = None,
) -> None:
    """Set an account's password, and end its sessions."""
    from gateway.accounts.change import set_password

    settings = settings_of(config)
    hashed = hash_password(settings, read_password(password_stdin))

    async def change(store: Store) -> int:
        account = await find_account(store, email)
        async with store.transaction() as tx:
            return await set_password(tx, account, hashed, operator(), int(time.time()))

    typer.echo(f"set; {with_store(settings, change)} sessions ended")


# Sessions and audit.


@session_program.command("list")
def list_sessions(
    email: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List the sessions that nobody has ended."""
    from gateway.sessions import rows

    async def read(store: Store) -> list[rows.SessionRow]:
        account = await find_account(store, email) if email else None
        async with store.reading() as tx:
            return await rows.list_open(tx, account.id if account else None)

    table = [
        {
            "id": row.id,
            "email": row.identifier,
            "address": row.address,
            "signed_in": moment(row.started_at),
            "last_seen": moment(row.seen_at),
            "browser": row.user_agent,
        }
        for row in with_store(settings_of(config), read)
    ]
    show(table, as_json)


@session_program.command("revoke")
def revoke_session(
    session_id: Annotated[str | None, typer.Argument(help="A session's id, from `session list`.")] = None,
    email: Annotated[str | None, typer.Option(help="All sessions of this account.")] = None,
    config: Config = None,
) -> None:
    """End one session, or all of an account; the very next request is refused."""
    from gateway.accounts.change import end_session, end_sessions

    if (session_id is None) == (email is None):
        fail("give a session's id, or --email for all of an account")

    async def change(store: Store) -> int:
        account = await find_account(store, email) if email else None
        async with store.transaction() as tx:
            if account is not None:
                return await end_sessions(tx, account, operator(), int(time.time()))
            return int(await end_session(tx, session_id or "", operator(), int(time.time())))

    ended = with_store(settings_of(config), change)
    if session_id and not ended:
        fail(f"there is no open session {session_id}")
    typer.echo(f"{ended} ended")


@audit_program.command("list")
def list_audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the latest first.")] = 50,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List what happened, the latest first."""
    from gateway.audit import rows
    from gateway.audit.events import Entry

    async def read(store: Store) -> list[Entry]:
        async with store.reading() as tx:
            return await rows.recent(tx, limit, tenant)

    table = [
        {
            "at": moment(entry.at),
            "event": entry.event.value,
            "outcome": entry.outcome.value,
            "email": entry.identifier,
            "address": entry.address,
            "request_id": entry.request_id,
            "details": json.dumps(dict(entry.details)),
        }
        for entry in with_store(settings_of(config), read)
    ]
    show(table, as_json)


# What the commands share.


def find_config(given: Path | None) -> Path:
    if given is not None:
        if not given.is_dir():
            fail(f"there is no folder {given}")
        return given
    found = next((place for place in PLACES if place.is_dir()), None)
    return found or fail("there is no config folder; name one with --config or GATEWAY_CONFIG")


def settings_of(config: Path | None) -> Settings:
    from gateway.settings import BadSettings, load

    try:
        return load(find_config(config), os.environ)
    except BadSettings as error:
        for problem in error.problems[:-1]:
            sys.stderr.write(f"otium-gateway: {problem}\n")
        fail(str(error.problems[-1]))


def with_store(settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    from gateway.store import Store

    async def use() -> Result:
        store = Store.open(settings.store.url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(use())


async def find_account(store: Store, email: str) -> Account:
    from gateway.accounts import rows
    from gateway.accounts.record import normalise_identifier

    async with store.reading() as tx:
        account = await rows.find_by_identifier(tx, normalise_identifier(email))
    return account or fail(f"there is no account {email}")


def hash_password(settings: Settings, password: Any) -> Any:
    from gateway.hashing import Hasher
    from gateway.secret import Secret

    limits = settings.limits
    hasher = Hasher(method=f"{limits.hashing_method}:{limits.hashing_iterations}", threads=1, queue=1)
    try:
        return Secret(hasher.hash_now(password))
    finally:
        hasher.close()


def read_password(from_stdin: bool) -> Any:
    """Read a password from a person, twice, or from a pipe; never from the command line, which others can see."""
    from gateway.secret import Secret

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            fail("the two passwords differ")
    if len(password) < MIN_PASSWORD:
        fail(f"a password has at least {MIN_PASSWORD} characters")
    return Secret(password)


def operator() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


def moment(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def show(table: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(table))
        return
    if not table:
        typer.echo("none")
        return
    cells = [[printable(value) for value in row.values()] for row in table]
    names = list(table[0])
    widths = [max(len(line[at]) for line in [names, *cells]) for at in range(len(names))]
    for line in [names, *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Nothing that was sent to us commands the operator's terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
