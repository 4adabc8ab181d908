"""Seeing and ending signed-in devices: one's own, a member's, a tenant's, or by the link in a mail."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.event import Event, entry_of
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.session import Lifetimes, Session, has_outlived
from gateway.sessions import rows
from gateway.sessions.rows import SessionRow
from gateway.store import Store, Transaction
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
    def __init__(self, store: Store, notices: Notices, lifetimes: Lifetimes) -> None:
        self._store = store
        self._notices = notices
        self._lifetimes = lifetimes

    async def list(self, session: Session, now: int) -> list[Device]:
        """Return the devices of the account that are signed in now, this one first: the latest two hundred."""
        async with self._store.reading() as tx:
            found = await rows.list_open(tx, session.account, rows.MAX_DEVICES)
        lifetime = self._lifetimes.of(is_owner=session.is_owner)
        alive = [row for row in found if not has_outlived(row.started_at, row.seen_at, lifetime, now)]
        await label_all(row.user_agent for row in alive)
        devices = [device_of(row, session, now) for row in alive]
        return sorted(devices, key=lambda device: (not device.is_this, -device.seen_at))

    async def end(self, session: Session, session_id: str, inbound: Inbound, now: int) -> bool:
        """End one of the account's own sessions; returns whether it was open. The person is mailed."""
        async with self._store.transaction() as tx:
            row = await rows.find_open(tx, session_id, session.account)
            account = await account_rows.find(tx, session.account)
            if row is None or account is None or not await rows.end(tx, session_id, now):
                return False
            await rows.forget_device(tx, row.account, row.device, now)
            details = {"device": label(row.user_agent)}
            await audit.record(tx, entry_of(Event.SESSION_REVOKED, account, inbound, now, details, session_id))
            await self._tell(tx, account, row, now)
            return True

    async def end_others(self, session: Session, inbound: Inbound, now: int) -> int:
        """Sign out everywhere else; returns where."""
        async with self._store.transaction() as tx:
            account = await account_rows.find(tx, session.account, lock=True)
            if account is None or not await rows.is_open(tx, session.id):
                return 0
            await rows.forget_devices(tx, account.id, now, but=session.id)
            ended = await rows.end_all(tx, account.id, now, but=session.id)
            await self._note_all(tx, account, ended, inbound, now, session.id)
            return ended

    async def end_by_link(self, session_id: str, inbound: Inbound, now: int) -> bool:
        """End the session that a mail told about; returns whether it was open still.

        If it was not, its device is not known any more all the same: a thief may have signed out in the meantime.
        """
        async with self._store.transaction() as tx:
            row = await rows.find_any(tx, session_id)
            account = await account_rows.find(tx, row.account) if row else None
            if row is None or account is None:
                return False
            await rows.forget_device(tx, row.account, row.device, now)
            if not await rows.end(tx, session_id, now):
                return False
            details = {"device": label(row.user_agent), "how": "link in a mail"}
            await audit.record(tx, entry_of(Event.SESSION_REVOKED, account, inbound, now, details, session_id))
            await self._tell(tx, account, row, now)
            return True

    async def look(self, session_id: str) -> tuple[SessionRow | None, bool]:
        """Return a session, open or ended, and whether it is open."""
        async with self._store.reading() as tx:
            return await rows.find_any(tx, session_id), await rows.is_open(tx, session_id)

    async def find_anyone(self, identifier: str) -> Account | None:
        async with self._store.reading() as tx:
            return await account_rows.find_by_identifier(tx, identifier)

    async def has_tenant(self, slug: str) -> bool:
        async with self._store.reading() as tx:
            return await account_rows.has_tenant(tx, slug)

    async def end_anyone(self, owner: Session, identifier: str, inbound: Inbound, now: int) -> int | None:
        """The owner signs somebody out everywhere; None if there is no such account."""
        async with self._store.transaction() as tx:
            found = await account_rows.find_by_identifier(tx, identifier)
            account = await account_rows.find(tx, found.id, lock=True) if found else None
            return await self._end_all(tx, account, owner, inbound, now) if account else None

    async def end_tenant(self, owner: Session, tenant: str, inbound: Inbound, now: int) -> int | None:
        """The owner signs a whole tenant out, but for this very session; None if nobody belongs to it."""
        async with self._store.transaction() as tx:
            accounts = await account_rows.list_all(tx, tenant)
            ended = [await self._end_all(tx, account, owner, inbound, now) for account in accounts]
            return sum(ended) if accounts else None

    async def _end_all(self, tx: Transaction, account: Account, by: Session, inbound: Inbound, now: int) -> int:
        ended = await change.end_everything(tx, account, now, but=by.id)
        if ended:
            await self._note_all(tx, account, ended, inbound, now, by.id, by.identifier)
        return ended

    async def _note_all(
        self, tx: Transaction, account: Account, ended: int, inbound: Inbound, now: int, session_id: str, by: str = ""
    ) -> None:
        details: dict[str, str | int | bool] = {"sessions_ended": ended, **({"by": by} if by else {})}
        await audit.record(tx, entry_of(Event.SESSION_REVOKED_ALL, account, inbound, now, details, session_id))
        if ended:
            await self._notices.send(tx, "sessions_revoked", account, inbound, now, count=ended)

    async def _tell(self, tx: Transaction, account: Account, ended: SessionRow, now: int) -> None:
        await self._notices.send_about(
            tx, "session_revoked", account, now, device=label(ended.user_agent), address=ended.address
        )


def device_of(row: SessionRow, session: Session, now: int) -> Device:
    is_this = row.id == session.id
    factors = tuple(proof.factor for proof in row.proofs)
    return Device(
        row.id, label(row.user_agent), row.address, row.started_at, now if is_this else row.seen_at, factors, is_this
    )
