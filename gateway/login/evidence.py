"""The proofs that a browser has: of its sign-in attempt, or of a session that needs a further factor.

Callers that change anything because of them pass `lock`. That locks the account, then reads attempt or session again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.accounts import rows as account_rows
from gateway.factors import enrolment
from gateway.factors.contract import Asked, FactorContract, shows
from gateway.model.account import Account, Status
from gateway.model.factor import Factor, Proof, ask_for, first_missing, shown_by
from gateway.model.factor_policy import (
    FactorPolicy,
    Second,
    accepts_only_passkeys,
    is_recovering,
)
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.policy.freshness import FRESH_SECONDS
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.sessions.attempt import Attempt
from gateway.store import Transaction
from gateway.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Evidence:
    """`proofs` are those of `holder`, the id of an attempt or a session; `missing` is what they lack first.

    `second` is what the account's second step must be, `required` all that it needs, in order.
    """

    account: Account
    proofs: tuple[Proof, ...]
    holder: str
    session: Session | None
    missing: Factor | None
    is_owner: bool
    second: Second
    required: tuple[Factor, ...]

    @property
    def next(self) -> Factor | None:
        """The factor whose page asks for what is missing."""
        return ask_for(self.missing, self.account.enrolled)

    def admits(self, factor: FactorContract) -> bool:
        """Whether a proof of `factor` may be given: it is missing or shown already, or nothing is missing.

        Factors are proved in order. Otherwise the password alone would suffice to have a link mailed to an owner, or to
        exhaust an owner's tries. A backup code may be given where only a passkey counts, to set up another one, and
        for nothing else: it would be used up in vain.
        """
        enrolled = self.account.enrolled
        if not factor.is_usable(enrolled, self.second):
            return False
        if factor.name == Factor.BACKUP_CODE and accepts_only_passkeys(self.second, enrolled):
            return self.expects(factor)
        shown = shown_by(self.proofs)
        return self.missing is None or self.expects(factor) or not shown.isdisjoint(shows(factor))

    def expects(self, factor: FactorContract) -> bool:
        """Whether a proof of `factor` leads on."""
        is_way_back = factor.name == Factor.BACKUP_CODE and self.missing == Factor.PASSKEY and not self.is_setup
        is_found = factor.name == Factor.PASSKEY and self.may_be_found
        return self.missing in shows(factor) or is_way_back or is_found

    @property
    def may_be_found(self) -> bool:
        """Whether the person replaces a lost passkey, and could still use it instead."""
        return Factor.PASSKEY in self.account.enrolled and is_recovering(self.proofs)

    def may_enrol(self, factor: FactorContract) -> bool:
        """Whether `factor` may be set up now, because it is missing."""
        return self.is_setup and self.missing in shows(factor)

    @property
    def is_setup(self) -> bool:
        """Whether what is missing is to be set up: nothing that is set up could be proved instead."""
        enrolled = self.account.enrolled
        if self.missing == Factor.PASSKEY:
            return Factor.PASSKEY not in enrolled or is_recovering(self.proofs)
        if self.missing == self.required[0]:
            return False
        return self.missing is not None and self.missing not in enrolled and not enrolled.has_second

    def as_of(self, now: int) -> Evidence:
        """Require fresh proofs of all before it, if something is to be set up.

        A session may be old when more is demanded of its account, and whoever stole its cookie must not answer that
        demand with a passkey of their own.
        """
        if not self.is_setup:
            return self
        return replace(self, missing=first_missing(self.required, self.proofs, since=now - FRESH_SECONDS))

    @property
    def asked(self) -> Asked:
        return Asked(self.account.id, self.holder)

    @property
    def session_id(self) -> str | None:
        return self.session.id if self.session else None


class EvidenceReader:
    def __init__(self, policy: FactorPolicy) -> None:
        self._policy = policy

    async def find(
        self, tx: Transaction, visit: Visit, again: bool, now: int, *, lock: bool = False
    ) -> Evidence | None:
        """Return the evidence, if a proof is missing. `again`: that of the session, even if none is missing."""
        if again and visit.session is not None:
            return await self._of_session(tx, visit.session, visit.inbound, now, lock)
        attempt = await self._attempt(tx, visit.inbound, now, lock)
        if attempt is not None:
            return await self._of(tx, attempt.account, attempt.proofs, attempt.id, None, lock)
        if visit.session is not None and visit.signed_in is None:
            return await self._of_session(tx, visit.session, visit.inbound, now, lock)
        return None

    async def of_holder(
        self, tx: Transaction, holder: str, visit: Visit, now: int, *, lock: bool = False
    ) -> Evidence | None:
        """Return the evidence of the attempt or session with the id `holder`, if this browser has it."""
        attempt = await self._attempt(tx, visit.inbound, now, lock)
        if attempt is not None and attempt.id == holder:
            return await self._of(tx, attempt.account, attempt.proofs, attempt.id, None, lock)
        if visit.session is not None and visit.session.id == holder:
            return await self._of_session(tx, visit.session, visit.inbound, now, lock)
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

    async def _of_session(
        self, tx: Transaction, session: Session, inbound: Inbound, now: int, lock: bool
    ) -> Evidence | None:
        """With `lock`, check that the session is still open under this cookie: it was found before the lock."""
        evidence = await self._of(tx, session.account, session.proofs, session.id, session, lock)
        evidence = evidence and evidence.as_of(now)
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
        return await self._judge(tx, account, proofs, holder, session) if account else None

    async def find_missing(self, tx: Transaction, account: Account, proofs: tuple[Proof, ...]) -> Factor | None:
        """Return the factor to ask for next. Reads the enrolled factors again: they may be newer than `account`."""
        latest = replace(account, enrolled=await enrolment.find(tx, account.id))
        evidence = await self._judge(tx, latest, proofs, "", None)
        return evidence.next if evidence else Factor.PASSWORD

    async def _judge(
        self, tx: Transaction, account: Account, proofs: tuple[Proof, ...], holder: str, session: Session | None
    ) -> Evidence | None:
        """Return None if account or tenant are not active."""
        demanded = await account_rows.find_factor_policy(tx, account.tenant)
        if account.status is not Status.ACTIVE or account.is_service or demanded is None:
            return None
        found = self._policy.stand(account.identifier, account.role, demanded, account.enrolled, proofs)
        return Evidence(
            account, found.proofs, holder, session, found.missing, found.is_owner, found.second, found.required
        )
