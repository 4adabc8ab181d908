"""Commands on mail: status of the outbox, test mail, retry, preview."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import AsJSON, Config, Confirm, ask_first, fail, printable, settings_of, with_store
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.mail.outbox import Status
    from gateway.store import Store

NO_SERVER = "there is no mail server, so nothing is mailed; name one in mail.host"
program = typer.Typer(help="Check and test email delivery.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Check and test email delivery."""


@program.command("status")
def show_status(config: Config = None, as_json: AsJSON = False) -> None:
    """Show how many emails are queued, sent and failed."""
    from gateway.mail import outbox

    async def read(store: Store) -> Status:
        async with store.reading() as tx:
            return await outbox.status(tx, utc())

    settings = settings_of(config)
    found = asdict(with_store(settings, read))
    if as_json:
        typer.echo(json.dumps(found))
        return
    oldest = found.pop("oldest_seconds")
    since = "" if oldest is None else f", the oldest for {oldest} s"
    if not settings.mail.is_on:
        typer.echo(NO_SERVER)
    typer.echo(f"{found['waiting']} queued{since}; {found['sent']} sent; {found['abandoned']} failed")


@program.command("test")
def send_test(
    address: Annotated[str, typer.Argument(help="Recipient.")],
    config: Config = None,
) -> None:
    """Send a test email immediately and show the server's response."""
    from gateway.app.services import Services
    from gateway.mail.compose import content_of
    from gateway.model.account import normalise_identifier
    from gateway.model.token import new_id
    from gateway.settings import load

    settings = settings_of(config, load)
    if not settings.mail.is_on:
        fail(NO_SERVER)
    services = Services(settings)
    composer = services.composer
    recipient = normalise_identifier(address)
    message = composer.compose(
        "test",
        recipient,
        services.readers.default,
        message_id=composer.message_id(new_id("test")),
        now=utc(),
    )
    answer = asyncio.run(services.mailer.send(content_of(message, recipient)))
    typer.echo(f"{settings.mail.host}:{settings.mail.port} accepted the email: {printable(answer)}")


@program.command("retry")
def retry(confirm: Confirm = False, config: Config = None) -> None:
    """Queue failed emails again."""
    from gateway.mail import outbox

    settings = settings_of(config)

    async def read(store: Store) -> Status:
        async with store.reading() as tx:
            return await outbox.status(tx, utc())

    async def change(store: Store) -> int:
        async with store.transaction() as tx:
            return await outbox.retry(tx, utc())

    failed = counted(with_store(settings, read).abandoned, "failed email")
    if ask_first(f"queue {failed} again, also those of people whose links have expired", confirm):
        typer.echo(f"emails queued again: {with_store(settings, change)}")


@program.command("preview")
def preview(
    name: Annotated[str, typer.Argument(help="Email name, e.g. sign_in_link.")],
    as_html: Annotated[bool, typer.Option("--html", help="The HTML part.")] = False,
    language: Annotated[str, typer.Option(help="Its language, e.g. de; by default that of the settings.")] = "",
    config: Config = None,
) -> None:
    """Preview an email with sample data."""
    from gateway.app.nouns import MAILS
    from gateway.app.services import Services
    from gateway.languages.catalogue import OFFERED, Language
    from gateway.languages.pseudo import PSEUDO

    if name not in MAILS:
        fail(f"no email called {name!r}; available: {', '.join(MAILS)}")
    if language and language not in (*OFFERED, *PSEUDO):
        fail(f"no language called {language!r}; available: {', '.join(OFFERED)}")
    services = Services(settings_of(config))
    composer, reader = services.composer, services.readers.default
    message = composer.compose(
        name,
        "erin@example.com",
        replace(reader, language=Language.of(language)) if language else reader,
        message_id=composer.message_id("preview"),
        now=utc(),
        **MAILS[name],
    )
    part = message.get_body(("html" if as_html else "plain",))
    content = part.get_content() if part else ""
    typer.echo(content if as_html else f"Subject: {message['Subject']}\n\n{content}", nl=False)
