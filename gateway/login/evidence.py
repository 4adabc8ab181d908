"""The proofs that a browser has: of its sign-in attempt, or of a session that needs a further factor.

Callers that change anything because of them pass `lock`. That locks the account, then reads attempt or session again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.factors.contract import Asked
from gateway.model.account import Account
from gateway.model.factor import Factor, Proof, as_owner, ask_for, first_missing, required_factors, shown_by
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.sessions.attempt import Attempt
from gateway.store import Transaction
from gateway.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Evidence:
    """`proofs` are those of `holder`, the id of an attempt or a session; `missing` is what they lack first."""

    account: Account
    proofs: tuple[Proof, ...]
    holder: str
    session: Session | None
    missing: Factor | None
    is_owner: bool

    @property
    def next(self) -> Factor | None:
        """The factor whose page asks for what is missing."""
        return ask_for(self.missing, self.account.enrolled)

    def admits(self, shows: Sequence[Factor]) -> bool:
        """Whether a proof that shows these factors may be given: one is missing or shown already, or none is missing.

        Factors are proved in order. Otherwise the password alone would suffice to have a link mailed to an owner, or to
        exhaust an owner's tries.
        """
        return self.missing is None or self.missing in shows or not shown_by(self.proofs).isdisjoint(shows)

    @property
    def asked(self) -> Asked:
        return Asked(self.account.id, self.holder)

    @property
    def session_id(self) -> str | None:
        return self.session.id if self.session else None


class EvidenceReader:
    """`owners` are normalised identifiers."""

    def __init__(self, owners: frozenset[str]) -> None:
        self._owners = owners

    async def find(
        self, tx: Transaction, visit: Visit, again: bool, now: int, *, lock: bool = False
    ) -> Evidence | None:
        """Return the evidence, if a proof is missing. `again`: that of the session, even if none is missing."""
        if again and visit.session is not None:
            return await self._of_session(tx, visit.session, visit.inbound, lock)
        attempt = await self._attempt(tx, visit.inbound, now, lock)
        if attempt is not None:
            return await self._of(tx, attempt.account, attempt.proofs, attempt.id, None, lock)
        if visit.session is not None and visit.signed_in is None:
            return await self._of_session(tx, visit.session, visit.inbound, lock)
        return None

    async def of_holder(
        self, tx: Transaction, holder: str, visit: Visit, now: int, *, lock: bool = False
    ) -> Evidence | None:
        """Return the evidence of the attempt or session with the id `holder`, if this browser has it."""
        attempt = await self._attempt(tx, visit.inbound, now, lock)
        if attempt is not None and attempt.id == holder:
            return await self._of(tx, attempt.account, attempt.proofs, attempt.id, None, lock)
        if visit.session is not None and visit.session.id == holder:
            return await self._of_session(tx, visit.session, visit.inbound, lock)
        return None

    async def _attempt(self, tx: Transaction, inbound: Inbound, now: int, lock: bool) -> Attempt | None:
        """Return the live attempt; with `lock`, read again after the account is locked.

        On PostgreSQL it may have been ended, or given a proof, while we waited for the lock. Every transaction locks
        the account first, so that two can't deadlock.
        """
        attempt = await attempts.find(tx, inbound.attempt_key, now)
        if attempt is None or not lock:
            return attempt
        await account_rows.find(tx, attempt.account, lock=True)
        return await attempts.find(tx, inbound.attempt_key, now)

    async def _of_session(self, tx: Transaction, session: Session, inbound: Inbound, lock: bool) -> Evidence | None:
        """With `lock`, check that the session is still open under this cookie: it was found before the lock."""
        evidence = await self._of(tx, session.account, session.proofs, session.id, session, lock)
        if not lock:
            return evidence
        key = inbound.session_key
        owner = await session_rows.account_of_unended(tx, key) if key else None
        return evidence if owner == session.account else None

    async def _of(
        self,
        tx: Transaction,
        account_id: str,
        proofs: tuple[Proof, ...],
        holder: str,
        session: Session | None,
        lock: bool,
    ) -> Evidence | None:
        account = await account_rows.find(tx, account_id, lock=lock)
        if account is None or not await account_rows.is_welcome(tx, account):
            return None
        is_owner = account.identifier in self._owners
        if is_owner:
            proofs = as_owner(proofs)
        missing = first_missing(self.required(account), proofs)
        return Evidence(account, proofs, holder, session, missing, is_owner)

    def required(self, account: Account) -> tuple[Factor, ...]:
        return required_factors(is_owner=account.identifier in self._owners, enrolled=account.enrolled)
