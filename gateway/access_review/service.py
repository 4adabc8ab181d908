"""Lists the people of a tenant with their access, disables unused accounts, and records reviews."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace

from gateway.access_review import lines
from gateway.access_review.lines import Line, Sort, Wanted
from gateway.access_review.unused import Kept, Unused
from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.accounts.people import Administrator, PeopleService
from gateway.actions.action import Actions, Actor, requester
from gateway.audit import search
from gateway.audit.rows import details_of
from gateway.factors.contract import Factors
from gateway.model.account import Status
from gateway.model.event import Event
from gateway.store import Store
from gateway.tokens import rows as token_rows

AT_ONCE = 500  # accounts in one list
EXPORTED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """An unused account; `kept` says why it can't be disabled with the others, None if it can."""

    line: Line
    kept: Kept | None


@dataclass(frozen=True, slots=True)
class Review:
    """A review of the access of so many people. `by` is the reviewer's email, "" once that person is erased."""

    at: int
    by: str
    people: int


class AccessReviews:
    """`owners` are normalised identifiers."""

    def __init__(
        self, *, store: Store, actions: Actions, people: PeopleService, factors: Factors, owners: Collection[str]
    ) -> None:
        self._store = store
        self._actions = actions
        self._people = people
        self._factors = factors
        self.owners = owners

    # Reading.

    async def page(self, tenant: str, wanted: Wanted, now: int) -> tuple[list[Line], str]:
        """Return one page of people, and `Wanted.after` for the next."""
        async with self._store.reading() as tx:
            return await lines.find_page(tx, tenant, wanted, now, self._factors.has_way_in)

    async def every_page(self, tenant: str, wanted: Wanted, now: int) -> AsyncIterator[list[Line]]:
        """Yield all people that match, some at a time."""
        while True:
            async with self._store.reading() as tx:
                way_in = self._factors.has_way_in
                found, after = await lines.find_page(tx, tenant, wanted, now, way_in, EXPORTED_AT_ONCE)
            yield found
            if not after:
                return
            wanted = replace(wanted, after=after)

    async def list_unused(self, admin: Administrator, days: int) -> tuple[list[Judged], bool]:
        """Return the accounts that were not used for so many days, longest first, and whether there are more."""
        wanted = Wanted(unseen_days=days, is_enabled=True, sort=Sort.SEEN)
        async with self._store.reading() as tx:
            way_in = self._factors.has_way_in
            found, after = await lines.find_page(tx, admin.tenant, wanted, admin.now, way_in, AT_ONCE)
        return self._judge(admin, found, days), bool(after)

    async def judge(self, admin: Administrator, ids: Sequence[str], days: int) -> list[Judged]:
        """Judge these accounts as they are now, without those of another tenant."""
        async with self._store.reading() as tx:
            found = await lines.read_lines(tx, admin.tenant, ids, admin.now, self._factors.has_way_in)
        return self._judge(admin, found, days)

    async def find_review(self, tenant: str) -> Review | None:
        """Return the last review, as long as the audit log has it."""
        wanted = search.Filter(tenant=tenant, events=frozenset((Event.ACCESS_REVIEWED,)))
        async with self._store.reading() as tx:
            found = (await search.find(tx, wanted, None, 1)).rows
        return Review(found[0].at, found[0].identifier, int(details_of(found[0])["people"])) if found else None

    def _judge(self, admin: Administrator, found: list[Line], days: int) -> list[Judged]:
        unused = Unused(days, admin.now, admin.session.account, self.owners)
        return [Judged(line, unused.why_kept(line)) for line in found]

    # Changing.

    async def disable(self, admin: Administrator, ids: Sequence[str], days: int) -> tuple[int, list[str]]:
        """Disable these accounts, each in a transaction of its own, if they are still unused.

        Returns how many it disabled, and the ids of those that it left. If it breaks off, doing it again does the rest.
        """
        left = [account_id for account_id in ids if not await self._disable(admin, account_id, days)]
        return len(ids) - len(left), left

    async def _disable(self, admin: Administrator, account_id: str, days: int) -> bool:
        async with self._actions.begin(admin.actor, admin.now) as action:
            tx = action.tx
            if await self._people.find_changeable(tx, admin, account_id) is None:
                return False
            # Read under the lock, which a sign-in waits for: one that came before is seen here.
            found = await lines.read_lines(tx, admin.tenant, [account_id], admin.now, self._factors.has_way_in)
            judged = self._judge(admin, found, days)
            if not judged or judged[0].kept is not None:
                return False
            account = judged[0].line.account
            if await change.is_last_admin(tx, self._factors, account):
                return False
            ended = await token_rows.revoke_all(tx, account.id, admin.now)
            details = {"tokens_ended": ended, "unseen_days": days}
            return await change.set_status(action, account, Status.DISABLED, details=details)

    async def note_review(self, admin: Administrator) -> None:
        """Record that the administrator has reviewed the access of all people of their tenant."""
        async with self._actions.begin(requester(admin.inbound, admin.session.id), admin.now) as action:
            count = await account_rows.count_active(action.tx, admin.session.tenant)
            await action.record_own(Event.ACCESS_REVIEWED, admin.session, {"people": count})

    async def note_export(self, admin: Administrator) -> None:
        """Record the export, before its first row is sent."""
        async with self._actions.begin(requester(admin.inbound, admin.session.id), admin.now) as action:
            await action.record_own(Event.ACCESS_EXPORTED, admin.session, {"format": "csv"})

    async def note_export_by(self, operator: Actor, tenant: str, now: int) -> None:
        """Record an export in the shell."""
        async with self._actions.begin(operator, now) as action:
            await action.record_about(Event.ACCESS_EXPORTED, tenant, {"format": "csv"})
