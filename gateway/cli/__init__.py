"""The command line. Exits with 0, or with another code and one line on standard error.

Commands import their dependencies when they run, so that `--help` is quick and the supervisor of `serve` stays small.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

import typer

from gateway.cli import (
    accounts,
    audit,
    backups,
    blocks,
    branding,
    keys,
    mail,
    networks,
    page_views,
    proxies,
    running,
    sessions,
    sso,
    store,
    tenants,
    tokens,
)
from gateway.cli.common import Failed

EXPECTED = (
    "BadSettings",
    "StoreUnavailable",
    "UnreadableFile",
    "UnreadableSource",
    "NoBreachList",
    "Unacceptable",
    "CannotServe",
    "Unopenable",
    "MailUnsent",
)  # loaded late

program = typer.Typer(
    name="otium-gateway",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
running.add_to(program)
program.add_typer(accounts.program, name="account")
program.add_typer(tenants.program, name="tenant")
program.add_typer(sso.program, name="sso")
program.add_typer(sessions.program, name="session")
program.add_typer(tokens.program, name="token")
program.add_typer(audit.program, name="audit")
program.add_typer(page_views.program, name="page-views")
program.add_typer(blocks.program, name="block")
program.add_typer(networks.program, name="networks")
program.add_typer(keys.program, name="keys")
program.add_typer(mail.program, name="mail")
program.add_typer(branding.program, name="branding")
program.add_typer(store.program, name="store")
program.add_typer(proxies.program, name="config")
program.command()(backups.backup)
program.command()(backups.restore)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    try:
        code = command_line().main(list(arguments), prog_name="otium-gateway", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return complain("stopped; nothing was changed")
    except Exception as error:
        message = message_for_operators(error)
        if message is None:
            raise
        return complain(message)


@functools.cache
def command_line() -> typer.core.TyperGroup:
    """Return all commands as they are parsed. Made once by a process: it takes longer than most commands."""
    return typer.main.get_group(program)


def message_for_operators(error: Exception) -> str | None:
    """Return the message of an expected failure, None for others. Typer's usage errors have `format_message`."""
    if hasattr(error, "format_message"):
        return str(error.format_message())
    if isinstance(error, PermissionError) and error.filename is not None:
        return f"this user can't open {error.filename}; run this as the user who owns it"
    names = {kind.__name__ for kind in type(error).__mro__}
    return str(error) if isinstance(error, Failed) or not names.isdisjoint(EXPECTED) else None


def complain(sentence: str) -> int:
    sys.stderr.write(f"otium-gateway: {' '.join(sentence.split())}\n")
    return 1
