"""Reads all that one person's page shows, and ends what is listed there one by one: a device, a token, lockouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.accounts import change, directory, email_changes
from gateway.accounts.directory import Member
from gateway.accounts.email_changes import Change
from gateway.accounts.people import Administrator, PeopleService, Result
from gateway.actions.action import Actions
from gateway.audit import search
from gateway.audit.chain import Row
from gateway.audit.people import NO_PEOPLE, People, find_people
from gateway.audit.search import Filter
from gateway.devices.service import Device, device_of
from gateway.factors.contract import Factors, Summary, Way
from gateway.model.account import Account
from gateway.model.factor_policy import FactorPolicy
from gateway.model.session import Lifetimes, has_outlived
from gateway.person import rows, standing
from gateway.person.standing import Standing
from gateway.sessions import rows as session_rows
from gateway.sessions.rows import SessionRow
from gateway.store import Store, Transaction
from gateway.tokens import rows as token_rows
from gateway.tokens import service as token_service
from gateway.tokens.mails import tell
from gateway.tokens.rows import TokenRow
from gateway.web.user_agents import label_all

EVENTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Person:
    """What the page shows. `pending` is the open change of the email.

    Whether the person can get in, the devices, tokens and events are for those who may change the account, and for the
    person: without `sees_all`, they are empty, and `standing` is None.
    """

    member: Member
    may_change: bool
    is_self: bool
    ways: Sequence[Way]
    summaries: Sequence[Summary]
    pending: Change | None = None
    standing: Standing | None = None
    devices: Sequence[Device] = ()
    tokens: Sequence[TokenRow] = ()
    events: Sequence[Row] = ()
    named: People = NO_PEOPLE  # in the events

    @property
    def account(self) -> Account:
        return self.member.account

    @property
    def sees_all(self) -> bool:
        return self.may_change or self.is_self


class PersonService:
    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        people: PeopleService,
        factors: Factors,
        policy: FactorPolicy,
        lifetimes: Lifetimes,
    ) -> None:
        self._store = store
        self._actions = actions
        self._people = people
        self._factors = factors
        self._policy = policy
        self._lifetimes = lifetimes

    # Reading.

    async def look(self, admin: Administrator, account_id: str) -> Person | None:
        """Return a person of the administrator's tenant; of any for the owner."""
        async with self._store.reading() as tx:
            member = await directory.find_member(tx, admin.tenant, account_id, self._factors.has_way_in)
            if member is None:
                return None
            found = Person(
                member,
                may_change=self._people.may_change(admin, member.account),
                is_self=account_id == admin.session.account,
                ways=await self._factors.list_ways(tx, account_id),
                summaries=await self._factors.summarise(tx, account_id),
            )
            return await self._complete(tx, admin, found) if found.sees_all else found

    async def _complete(self, tx: Transaction, admin: Administrator, found: Person) -> Person:
        account, now = found.account, admin.now
        facts = await rows.read_facts(tx, found.member, found.ways, self._factors, self._policy, now)
        tokens = await token_rows.list_of(tx, account.id, now)
        wanted = Filter(tenant=admin.tenant, person=account.identifier)
        events = (await search.find(tx, wanted, None, EVENTS_SHOWN)).rows
        return replace(
            found,
            pending=await email_changes.find_open(tx, account.id),
            standing=standing.judge(facts, self._policy),
            devices=await self._list_devices(tx, admin, account),
            tokens=[token for token in tokens if token.is_live(now)],
            events=events,
            named=await find_people(tx, events, [account.identifier], admin.tenant),
        )

    async def _list_devices(self, tx: Transaction, admin: Administrator, account: Account) -> list[Device]:
        """Return the devices that are signed in, latest use first."""
        found = await session_rows.list_open(tx, account.id, session_rows.MAX_DEVICES)
        alive = [row for row in found if self._is_alive(row, admin.now)]
        await label_all(row.user_agent for row in alive)
        return [device_of(row, admin.session, admin.now) for row in alive]

    def _is_alive(self, row: SessionRow, now: int) -> bool:
        lifetime = self._lifetimes.of(is_owner=row.identifier in self._policy.owners)
        return not has_outlived(row.started_at, row.seen_at, lifetime, now)

    # Ending.

    async def end_device(self, admin: Administrator, account_id: str, session: str) -> Result:
        """Sign one device of a person out, and mail them."""
        async with self._actions.begin(admin.actor, admin.now) as action:
            account = await self._people.find_changeable(action.tx, admin, account_id)
            is_ended = account is not None and await change.end_session(action, session, account.id)
        return Result.DONE if is_ended else Result.NOT_THERE

    async def revoke_token(self, admin: Administrator, account_id: str, token: str) -> Result:
        """End one API token of a person, and mail them."""
        async with self._actions.begin(admin.actor, admin.now) as action:
            account = await self._people.find_changeable(action.tx, admin, account_id)
            found = await token_rows.find(action.tx, token)
            if account is None or found is None or found.account != account.id:
                return Result.NOT_THERE
            if await token_service.end(action, account, found):
                await tell(action, account, "token_revoked", token=found.name)
        return Result.DONE

    async def revoke_tokens(self, admin: Administrator, account_id: str) -> Result:
        """End every API token of a person, each with its audit row and mail."""
        async with self._actions.begin(admin.actor, admin.now) as action:
            account = await self._people.find_changeable(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            for token in await token_rows.list_of(action.tx, account.id, admin.now):
                if await token_service.end(action, account, token):
                    await tell(action, account, "token_revoked", token=token.name)
        return Result.DONE

    async def unlock(self, admin: Administrator, account_id: str) -> Result:
        """Forget the failed attempts of a person, with the lockouts that they caused."""
        async with self._actions.begin(admin.actor, admin.now) as action:
            account = await self._people.find_changeable(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            await change.unlock(action, self._factors, account)
        return Result.DONE
