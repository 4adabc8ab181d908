"""Commands on the audit log: list, verify, sign, export, and erase a person."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Email,
    ask_first,
    check_tenant,
    fail,
    moment,
    operator,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.audit.marks import Mark
    from gateway.model.account import Account
    from gateway.model.entry import Entry
    from gateway.store import Store

program = typer.Typer(help="View, verify and export the audit log.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """View, verify and export the audit log."""


@program.command("list")
def list_audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Number of entries, newest first.")] = 50,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """List audit log entries, newest first."""
    from gateway.audit import rows

    async def read(store: Store) -> list[Entry]:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
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


@program.command("verify")
def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File or saved email with checkpoints.")
    ] = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> int:
    """Verify the audit log's hash chain. Exits with 1 and names the first bad entry."""
    from gateway.audit.marks import Signer
    from gateway.audit.verify import Broken, Verifier, Whole

    settings = settings_of(config)
    kept = read_kept(checkpoint) if checkpoint else []

    async def check(store: Store) -> Whole | Broken:
        return await Verifier(store, Signer(settings.secrets), kept, progress_on_terminal()).run()

    began = time.monotonic()
    found = with_store(settings, check)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if isinstance(found, Broken):
        if as_json:
            typer.echo(json.dumps({"whole": False, "row": found.number, "what": str(found)}))
            return 1
        fail(f"audit log verification failed: {found}")
    if as_json:
        told = {"whole": True, "rows": found.rows, "last": found.end.number, "hash": found.end.hash.hex()}
        typer.echo(json.dumps(told))
        return 0
    rate = found.rows / max(time.monotonic() - began, 1e-9)
    entries = counted(found.rows, "entry", "entries")
    typer.echo(f"OK: {entries} verified, {found.start + 1} to {found.end.number} ({rate:,.0f} per second)")
    checked, erased = counted(found.checkpoints, "checkpoint"), counted(found.erased, "time")
    typer.echo(f"{checked} checked; personal data erased {erased}")
    return 0


def read_kept(file: Path) -> list[Mark]:
    from gateway.audit.marks import Unreadable, read_lines

    try:
        return read_lines(file.read_text("utf-8")) or fail(f"there is no checkpoint in {file}")
    except (Unreadable, UnicodeDecodeError):
        fail(f"{file} holds a line that is no checkpoint")


def progress_on_terminal() -> Callable[[int, int], None]:
    """Return a function that shows the progress on standard error, if that is a terminal."""
    began = time.monotonic()
    is_shown = sys.stderr.isatty()

    def tell(done: int, of: int) -> None:
        if is_shown and of:
            rate = done / max(time.monotonic() - began, 1e-9)
            sys.stderr.write(f"\r\033[K{done:,} of {of:,} rows ({100 * done // of} %), {rate:,.0f} rows a second")
            sys.stderr.flush()

    return tell


@program.command("checkpoint")
def checkpoint_now(
    key: Annotated[bool, typer.Option("--key", help="Print the public key for verifying signatures.")] = False,
    config: Config = None,
) -> None:
    """Create and print a signed checkpoint now (done hourly anyway)."""
    from gateway.app.services import Services
    from gateway.audit import marks
    from gateway.audit.marks import Kind, Signer

    settings = settings_of(config)
    if key:
        typer.echo(Signer(settings.secrets).public_pem(), nl=False)
        return

    async def sign(store: Store) -> Mark | None:
        await Services(settings, store).keeper.checkpoint(utc(), at_once=True)
        async with store.reading() as tx:
            return await marks.latest(tx, Kind.CHECKPOINT)

    try:
        mark = with_store(settings, sign)
    except OSError as error:
        fail(f"the checkpoint is in the store, but not in {settings.audit.checkpoint_file}: {error.strerror}")
    typer.echo(mark.line() if mark else fail("the audit log is empty"))


@program.command("export")
def export(
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    config: Config = None,
) -> None:
    """Export the audit log to standard output, newest first. The export itself is logged."""
    from gateway.audit.export import Format, as_bytes, note_export
    from gateway.audit.search import Filter
    from gateway.model.entry import ACTOR, Entry, Outcome
    from gateway.model.event import Event

    if form not in [known.value for known in Format]:
        fail("--format must be jsonl or csv")
    wanted, format_ = Filter(tenant=tenant), Format(form)

    async def write(store: Store) -> None:
        async with store.reading() as tx:
            await check_tenant(tx, tenant)
        details = {ACTOR: operator()}
        entry = Entry(
            Event.AUDIT_EXPORTED,
            Outcome.SUCCESS,
            utc(),
            "",
            tenant=tenant,
            request_id="cli",
            details=details,
        )
        await note_export(store, wanted, format_, entry)
        async for piece in as_bytes(store, wanted, format_):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    with_store(settings_of(config), write)


@program.command("erase")
def erase(
    email: Email,
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Erase a person's email, name, IP addresses and devices from the audit log, and what else is recorded of them.

    That is page views, for example. The chain stays verifiable, and the account remains.
    """
    from gateway.accounts import rows as account_rows
    from gateway.app.erasure import erase as erase_person
    from gateway.app.services import Services
    from gateway.audit import search
    from gateway.model.account import normalise_identifier

    settings = settings_of(config)
    identifier = normalise_identifier(email)

    async def find(store: Store) -> Account | None:
        async with store.reading() as tx:
            account = await account_rows.find_by_identifier(tx, identifier)
            if account is None and not (await search.find(tx, search.Filter(person=identifier), None, 1)).rows:
                fail(f"no account {identifier}, and the audit log doesn't mention it")
            return account

    account = with_store(settings, find)
    if not ask_first(
        f"permanently erase all personal data of {identifier} from the audit log, and records such as page views",
        confirm,
    ):
        return

    async def change(store: Store) -> str:
        keeper = Services(settings, store).keeper
        done = await erase_person(store, keeper, identifier, account.id if account else None, operator(), utc())
        about, by = counted(done.log.about, "row"), counted(done.log.by, "row")
        more = (f"; {counted(count, 'row')} of {table}" for table, count in done.rows.items())
        return f"erased: {about} about the person, and the name in {by} about others{''.join(more)}"

    typer.echo(with_store(settings, change))
