"""Takes files of people, shows what would become of each row, and invites them when told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.accounts import directory, imports
from gateway.accounts import rows as account_rows
from gateway.accounts.bulk import Create, Reject, UnreadableFile, Verdict, read_csv
from gateway.accounts.imports import Asked, Import, Told
from gateway.accounts.invitations import Invitations
from gateway.accounts.people import Actor
from gateway.accounts.record import Account, Role, Unacceptable, normalise_identifier
from gateway.audit import rows as audit
from gateway.audit.events import Entry, Event, Outcome
from gateway.edge.inbound import Inbound
from gateway.logs import get_logger
from gateway.store import Store, Transaction

log = get_logger("imports")

MAX_ROWS = 5_000
ROWS_AT_ONCE = 10  # so that nobody waits long for the writer of the store
LEASE_SECONDS = 60
MAX_EMAIL = 320  # characters of what stands in a file, kept for the report
NOT_ANY_MORE = "Whoever started this may not invite people any more."


class Importer:
    """`owners` are normalised identifiers, whom nobody invites."""

    def __init__(self, store: Store, invitations: Invitations, owners: frozenset[str]) -> None:
        self._store = store
        self._invitations = invitations
        self._owners = owners

    async def keep(self, actor: Actor, content: bytes, inbound: Inbound, now: int) -> str:
        """Read a CSV file and keep it; return its id. Nobody is invited yet. Raises UnreadableFile."""
        rows = read_csv(content, MAX_ROWS)
        if not rows:
            raise UnreadableFile("the file has a first line and nothing below it")
        by = actor.session
        asked = Asked(
            by.account, by.name, by.identifier, by.id, inbound.address, inbound.user_agent, inbound.request_id
        )
        async with self._store.transaction(announce=False) as tx:
            return await imports.add(tx, actor.tenant, asked, rows, now)

    async def look(self, actor: Actor, import_id: str) -> tuple[Import, list[Verdict]] | None:
        """Return an import, and what would become of its rows as things stand."""
        async with self._store.reading() as tx:
            found = await imports.find(tx, import_id, actor.tenant)
            if found is None:
                return None
            return found, await self._judge(tx, found, found.rows) if found.started_at is None else []

    async def start(self, actor: Actor, import_id: str, now: int) -> bool:
        """Let it be worked on. Returns whether there is such an import."""
        async with self._store.transaction(announce=False) as tx:
            found = await imports.find(tx, import_id, actor.tenant)
            if found is not None:
                await imports.start(tx, found.id, now)
            return found is not None

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
            log.info("import_finished", id=work.id, rows=len(work.rows))

    async def go_on(self, work: Import, now: int) -> Import | None:
        """Invite the next few; None if somebody else took over, after a pause longer than the lease.

        Whoever started it must still be allowed to invite. If not, what is left is refused, and it ends.
        """
        async with self._store.transaction(announce=False) as tx:
            if not await imports.hold(tx, work, now, LEASE_SECONDS):
                return None
            if not await self._may_invite(tx, work):
                told = [Told(line, "refused", email_in(cells), NOT_ANY_MORE) for line, cells in work.rows[work.done :]]
                return await imports.advance(tx, work, told, now)
            rows = work.rows[work.done : work.done + ROWS_AT_ONCE]
            told = [await self._carry_out(tx, work, verdict, now) for verdict in await self._judge(tx, work, rows)]
            return await imports.advance(tx, work, told, now)

    async def _may_invite(self, tx: Transaction, work: Import) -> bool:
        """Whether who started it is still an admin of that tenant, or the owner for one across tenants."""
        account = await account_rows.find(tx, work.asked.account)
        if account is None or not await account_rows.is_welcome(tx, account):
            return False
        if work.tenant is None:
            return account.identifier in self._owners
        return account.role is Role.ADMIN and account.tenant == work.tenant

    async def _carry_out(self, tx: Transaction, work: Import, verdict: Verdict, now: int) -> Told:
        if isinstance(verdict, Reject):
            return Told(verdict.line, "refused", verdict.email[:MAX_EMAIL], verdict.reason)
        if not isinstance(verdict, Create):
            return Told(verdict.line, "skipped", verdict.identifier, verdict.reason)
        try:
            account = await self._invitations.invite(tx, verdict, work.asked.name, now)
        except ValueError as error:  # an address that no mail can be sent to
            return Told(verdict.line, "refused", verdict.identifier, str(error))
        if account is None:
            return Told(verdict.line, "skipped", verdict.identifier, "There is an account with this email already.")
        await audit.record(tx, entry(work, account, now))
        return Told(verdict.line, "invited", verdict.identifier, "")

    async def _judge(self, tx: Transaction, work: Import, rows: tuple[imports.Row, ...]) -> list[Verdict]:
        identifiers = [identifier for _, cells in rows if (identifier := identify(cells.get("email", "")))]
        taken = await directory.find_taken(tx, identifiers)
        return imports.judge_rows(rows, work.tenant, taken, self._owners)


def email_in(cells: Mapping[str, str]) -> str:
    return cells.get("email", "")[:MAX_EMAIL]


def identify(email: str) -> str:
    try:
        return normalise_identifier(email)
    except Unacceptable:
        return ""


def entry(work: Import, account: Account, now: int) -> Entry:
    return Entry(
        Event.ACCOUNT_INVITED,
        Outcome.SUCCESS,
        now,
        account.identifier,
        tenant=account.tenant,
        account=account.id,
        address=work.asked.address,
        user_agent=work.asked.user_agent,
        session=work.asked.session,
        request_id=work.asked.request_id,
        details={"by": work.asked.identifier, "role": account.role.value, "import": work.id},
    )
