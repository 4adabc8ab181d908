"""Lists and ends sessions: one's own, an account's or tenant's for the owner, or by the link of a mail."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, requester
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.session import Lifetimes, Session, has_outlived
from gateway.sessions import rows
from gateway.sessions.rows import SessionRow
from gateway.store import Store
from gateway.web.user_agents import label, label_all


@dataclass(frozen=True, slots=True)
class Device:
    """One line of the list. Times are UTC seconds; `seen_at` may lag by a minute."""

    id: str
    name: str
    address: str
    first_at: int
    seen_at: int
    factors: tuple[Factor, ...]
    is_this: bool


class DeviceService:
    def __init__(self, store: Store, actions: Actions, lifetimes: Lifetimes) -> None:
        self._store = store
        self._actions = actions
        self._lifetimes = lifetimes

    async def list(self, session: Session, now: int) -> list[Device]:
        """Return the account's signed-in devices, this one first, at most MAX_DEVICES."""
        async with self._store.reading() as tx:
            found = await rows.list_open(tx, session.account, rows.MAX_DEVICES)
        lifetime = self._lifetimes.of(is_owner=session.is_owner)
        alive = [row for row in found if not has_outlived(row.started_at, row.seen_at, lifetime, now)]
        await label_all(row.user_agent for row in alive)
        devices = [device_of(row, session, now) for row in alive]
        return sorted(devices, key=lambda device: (not device.is_this, -device.seen_at))

    async def end(self, session: Session, session_id: str, inbound: Inbound, now: int) -> bool:
        """End one of the account's own sessions, and mail. Returns whether it was open."""
        async with self._actions.begin(requester(inbound), now) as action:
            return await change.end_session(action, session_id, session.account)

    async def end_others(self, session: Session, inbound: Inbound, now: int) -> int:
        """End all other sessions of the account. Returns how many were open."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await account_rows.find(action.tx, session.account, lock=True)
            if account is None or not await rows.is_open(action.tx, session.id):
                return 0
            return await change.sign_out(action, account, but=session.id)

    async def end_by_link(self, session_id: str, inbound: Inbound, now: int) -> bool:
        """End the session of a new-device mail. Returns whether it was still open.

        Forgets the device in any case: an attacker may have signed out meanwhile.
        """
        async with self._actions.begin(requester(inbound), now) as action:
            row = await rows.find_any(action.tx, session_id)
            if row is None:
                return False
            await rows.forget_device(action.tx, row.account, row.device, now)
            return await change.end_session(action, session_id, details={"how": "link in a mail"})

    async def look(self, session_id: str) -> tuple[SessionRow | None, bool]:
        """Return a session, open or ended, and whether it is open."""
        async with self._store.reading() as tx:
            return await rows.find_any(tx, session_id), await rows.is_open(tx, session_id)

    async def find_account(self, identifier: str) -> Account | None:
        async with self._store.reading() as tx:
            return await account_rows.find_by_identifier(tx, identifier)

    async def has_tenant(self, slug: str) -> bool:
        async with self._store.reading() as tx:
            return await account_rows.has_tenant(tx, slug)

    async def end_account(self, owner: Session, identifier: str, inbound: Inbound, now: int) -> int | None:
        """End all sessions of an account, for the owner. Returns how many, or None if there is no such account."""
        async with self._begin(owner, inbound, now) as action:
            found = await account_rows.find_by_identifier(action.tx, identifier)
            account = await account_rows.find(action.tx, found.id, lock=True) if found else None
            return await change.sign_out_all(action, [account], but=owner.id) if account else None

    async def end_tenant(self, owner: Session, tenant: str, inbound: Inbound, now: int) -> int | None:
        """End all sessions of a tenant, except the owner's own. Returns how many, or None if it has no accounts."""
        async with self._begin(owner, inbound, now) as action:
            accounts = await account_rows.list_all(action.tx, tenant)
            return await change.sign_out_all(action, accounts, but=owner.id) if accounts else None

    def _begin(self, owner: Session, inbound: Inbound, now: int) -> AbstractAsyncContextManager[Action]:
        return self._actions.begin(requester(inbound, owner.id, by=owner.identifier), now)


def device_of(row: SessionRow, session: Session, now: int) -> Device:
    is_this = row.id == session.id
    factors = tuple(proof.factor for proof in row.proofs)
    return Device(
        row.id, label(row.user_agent), row.address, row.started_at, now if is_this else row.seen_at, factors, is_this
    )
