"""CSV import of people: upload, preview, then invitations in the background once an administrator starts it.

Files are parsed in a thread, one at a time, with a pause every few milliseconds, because of the GIL: the event loop
must not wait for the thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.accounts import directory
from gateway.accounts import rows as account_rows
from gateway.accounts.csv_import import rows as imports
from gateway.accounts.csv_import.file import Encoding, Row, UnreadableFile, read_rows, read_text
from gateway.accounts.csv_import.reading import Create, Reject, find_duplicates, judge
from gateway.accounts.csv_import.record import (
    ELSEWHERE,
    HAS_ACCOUNT,
    Asked,
    Import,
    ImportRow,
    Listing,
    Preview,
    RowState,
    write_cells,
)
from gateway.accounts.invitations import Invitations, Invited, TooManyMails
from gateway.accounts.people import Administrator
from gateway.actions.action import Action, Actions, Actor
from gateway.model.account import Role
from gateway.model.sentence import Sentence
from gateway.observe.logs import get_logger
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest
from gateway.store.retry import retried

log = get_logger("imports")

MAX_ROWS = 5_000
ROWS_AT_ONCE = 25  # in a transaction, so that other writers don't wait long
LEASE_SECONDS = 60
MAX_EMAIL = 320  # characters of the text in the file, for the report
MAX_DEPARTMENT = 60  # characters
WORK_SECONDS = 0.002
PAUSE_SECONDS = 0.000_5

NOT_ANY_MORE = Sentence("The person who started this import is no longer allowed to invite people.")
NOT_INVITABLE = Sentence("This email address can’t be invited.")  # doesn't disclose other tenants' accounts
SUSPENDED = Sentence("This company is suspended.")
OTHER_COMPANY = Sentence("This row belongs to a different company.")
OWNER = Sentence("This is a platform owner. Owners are not imported.")
DUPLICATE = Sentence("Duplicate of another row.")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Quota:
    """A tenant's uploads within 24 hours."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A file that was read: its rows, and how it was written."""

    rows: Sequence[ImportRow]
    separator: str
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Kept:
    """The id of an import, and the encoding that its file was taken for."""

    id: str
    encoding: Encoding


class OverQuota(Exception):
    """The tenant's quota is used up; `seconds` until there is room again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("the quota of uploads is used up")
        self.seconds = seconds


class Importer:
    """`owners` are normalised identifiers, which are never invited. `started` is set when there is an import to run."""

    def __init__(
        self, store: Store, actions: Actions, invitations: Invitations, owners: frozenset[str], quota: Quota
    ) -> None:
        self._store = store
        self._actions = actions
        self._invitations = invitations
        self._owners = owners
        self._quota = quota
        self._turn = asyncio.Lock()
        self.started = asyncio.Event()

    def adopt(self, owners: frozenset[str]) -> None:
        """Replace the list of owners, after a reload of the settings."""
        self._owners = owners

    async def keep(self, admin: Administrator, content: bytes) -> Kept:
        """Parse and store a CSV file. No invitations are sent yet.

        Raises OverQuota (before parsing) and UnreadableFile.
        """
        async with self._store.reading() as tx:
            await self._check_quota(tx, admin.tenant, len(content), admin.now)
        async with self._turn:
            file = await asyncio.to_thread(judge_file, content, admin.tenant, self._owners)
        async with self._store.transaction() as tx:
            await self._check_quota(tx, admin.tenant, len(content), admin.now)
            import_id = await imports.add(tx, admin.tenant, len(content), file.rows, admin.now, file.separator)
        return Kept(import_id, file.encoding)

    async def find(self, admin: Administrator, import_id: str) -> tuple[Import, Preview | Listing] | None:
        """Return an import with its preview, or, once it is started, with the rows that were skipped or refused."""
        async with self._store.reading() as tx:
            work = await imports.find(tx, import_id, admin.tenant)
            if work is None:
                return None
            if work.started_at is None:
                domain = admin.session.identifier.rpartition("@")[2]
                return work, await imports.preview(tx, work, domain)
            return work, await imports.find_left_out(tx, work)

    async def list_mistakes(
        self, admin: Administrator, import_id: str
    ) -> tuple[Import, AsyncIterator[list[ImportRow]]] | None:
        """Return an import, and in batches its rows that can't be imported; None if there is no such import."""
        async with self._store.reading() as tx:
            work = await imports.find(tx, import_id, admin.tenant)
        return None if work is None else (work, self._read_mistakes(work))

    async def _read_mistakes(self, work: Import) -> AsyncIterator[list[ImportRow]]:
        line = 0
        while True:
            async with self._store.reading() as tx:
                rows = await imports.list_refused(tx, work, line)
            if not rows:
                return
            yield rows
            line = rows[-1].line

    async def start(self, admin: Administrator, import_id: str) -> bool:
        """Queue an import, on behalf of `admin`. Returns whether it exists and is started."""
        asked = Asked(admin.session.account, admin.actor)
        async with self._store.transaction() as tx:
            work = await imports.find(tx, import_id, admin.tenant)
            if work is None:
                return False
            tx.do_afterwards(self.started.set)
            return await imports.start(tx, work.id, asked, admin.now) or work.started_at is not None

    async def run_due(self, now: Callable[[], int]) -> None:
        """Complete all queued imports. Raises StoreUnavailable."""
        while await self.run_once(now):
            pass

    async def run_once(self, now: Callable[[], int]) -> bool:
        """Complete one queued import, if no other worker does. Returns whether it did. Raises StoreUnavailable."""
        async with self._store.reading() as tx:
            if not await imports.is_any_due(tx, now()):
                return False
        async with self._store.transaction() as tx:
            work = await imports.claim(tx, now(), LEASE_SECONDS)
        while work is not None and work.finished_at is None:
            work = await then_rest(self.go_on(work, now()))
        if work is not None:
            log.info("import_finished", id=work.id, rows=work.total, invited=work.invited)
        return work is not None

    @retried
    async def go_on(self, work: Import, now: int) -> Import | None:
        """Invite the next few people. Returns None if the lease expired and another worker took over.

        If the administrator who started the import may no longer invite, the remaining rows are refused.
        """
        actor = work.asked.actor if work.asked else Actor()
        async with self._actions.begin(actor, now) as action:
            tx = action.tx
            if not await imports.hold(tx, work, now, LEASE_SECONDS):
                return None
            if work.asked is None or not await self._may_invite(tx, work, work.asked):
                return await imports.stop(tx, work, NOT_ANY_MORE, now)
            waiting = await imports.list_waiting(tx, work, ROWS_AT_ONCE)
            taken = await directory.find_taken(tx, [row.identifier for row in waiting])
            return await imports.advance(tx, work, await self._carry_out(action, work, waiting, taken), now)

    async def _check_quota(self, tx: Transaction, tenant: str | None, size: int, now: int) -> None:
        usage = await imports.measure(tx, tenant, now)
        if usage.files >= self._quota.files or usage.bytes + size > self._quota.bytes:
            raise OverQuota(usage.until - now)

    async def _may_invite(self, tx: Transaction, work: Import, asked: Asked) -> bool:
        """Whether the administrator who started it is still an admin of its tenant, or an owner if it has none."""
        account = await account_rows.find(tx, asked.account)
        if account is None or not await account_rows.is_welcome(tx, account):
            return False
        if work.tenant is None:
            return account.identifier in self._owners
        return account.role is Role.ADMIN and account.tenant == work.tenant

    async def _carry_out(
        self, action: Action, work: Import, rows: Sequence[ImportRow], taken: Mapping[str, str]
    ) -> list[ImportRow]:
        """Invite the people of some rows. `taken` maps the emails of existing accounts to their tenants."""
        suspended = await self._list_suspended(action.tx, rows) if work.tenant is None else set()
        judged = [self._judge(work, row, taken.get(row.identifier), suspended) for row in rows]
        wanted = [row.wanted() for row in judged if row.state is RowState.WAITING]
        results = iter(await self._invitations.invite_all(action, wanted, {"import": work.id}) if wanted else ())
        return [tell(row, next(results)) if row.state is RowState.WAITING else row for row in judged]

    async def _list_suspended(self, tx: Transaction, rows: Sequence[ImportRow]) -> set[str]:
        named = sorted({row.tenant for row in rows})
        return {tenant for tenant in named if await account_rows.is_tenant_suspended(tx, tenant)}

    def _judge(self, work: Import, row: ImportRow, whose: str | None, suspended: Set[str]) -> ImportRow:
        """Refuse or skip a row, or leave it waiting. `whose` is the tenant of an account with its email, or None."""
        is_owners = work.tenant is None
        if row.identifier in self._owners:
            return replace(row, state=RowState.REFUSED, reason=OWNER if is_owners else NOT_INVITABLE)
        if whose not in (None, row.tenant):
            return replace(row, state=RowState.REFUSED, reason=ELSEWHERE if is_owners else NOT_INVITABLE)
        if row.tenant in suspended:
            return replace(row, state=RowState.REFUSED, reason=SUSPENDED)
        return row if whose is None else replace(row, state=RowState.SKIPPED, reason=HAS_ACCOUNT)


def tell(row: ImportRow, result: Invited) -> ImportRow:
    """Return a row with what became of its invitation."""
    match result:
        case Invited.YES:
            return replace(row, state=RowState.INVITED)
        case Invited.NOT:  # taken since the query, or of another company's domain
            return replace(row, state=RowState.REFUSED, reason=NOT_INVITABLE)
        case Invited.TOO_MANY_MAILS:
            return replace(row, state=RowState.REFUSED, reason=TooManyMails.sentence)


def judge_file(content: bytes, tenant: str | None, owners: frozenset[str]) -> JudgedFile:
    """Parse and validate a file without the store. Sleeps often: run it in a thread. Raises UnreadableFile.

    With a `tenant`, platform owners are not marked: its admin must not learn who they are.
    """
    file = read_text(content)
    given = dict(paced(read_rows(file, MAX_ROWS)))
    if not given:
        raise UnreadableFile(Sentence("the file has a header but no rows"))
    judged = [judge_row(row, tenant) for row in paced(given.items())]
    duplicates = find_duplicates(judged)
    known = owners if tenant is None else frozenset()
    rows = [
        replace(import_row(verdict, duplicates.get(verdict.line), known), cells=write_cells(given[verdict.line]))
        for verdict in paced(judged)
    ]
    return JudgedFile(rows, file.separator, file.encoding)


def paced(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, with a short sleep every few milliseconds that releases the GIL."""
    until = time.perf_counter() + WORK_SECONDS
    for item in items:
        yield item
        if time.perf_counter() > until:
            time.sleep(PAUSE_SECONDS)
            until = time.perf_counter() + WORK_SECONDS


def judge_row(row: Row, tenant: str | None) -> Create | Reject:
    """Validate a row. With `tenant`, rows of other tenants are rejected."""
    line, cells = row
    if tenant is not None:
        if cells.get("tenant", "") not in ("", tenant):
            return Reject(line, cells.get("email", ""), OTHER_COMPANY, column="tenant")
        cells = {**cells, "tenant": tenant}
    return judge(line, {**cells, "password_hash": ""})


def import_row(verdict: Create | Reject, other_line: int | None, owners: frozenset[str]) -> ImportRow:
    if isinstance(verdict, Reject):
        email = verdict.email[:MAX_EMAIL].replace("\0", "\ufffd")  # PostgreSQL rejects NUL
        return ImportRow(verdict.line, RowState.REFUSED, email, "", reason=verdict.reason, wrong=verdict.column)
    row = ImportRow(
        line=verdict.line,
        state=RowState.WAITING,
        email=verdict.identifier,
        identifier=verdict.identifier,
        name=verdict.name,
        tenant=verdict.tenant,
        role=verdict.role.value,
        modules=",".join(sorted(verdict.modules)),
        department=(verdict.unknown_department or verdict.respelled)[:MAX_DEPARTMENT].replace("\0", "\ufffd"),
    )
    if other_line is not None:
        return replace(row, state=RowState.REFUSED, reason=DUPLICATE, other_line=other_line)
    return replace(row, state=RowState.REFUSED, reason=OWNER) if row.identifier in owners else row
