"""Accounts from elsewhere: what each row would become, or became."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.accounts import app_database, rows
from gateway.accounts.app_import import AppImport, changes_of
from gateway.accounts.app_users import Disable, Follow, Keep, Wishes
from gateway.accounts.app_users import Verdict as AppVerdict
from gateway.accounts.bulk import Create, Reject, Skip, Verdict, plan, read_csv
from gateway.accounts.change import create
from gateway.accounts.record import Account
from gateway.cli.common import fail, operator, with_store
from gateway.routes import paths_of

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.store import Store

MAX_SOURCE = 200


def from_file(settings: Settings, file: Path, apply: bool) -> Iterator[str]:
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
    verdicts = with_store(settings, change)
    for verdict in verdicts:
        word, about = describe(verdict)
        counts[word] += 1
        yield f"line {verdict.line}: {word} {about}"
    yield f"{counts['create']} to create, {counts['skip']} to skip, {counts['refuse']} refused: {ending(apply)}"
    yield from say_how_they_enter(settings, verdicts)


def from_application(
    settings: Settings, url: str, query_file: Path, source: str, wishes: Wishes, apply: bool
) -> Iterator[str]:
    source = source or app_database.name_of(url)
    if len(source) > MAX_SOURCE or not source.isprintable():
        fail(f"the name of a source has at most {MAX_SOURCE} characters; give a short one with --source")
    query = read_query(query_file)

    async def work(store: Store) -> list[AppVerdict]:
        now = int(time.time())  # before reading: what is changed meanwhile was changed after it
        given = await app_database.read(url, query)
        if wishes.disable_missing and not given:
            fail("the query returned no rows; with --disable-missing that would disable everybody")
        job = AppImport(store, source=source, owners=settings.access.owners, by=operator(), now=now)
        return await (job.apply(given, wishes) if apply else job.show(given, wishes))

    counts = {"create": 0, "update": 0, "same": 0, "disable": 0, "skip": 0, "refuse": 0}
    verdicts = with_store(settings, work)
    for verdict in verdicts:
        word, about = describe(verdict)
        counts[word] += 1
        where = "gone" if isinstance(verdict, Disable | Keep) else f"row {verdict.line}"
        yield f"{where}: {word} {about}"
    yield (
        f"{counts['create']} to create, {counts['update']} to update, {counts['same']} the same, "
        f"{counts['disable']} to disable, {counts['skip']} to skip, {counts['refuse']} refused: {ending(apply)}"
    )
    yield from say_how_they_enter(settings, verdicts)


def say_how_they_enter(settings: Settings, verdicts: Sequence[Verdict | AppVerdict]) -> Iterator[str]:
    """Say what is left to do for whom has no password: an import mails nobody."""
    count = sum(isinstance(verdict, Create) and verdict.password_hash is None for verdict in verdicts)
    if count:
        origin, paths = settings.public_url.rstrip("/"), paths_of(settings)
        yield (
            f"{count} without a password, and nobody is mailed: they choose one at {origin}{paths['forgot']}, "
            f"or an admin invites them at {origin}{paths['accounts']}"
        )


def read_query(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}")


def ending(apply: bool) -> str:
    return "done" if apply else "nothing was changed; add --apply to do it"


def describe(verdict: Verdict | AppVerdict) -> tuple[str, str]:
    """Return what is done in a word, to whom, and why or how."""
    match verdict:
        case Create():
            return "create", f"{verdict.identifier} ({verdict.name}, {verdict.role.value}, {verdict.tenant})"
        case Follow():
            changes = list(changes_between(verdict.account, verdict.after))
            said = "; ".join((*changes, *verdict.remarks))
            return "update" if changes else "same", f"{verdict.identifier}: {said}" if said else verdict.identifier
        case Skip():
            return "skip", f"{verdict.identifier}: {verdict.reason}"
        case Reject():
            return "refuse", f"{verdict.email!r}: {verdict.reason}"
        case Disable(account):
            return "disable", account.identifier
        case Keep(account, reason):
            return "skip", f"{account.identifier}: {reason}"


def changes_between(before: Account, after: Account) -> Iterator[str]:
    for key, said in changes_of(before, after).items():
        yield f"{key}: {said}"
    if after.role is not before.role:
        yield f"role: {before.role.value} -> {after.role.value}"
    if after.password_hash != before.password_hash:
        yield "the password of the application"
    if after.status is not before.status:
        yield "enabled again"
