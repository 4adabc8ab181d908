"""Changes to one's own passkeys, besides adding them, each with its audit row and mail."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, requester
from gateway.factors import enrolment
from gateway.factors.contract import Factors, News
from gateway.factors.passkey import rows
from gateway.factors.passkey.names import MAX_NAME
from gateway.factors.passkey.record import Site
from gateway.factors.passkey.rows import Passkey
from gateway.login.flow import Flow
from gateway.model.account import Account, Unacceptable, check_name
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction


class PasskeyService:
    def __init__(self, store: Store, actions: Actions, flow: Flow, factors: Factors, site: Site) -> None:
        self._store = store
        self._actions = actions
        self._flow = flow
        self._factors = factors
        self._site = site

    async def list_all(self, session: Session) -> list[Passkey]:
        """Return the person's passkeys."""
        async with self._store.reading() as tx:
            return await rows.list_of(tx, session.account)

    async def rename(self, session: Session, passkey: str, name: str, inbound: Inbound, now: int) -> bool:
        """Rename a passkey. Returns False for a name that can't be shown, or if the passkey is not the person's."""
        try:
            name = check_name(" ".join(name.split()))[:MAX_NAME].strip()
        except Unacceptable:
            return False
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            found = await self._own(action, session, passkey)
            if found is None:
                return False
            account, before = found
            if name == before.name:
                return True
            await rows.rename(action.tx, account.id, passkey, name)
            details = {"passkey": name, "before": before.name}
            await self._flow.report(action, News(Event.PASSKEY_RENAMED, "passkey_renamed", details), account)
            return True

    async def remove(self, session: Session, passkey: str, inbound: Inbound, now: int) -> bool:
        """Remove a passkey. Returns False if it is not the person's, or if the account needs it."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            found = await self._own(action, session, passkey)
            if found is None:
                return False
            account, before = found
            if not await self._can_spare(action.tx, session, account, before):
                return False
            await rows.remove(action.tx, account.id, passkey)
            # Whoever has stolen it may have just used it.
            await attempts.end_all(action.tx, account.id, action.now)
            await session_rows.forget_proofs(action.tx, account.id, Factor.PASSKEY, session.id)
            await self._flow.tidy(action, Factor.PASSKEY, account)
            details = {"passkey": before.name}
            await self._flow.report(action, News(Event.PASSKEY_REMOVED, "passkey_removed", details), account)
            return True

    async def may_remove(self, session: Session, passkey: Passkey) -> bool:
        """Whether the person can still sign in without a passkey of theirs."""
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
            return account is not None and await self._can_spare(tx, session, account, passkey)

    async def may_accept_only(self, session: Session) -> bool:
        """Whether the person has enough to choose `accept_only`."""
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
            return account is not None and await self._has_way_back(tx, account, await self._usable(tx, account))

    async def accept_only(self, session: Session, is_on: bool, inbound: Inbound, now: int) -> bool:
        """Accept nothing else than passkeys as the second step, or no longer.

        Returns False if a lost passkey would lock the person out.
        """
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await account_rows.find(action.tx, session.account, lock=True)
            if account is None or not await session_rows.is_open(action.tx, session.id):
                return False
            usable = await self._usable(action.tx, account)
            if is_on and not await self._has_way_back(action.tx, account, usable):
                return False
            if await enrolment.accept_only_passkeys(action.tx, account.id, is_on):
                event = Event.PASSKEYS_ONLY_ENABLED if is_on else Event.PASSKEYS_ONLY_DISABLED
                await self._flow.report(action, News(event, event.value), account)
            return True

    async def _usable(self, tx: Transaction, account: Account) -> list[Passkey]:
        """Return the passkeys that work here: those made for another address are of no use to the person."""
        return [own for own in await rows.list_of(tx, account.id) if self._site.has(own.key)]

    async def _can_spare(self, tx: Transaction, session: Session, account: Account, passkey: Passkey) -> bool:
        enrolled = account.enrolled
        if not self._site.has(passkey.key) and await rows.count(tx, account.id) > 1:
            return True
        left = [own for own in await self._usable(tx, account) if own.id != passkey.id]
        if not session.second.is_met_by(enrolled if left else enrolled.without(Factor.PASSKEY)):
            return False
        return not enrolled.only_passkeys or await self._has_way_back(tx, account, left)

    async def _has_way_back(self, tx: Transaction, account: Account, usable: Sequence[Passkey]) -> bool:
        """Whether a person with these passkeys can lose one: there is another, or a backup code."""
        if len(usable) != 1:
            return len(usable) > 1
        return any([await factor.is_left(tx, account.id) for factor in self._factors.companions(Factor.PASSKEY)])

    async def _own(self, action: Action, session: Session, passkey: str) -> tuple[Account, Passkey] | None:
        """Return the account, locked, and the passkey, if the session is still open and the passkey is its own."""
        account = await account_rows.find(action.tx, session.account, lock=True)
        if account is None or not await session_rows.is_open(action.tx, session.id):
            return None
        found = next((own for own in await rows.list_of(action.tx, account.id) if own.id == passkey), None)
        return None if found is None else (account, found)
