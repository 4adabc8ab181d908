"""Imports of accounts from CSV files and the application's database, and their reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.accounts import rows
from gateway.accounts.app_sync import database as app_database
from gateway.accounts.app_sync.plan import Disable, Follow, Keep, Wishes
from gateway.accounts.app_sync.plan import Verdict as AppVerdict
from gateway.accounts.app_sync.service import BATCH, AppImport, changes_of
from gateway.accounts.change import create_all
from gateway.accounts.csv_import.file import Encoding, read_rows, read_text
from gateway.accounts.csv_import.reading import NOT_FREE, Create, Reject, Skip, Verdict, plan
from gateway.cli.common import acting, fail, operator, with_store
from gateway.model.account import Account, Module
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.actions.action import Action
    from gateway.settings import Settings
    from gateway.store import Store, Transaction

MAX_SOURCE = 200


class Word(StrEnum):
    """The result for a row."""

    CREATE = "create"
    UPDATE = "update"
    SAME = "same"
    DISABLE = "disable"
    SKIP = "skip"
    REFUSE = "refuse"


PLANNED: Mapping[Word, str] = {
    Word.CREATE: "would create",
    Word.UPDATE: "would update",
    Word.SAME: "unchanged",
    Word.DISABLE: "would disable",
    Word.SKIP: "would skip",
    Word.REFUSE: "refused",
}
DONE: Mapping[Word, str] = {
    Word.CREATE: "created",
    Word.UPDATE: "updated",
    Word.SAME: "unchanged",
    Word.DISABLE: "disabled",
    Word.SKIP: "skipped",
    Word.REFUSE: "refused",
}


def from_file(settings: Settings, file: Path, apply: bool) -> Iterator[str]:
    read = read_text(file.read_bytes())
    given = list(read_rows(read))

    async def change(store: Store) -> list[Verdict]:
        if not apply:
            async with store.reading() as tx:
                return await plan_all(tx)
        async with acting(settings, store) as action:
            return await carry_out(action, await plan_all(action.tx))

    async def plan_all(tx: Transaction) -> list[Verdict]:
        existing = [account.identifier for account in await rows.list_all(tx)]
        return plan(given, existing, settings.access.owners)

    verdicts = with_store(settings, change)
    words = DONE if apply else PLANNED
    if read.encoding is Encoding.WINDOWS:
        yield "the file isn't UTF-8, and was read as Windows-1252: check the names"
    yield from (f"row {verdict.line}: {describe(verdict, words)}" for verdict in verdicts)
    yield f"{count(verdicts, (Word.CREATE, Word.SKIP, Word.REFUSE), words)}: {ending(apply)}"
    yield from explain_sign_in(settings, verdicts)


async def carry_out(action: Action, planned: list[Verdict]) -> list[Verdict]:
    """Create the accounts; return what was done."""
    wanted = [verdict for verdict in planned if isinstance(verdict, Create)]
    made: set[int] = set()
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        accounts = await create_all(action, some)
        made |= {each.line for each, account in zip(some, accounts, strict=True) if account is not None}
    return [
        Reject(verdict.line, verdict.identifier, NOT_FREE, verdict.identifier)
        if isinstance(verdict, Create) and verdict.line not in made
        else verdict
        for verdict in planned
    ]


def from_application(
    settings: Settings, url: str, query_file: Path, source: str, wishes: Wishes, apply: bool
) -> Iterator[str]:
    source = source or app_database.name_of(url)
    if len(source) > MAX_SOURCE or not source.isprintable():
        fail(f"source names can have at most {MAX_SOURCE} characters; use a shorter --source")
    query = read_query(query_file)

    async def work(store: Store) -> list[AppVerdict]:
        now = utc()  # before reading, so that changes during it count as later
        given = await app_database.read(url, query)
        if wishes.disable_missing and not given:
            fail("the query returned no rows; with --disable-missing this would disable everyone")
        from gateway.app.services import Services

        services, owners = Services(settings, store), settings.access.owners
        job = AppImport(store, services.actions, services.factors, source=source, owners=owners, by=operator(), now=now)
        return await (job.apply(given, wishes) if apply else job.show(given, wishes))

    verdicts = with_store(settings, work)
    words = DONE if apply else PLANNED
    for verdict in verdicts:
        where = "gone" if isinstance(verdict, Disable | Keep) else f"row {verdict.line}"
        yield f"{where}: {describe(verdict, words)}"
    yield f"{count(verdicts, tuple(Word), words)}: {ending(apply)}"
    yield from explain_sign_in(settings, verdicts)


def explain_sign_in(settings: Settings, verdicts: Sequence[Verdict | AppVerdict]) -> Iterator[str]:
    """Yield how people without a password can sign in, since an import sends no mails."""
    without = sum(isinstance(verdict, Create) and verdict.password_hash is None for verdict in verdicts)
    if without:
        from gateway.app.services import Services

        address = Services(settings).url.address
        yield (
            f"{without} {'accounts have' if without > 1 else 'account has'} no password yet, and no emails were sent. "
            f"A password can be set at "
            f"{address('forgot')}, or an admin can invite them at {address('accounts')}"
        )


def read_query(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}")


def ending(apply: bool) -> str:
    return "done" if apply else "nothing changed; add --apply to import"


def count(verdicts: Sequence[Verdict | AppVerdict], kinds: Sequence[Word], words: Mapping[Word, str]) -> str:
    """Return the number of each kind, in words."""
    counts = Counter(word_of(verdict) for verdict in verdicts)
    return ", ".join(f"{words[kind]} {counts[kind]}" for kind in kinds)


def describe(verdict: Verdict | AppVerdict, words: Mapping[Word, str]) -> str:
    """Return result, email and remarks of a verdict."""
    return f"{words[word_of(verdict)]} {about(verdict)}"


def word_of(verdict: Verdict | AppVerdict) -> Word:
    match verdict:
        case Create():
            return Word.CREATE
        case Follow():
            return Word.UPDATE if any(changes_between(verdict.account, verdict.after)) else Word.SAME
        case Skip() | Keep():
            return Word.SKIP
        case Reject():
            return Word.REFUSE
        case Disable():
            return Word.DISABLE


def about(verdict: Verdict | AppVerdict) -> str:
    match verdict:
        case Create():
            return about_new(verdict)
        case Follow():
            said = "; ".join((*changes_between(verdict.account, verdict.after), *verdict.remarks))
            return f"{verdict.identifier}: {said}" if said else verdict.identifier
        case Skip():
            return f"{verdict.identifier}: {verdict.reason}"
        case Reject():
            return f"{verdict.email!r}: {verdict.reason}"
        case Disable(account):
            return account.identifier
        case Keep(account, reason):
            return f"{account.identifier}: {reason}"


def about_new(wanted: Create) -> str:
    modules = ", ".join(sorted(wanted.modules)) or "no modules"
    said = f"{wanted.identifier} ({wanted.name}, {wanted.role.value}, {wanted.tenant}, {modules})"
    if wanted.unknown_department:
        known = ", ".join(Module)
        said += f"; warning: no department {wanted.unknown_department!r}, departments that give access are {known}"
    return said


def changes_between(before: Account, after: Account) -> Iterator[str]:
    for key, said in changes_of(before, after).items():
        yield f"{key}: {said}"
    if after.role is not before.role:
        yield f"role: {before.role.value} -> {after.role.value}"
    if after.password_hash != before.password_hash:
        yield "the password of the application"
    if after.status is not before.status:
        yield "enabled again"
