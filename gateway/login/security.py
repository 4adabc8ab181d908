"""What people change about their own factors, each change with a fresh proof, its audit row and its mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit
from gateway.factors import backup_code, totp
from gateway.factors.backup_code import BackupCodeFactor, Left
from gateway.factors.totp import Enrolment
from gateway.login.flow import Flow
from gateway.login.outcome import SignedIn
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.event import Event, entry_of
from gateway.model.factor import Factor, Proof, with_proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.throttle import streaks


@dataclass(frozen=True, slots=True)
class Overview:
    """What the security page shows."""

    enrolment: Enrolment
    codes: Left
    proved_at: Mapping[Factor, int]  # when each factor was proved last, on whatever device; UTC seconds


@dataclass(frozen=True, slots=True)
class Changed:
    """It was done. `signed_in` carries the session's new cookie, `codes` are shown once."""

    signed_in: SignedIn | None = None
    codes: tuple[Secret[str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Owners keep their factors; a session that ended meanwhile changes nothing."""


@dataclass(frozen=True, slots=True)
class WrongCode:
    """The code did not belong to the secret that was offered."""


class SecurityService:
    """Every change here is for who holds a session with fresh proofs (see policy.freshness)."""

    def __init__(self, *, store: Store, flow: Flow, backup_codes: BackupCodeFactor, notices: Notices) -> None:
        self._store = store
        self._flow = flow
        self._backup_codes = backup_codes
        self._notices = notices

    async def look(self, session: Session) -> Overview:
        async with self._store.reading() as tx:
            return Overview(
                await totp.find_enrolment(tx, session.account),
                await backup_code.count_left(tx, session.account),
                await session_rows.last_proofs(tx, session.account),
            )

    async def enrol(
        self, session: Session, offered: str, given: Secret[str], inbound: Inbound, now: int
    ) -> Changed | WrongCode | NotAllowed:
        """Set TOTP up, or exchange it for another phone's. This session has thereby proved it."""
        async with self._store.transaction() as tx:
            account = await self._account(tx, session)
            if account is None:
                return NotAllowed()
            codes = await self._flow.set_up(tx, account, offered, given, inbound, now, session.id)
            if codes is None:
                return WrongCode()
            proofs = with_proof(session.proofs, Proof(Factor.TOTP, now))
            token = await session_rows.renew(tx, session.id, inbound.session_key, proofs)
            if token is None:
                raise RuntimeError("a session ended under the lock of its account")
            return Changed(SignedIn(token, session.is_owner), tuple(codes))

    async def regenerate(self, session: Session, inbound: Inbound, now: int) -> Changed | NotAllowed:
        """Make new backup codes; the old set is dead."""
        async with self._store.transaction() as tx:
            account = await self._account(tx, session)
            if account is None or not session.has_totp:
                return NotAllowed()
            codes = await self._backup_codes.regenerate(tx, account.id, now)
            await audit.record(
                tx, entry_of(Event.TWO_FACTOR_CODES_REGENERATED, account, inbound, now, None, session.id)
            )
            await self._notices.send(tx, "backup_codes_regenerated", account, inbound, now)
            return Changed(codes=tuple(codes))

    async def turn_off(self, session: Session, inbound: Inbound, now: int) -> Changed | NotAllowed:
        """Sign in with the password alone from now on. Not for owners."""
        if session.is_owner:
            return NotAllowed()
        async with self._store.transaction() as tx:
            account = await self._account(tx, session)
            if account is None or not await totp.forget(tx, account.id):
                return NotAllowed()
            await backup_code.forget(tx, account.id)
            await streaks.reset_all(tx, account.id)
            await audit.record(tx, entry_of(Event.TWO_FACTOR_DISABLED, account, inbound, now, None, session.id))
            await self._notices.send(tx, "totp_disabled", account, inbound, now)
            return Changed()

    async def _account(self, tx: Transaction, session: Session) -> Account | None:
        """Return the session's account, locked, if the session is still open."""
        account = await account_rows.find(tx, session.account, lock=True)
        return account if account and await session_rows.is_open(tx, session.id) else None
