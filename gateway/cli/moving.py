"""The command that copies a store from one database to another."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import AsJSON, Config, fail, settings_of, show
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.app.moving import Copied, Tell
    from gateway.store.location import Location


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the store in use until now, as in store.url.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of an empty database, or of a new file.")],
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Copy the store to another database (SQLite or PostgreSQL), while no gateway runs."""
    from gateway.app.moving import Uncopyable
    from gateway.app.moving import copy as copy_store
    from gateway.store import StoreUnavailable
    from gateway.store.copying import InUse

    settings = settings_of(config)
    places = locate_one(source), locate_one(target)
    try:
        copied = copy_store(*places, settings.secrets, utc(), tell_on_terminal())
    except (Uncopyable, InUse, StoreUnavailable) as error:
        fail(f"the store can't be copied: {error}")
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
    if as_json:
        typer.echo(json.dumps({"from": places[0].place, "to": places[1].place, **as_fields(copied)}))
        return
    show([{"table": name, "rows": f"{count:,}"} for name, count in sorted(copied.rows.items())], False)
    typer.echo(f"copied {counted(sum(copied.rows.values()), 'row')} from {places[0].place} to {places[1].place}")
    for line in describe(copied):
        typer.echo(line)
    typer.echo("now set store.url and start the gateway; never start one on the former store again")


def locate_one(url: str) -> Location:
    from gateway.store.location import locate

    try:
        return locate(url)
    except ValueError as error:
        fail(str(error))


def as_fields(copied: Copied) -> dict[str, object]:
    from gateway.audit.verify import Broken

    found = copied.audit
    if isinstance(found, Broken):
        audit: dict[str, object] = {"whole": False, "row": found.number, "what": str(found)}
    else:
        audit = {"whole": True, "rows": found.rows, "last": found.end.number}
    former = None if copied.former is None else str(copied.former)
    return {"rows": dict(copied.rows), "audit": audit, "has_secrets": copied.has_secrets, "former": former}


def describe(copied: Copied) -> Iterator[str]:
    from gateway.audit.verify import Broken

    if isinstance(copied.audit, Broken):
        yield f"audit log: {copied.audit}, here as in the former store"
    else:
        yield f"audit log: {counted(copied.audit.rows, 'entry', 'entries')} verified"
    if not copied.has_secrets:
        yield "secrets: some of what is stored was encrypted with a secret that is not configured here"
    if copied.former is not None:
        yield f"the empty store that was there before is {copied.former}"


def tell_on_terminal() -> Tell:
    """Return a function that shows the progress on standard error, if that is a terminal."""
    is_shown = sys.stderr.isatty()

    def tell(what: str, done: int, of: int) -> None:
        if is_shown:
            sys.stderr.write(f"\r\033[K{what}: {done:,} of {of:,} rows")
            sys.stderr.flush()

    return tell
