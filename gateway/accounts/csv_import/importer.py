"""Takes files of people, shows what would become of each row, and invites them when told to.

A file is read and judged in a thread, one file at a time, with a pause after every few milliseconds: Python runs one
thread at a time, and the event loop must not wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.accounts import directory
from gateway.accounts import rows as account_rows
from gateway.accounts.csv_import import rows as imports
from gateway.accounts.csv_import.reading import Create, Reject, Row, UnreadableFile, find_duplicates, judge, read_csv
from gateway.accounts.csv_import.record import (
    ELSEWHERE,
    HAS_ACCOUNT,
    Asked,
    Import,
    ImportRow,
    Listing,
    Preview,
    RowState,
)
from gateway.accounts.invitations import Invitations, TooManyMails
from gateway.accounts.people import Administrator
from gateway.actions.action import Action, Actions, Actor
from gateway.model.account import Role
from gateway.model.sentence import Sentence
from gateway.observe.logs import get_logger
from gateway.store import Store, Transaction

log = get_logger("imports")

MAX_ROWS = 5_000
ROWS_AT_ONCE = 10  # so that nobody waits long for the writer of the store
LEASE_SECONDS = 60
MAX_EMAIL = 320  # characters of what stands in a file, kept for the report
MAX_DEPARTMENT = 60  # characters
WORK_SECONDS = 0.002
PAUSE_SECONDS = 0.000_5

NOT_ANY_MORE = Sentence("The person who started this import is no longer allowed to invite people.")
NOT_INVITABLE = Sentence("This email address can’t be invited.")  # one answer for all reasons outside one's own company
SUSPENDED = Sentence("This company is suspended.")
OTHER_COMPANY = Sentence("This row belongs to a different company.")
OWNER = Sentence("This is a platform owner. Owners are not imported.")
DUPLICATE = Sentence("Duplicate of another line.")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may upload within a day."""

    files: int
    bytes: int


class OverQuota(Exception):
    """The tenant has uploaded its share; `seconds` until there is room again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("the quota of uploads is used up")
        self.seconds = seconds


class Importer:
    """`owners` are normalised identifiers, whom nobody invites."""

    def __init__(
        self, store: Store, actions: Actions, invitations: Invitations, owners: frozenset[str], quota: Quota
    ) -> None:
        self._store = store
        self._actions = actions
        self._invitations = invitations
        self._owners = owners
        self._quota = quota
        self._turn = asyncio.Lock()

    def adopt(self, owners: frozenset[str]) -> None:
        """Go by this list of owners from now on."""
        self._owners = owners

    async def keep(self, admin: Administrator, content: bytes) -> str:
        """Read a CSV file and keep what it says; return its id. Nobody is invited yet.

        Raises UnreadableFile, and OverQuota before anything is read.
        """
        async with self._store.reading() as tx:
            await self._check_quota(tx, admin.tenant, len(content), admin.now)
        async with self._turn:
            rows = await asyncio.to_thread(judge_file, content, admin.tenant, self._owners)
        async with self._store.transaction(announce=False) as tx:
            await self._check_quota(tx, admin.tenant, len(content), admin.now)
            return await imports.add(tx, admin.tenant, len(content), rows, admin.now)

    async def find(self, admin: Administrator, import_id: str) -> tuple[Import, Preview | Listing] | None:
        """Return an import, and what would become of it; or, once it is started, what was left out."""
        async with self._store.reading() as tx:
            work = await imports.find(tx, import_id, admin.tenant)
            if work is None:
                return None
            if work.started_at is None:
                return work, await imports.preview(tx, work)
            return work, await imports.find_left_out(tx, work)

    async def start(self, admin: Administrator, import_id: str) -> bool:
        """Let it be worked on, in the name of who says so. Returns whether there is such an import."""
        asked = Asked(admin.session.account, admin.actor)
        async with self._store.transaction(announce=False) as tx:
            work = await imports.find(tx, import_id, admin.tenant)
            if work is None:
                return False
            return await imports.start(tx, work.id, asked, admin.now) or work.started_at is not None

    async def run_once(self, now: Callable[[], int]) -> None:
        """Work through one import that waits, if there is any; called about once a second by every worker."""
        async with self._store.reading() as tx:
            if not await imports.is_any_due(tx, now()):
                return
        async with self._store.transaction(announce=False) as tx:
            work = await imports.claim(tx, now(), LEASE_SECONDS)
        while work is not None and work.finished_at is None:
            work = await self.go_on(work, now())
        if work is not None:
            log.info("import_finished", id=work.id, rows=work.total, invited=work.invited)

    async def go_on(self, work: Import, now: int) -> Import | None:
        """Invite the next few; None if somebody else took over, after a pause longer than the lease.

        Whoever started it must still be allowed to invite. If not, what is left is refused, and it ends.
        """
        actor = work.asked.actor if work.asked else Actor()
        async with self._actions.begin(actor, now, announce=False) as action:
            tx = action.tx
            if not await imports.hold(tx, work, now, LEASE_SECONDS):
                return None
            if work.asked is None or not await self._may_invite(tx, work, work.asked):
                return await imports.stop(tx, work, NOT_ANY_MORE, now)
            waiting = await imports.list_waiting(tx, work, ROWS_AT_ONCE)
            taken = await directory.find_taken(tx, [row.identifier for row in waiting])
            told = [await self._carry_out(action, work, row, taken.get(row.identifier)) for row in waiting]
            return await imports.advance(tx, work, told, now)

    async def _check_quota(self, tx: Transaction, tenant: str | None, size: int, now: int) -> None:
        usage = await imports.measure(tx, tenant, now)
        if usage.files >= self._quota.files or usage.bytes + size > self._quota.bytes:
            raise OverQuota(usage.until - now)

    async def _may_invite(self, tx: Transaction, work: Import, asked: Asked) -> bool:
        """Whether who started it is still an admin of that tenant, or the owner for one across tenants."""
        account = await account_rows.find(tx, asked.account)
        if account is None or not await account_rows.is_welcome(tx, account):
            return False
        if work.tenant is None:
            return account.identifier in self._owners
        return account.role is Role.ADMIN and account.tenant == work.tenant

    async def _carry_out(self, action: Action, work: Import, row: ImportRow, whose: str | None) -> ImportRow:
        """Invite the person of a row. `whose` is the tenant of the account that has the email already, if any."""
        reason = await self._find_obstacle(action.tx, work, row, whose)
        if reason:
            return replace(row, state=RowState.REFUSED, reason=reason)
        if whose is not None:
            return replace(row, state=RowState.SKIPPED, reason=HAS_ACCOUNT)
        try:
            is_invited = await self._invitations.invite(action, row.wanted(), {"import": work.id})
        except TooManyMails as error:
            return replace(row, state=RowState.REFUSED, reason=error.sentence)
        if not is_invited:  # taken at this very moment
            return replace(row, state=RowState.REFUSED, reason=NOT_INVITABLE)
        return replace(row, state=RowState.INVITED)

    async def _find_obstacle(self, tx: Transaction, work: Import, row: ImportRow, whose: str | None) -> Sentence | None:
        """Return why somebody can't be invited, or None if nothing stands against it."""
        is_owners = work.tenant is None
        if row.identifier in self._owners:
            return OWNER if is_owners else NOT_INVITABLE
        if whose not in (None, row.tenant):
            return ELSEWHERE if is_owners else NOT_INVITABLE
        if is_owners and await account_rows.is_tenant_suspended(tx, row.tenant):
            return SUSPENDED
        return None


def judge_file(content: bytes, tenant: str | None, owners: frozenset[str]) -> list[ImportRow]:
    """Return what each row asks for, judged by the file alone. For a thread: it pauses. Raises UnreadableFile.

    An admin, of `tenant`, is not told here that somebody is a platform owner.
    """
    judged = [judge_row(row, tenant) for row in paced(list(paced(read_csv(content, MAX_ROWS))))]
    if not judged:
        raise UnreadableFile(Sentence("the file has a header but no rows"))
    duplicates = find_duplicates(judged)
    known = owners if tenant is None else frozenset()
    return [import_row(verdict, duplicates.get(verdict.line), known) for verdict in paced(judged)]


def paced(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, and sleep for a moment after every few milliseconds, so that another thread gets its turn."""
    until = time.perf_counter() + WORK_SECONDS
    for item in items:
        yield item
        if time.perf_counter() > until:
            time.sleep(PAUSE_SECONDS)
            until = time.perf_counter() + WORK_SECONDS


def judge_row(row: Row, tenant: str | None) -> Create | Reject:
    """Judge a row; an admin's are for the admin's own tenant."""
    line, cells = row
    if tenant is not None:
        if cells.get("tenant", "") not in ("", tenant):
            return Reject(line, cells.get("email", ""), OTHER_COMPANY)
        cells = {**cells, "tenant": tenant}
    return judge(line, {**cells, "password_hash": ""})


def import_row(verdict: Create | Reject, other_line: int | None, owners: frozenset[str]) -> ImportRow:
    if isinstance(verdict, Reject):
        email = verdict.email[:MAX_EMAIL].replace("\0", "\ufffd")  # which PostgreSQL takes nowhere
        return ImportRow(verdict.line, RowState.REFUSED, email, "", reason=verdict.reason)
    row = ImportRow(
        line=verdict.line,
        state=RowState.WAITING,
        email=verdict.identifier,
        identifier=verdict.identifier,
        name=verdict.name,
        tenant=verdict.tenant,
        role=verdict.role.value,
        modules=",".join(sorted(verdict.modules)),
        department=verdict.unknown_department[:MAX_DEPARTMENT].replace("\0", "\ufffd"),
    )
    if other_line is not None:
        return replace(row, state=RowState.REFUSED, reason=DUPLICATE, other_line=other_line)
    return replace(row, state=RowState.REFUSED, reason=OWNER) if row.identifier in owners else row
