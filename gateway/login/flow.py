"""How a sign-in goes on: what was proved so far, one more proof, and what that leads to.

    evidence (an attempt, or a session that needs more) -> guard -> factor -> the next factor, or a session

What is next is computed from account, policy and proofs at every step; nothing stores a current step. Consuming what
was given, the audit row and what it allows share one transaction: none of them happens without the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit
from gateway.browsers import rows as browser_rows
from gateway.browsers.record import AppCookie
from gateway.browsers.rows import Arrival
from gateway.devices.new_device import NewDevices
from gateway.factors import backup_code, magic_link, totp
from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.contract import Verifier, Wrong
from gateway.factors.magic_link import Link, MagicLinkFactor
from gateway.factors.totp import TOTPFactor
from gateway.login.evidence import Evidence, EvidenceReader
from gateway.login.guard import Admitted, Guard
from gateway.login.outcome import Blocked, Gone, GoOn, LockedOut, Refused, SignedIn
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.event import Event, entry_of
from gateway.model.factor import Factor, Proof, first_missing, method_of, with_proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import key_of, new_token
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.throttle import streaks
from gateway.web.visit import Visit

Outcome = SignedIn | GoOn | Refused | LockedOut | Blocked | Gone


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that somebody looks at. `is_ours`: this browser asked for it; `is_awaited`: some browser waits for it."""

    link: Link
    account: Account | None
    is_ours: bool
    is_awaited: bool


class Flow:
    """`owners` are normalised identifiers. The factors are those of the sign-in; each is one line here."""

    def __init__(
        self,
        *,
        store: Store,
        guard: Guard,
        owners: frozenset[str],
        notices: Notices,
        new_devices: NewDevices,
        totp_factor: TOTPFactor,
        backup_codes: BackupCodeFactor,
        magic_links: MagicLinkFactor,
    ) -> None:
        self._store = store
        self._guard = guard
        self._owners = owners
        self._notices = notices
        self._new_devices = new_devices
        self._evidence = EvidenceReader(owners)
        self._totp = totp_factor
        self._backup_codes = backup_codes
        self._magic_links = magic_links
        verifiers: Sequence[Verifier] = (totp_factor, backup_codes, magic_links)
        self._verifiers: Mapping[Factor, Verifier] = {verifier.factor: verifier for verifier in verifiers}

    async def find(self, visit: Visit, *, again: bool, now: int) -> Evidence | None:
        """Return what this browser has proved so far, if there is anything left to prove.

        `again`: the page that was asked for wants a proof of somebody who is signed in.
        """
        async with self._store.reading() as tx:
            return await self._evidence.find(tx, visit, again, now)

    async def begin(
        self, tx: Transaction, account: Account, session: Session | None, inbound: Inbound, now: int
    ) -> SignedIn | GoOn:
        """The password was right: open a session if that is enough, else an attempt.

        Whose `session` this browser has already, and it is of the same account, has just proved the password again.
        """
        proof = Proof(Factor.PASSWORD, now)
        enrolment = await totp.find_enrolment(tx, account.id)
        required = self._evidence.required(account, enrolment)
        await attempts.end_key(tx, inbound.attempt_key, now)
        if session is not None and session.account == account.id:
            outcome = await self._step_up(tx, account, session, proof, inbound, now)
            if isinstance(outcome, SignedIn):
                return outcome
        missing = first_missing(required, (proof,))
        if missing is None:
            return await self._open(tx, account, (proof,), inbound, now)
        attempt, token = await attempts.begin(tx, account.id, (proof,), now)
        details = {"proved": proof.factor.value, "next": missing.value}
        await audit.record_or_count(tx, entry_of(Event.LOGIN_STEP, account, inbound, now, details))
        return GoOn(missing, account, attempt.id, token)

    async def prove(self, visit: Visit, factor: Factor, given: Secret[str], *, again: bool, now: int) -> Outcome:
        """Check a code of `factor`, and take the next step if it is right."""
        async with self._store.transaction() as tx:
            evidence = await self._evidence.find(tx, visit, again, now, lock=True)
            if evidence is None:
                return Gone()
            if not evidence.admits(factor):
                return Refused(Wrong())
            if factor is Factor.BACKUP_CODE and not evidence.has_totp:  # a set-up that is demanded is not evaded
                return Gone()
            admitted = await self._guard.admit(tx, factor, evidence.account, visit.inbound, now)
            if not isinstance(admitted, Admitted):
                reason = "blocked" if isinstance(admitted, Blocked) else "locked"
                details = {"factor": factor.value, "reason": reason}
                await self._note(tx, Event.LOGIN_2FA_FAILED, evidence, visit.inbound, now, details)
                return admitted
            verdict = await self._verifiers[factor].verify(tx, evidence.asked, given, now)
            if isinstance(verdict, Wrong):
                account, session = evidence.account, evidence.session_id
                await self._guard.refuse(tx, factor, account, admitted, verdict, visit.inbound, now, session)
                return Refused(verdict)
            await self._guard.forgive(tx, factor, evidence.account, admitted, now)
            await self._tell(tx, factor, evidence, visit.inbound, now)
            return await self._advance(tx, evidence, Proof(factor, now), visit.inbound, now)

    async def open_link(self, visit: Visit, token: str, now: int) -> Outcome:
        """The button of a link's page was pressed. Only the browser that asked for the link can complete with it."""
        async with self._store.transaction() as tx:
            link = await magic_link.find(tx, token)
            evidence = await self._evidence.holder_of(tx, link, visit, now, lock=True) if link else None
            if link is None or evidence is None:
                return Gone()
            verdict = await self._magic_links.consume(tx, link, now)
            if isinstance(verdict, Wrong):
                await self._guard.write_down(
                    tx, Factor.MAGIC_LINK, evidence.account, verdict, visit.inbound, now, evidence.session_id
                )
                return Refused(verdict)
            return await self._advance(tx, evidence, Proof(Factor.MAGIC_LINK, now), visit.inbound, now)

    async def enrol(self, visit: Visit, offered: str, given: Secret[str], *, again: bool, now: int) -> Outcome:
        """Set TOTP up as the last step of signing in: the secret is real once a code of it was right."""
        async with self._store.transaction() as tx:
            evidence = await self._evidence.find(tx, visit, again, now, lock=True)
            if evidence is None or evidence.has_totp or evidence.next is not Factor.TOTP:
                return Gone()
            session = evidence.session_id
            codes = await self.set_up(tx, evidence.account, offered, given, visit.inbound, now, session)
            if codes is None:
                return Refused(Wrong())
            outcome = await self._advance(tx, evidence, Proof(Factor.TOTP, now), visit.inbound, now)
            if isinstance(outcome, SignedIn):
                return SignedIn(outcome.token, outcome.is_owner, outcome.arrival, tuple(codes))
            return outcome

    async def set_up(
        self,
        tx: Transaction,
        account: Account,
        offered: str,
        given: Secret[str],
        inbound: Inbound,
        now: int,
        session: str | None,
    ) -> list[Secret[str]] | None:
        """Make the offered secret the account's and return fresh backup codes; None if the code was wrong.

        `session` is the id of the session that does it, None in a sign-in.
        """
        secret = self._totp.reopen(account.id, offered, now)
        if secret is None or not await self._totp.enrol(tx, account.id, secret, given, now):
            await self._guard.write_down(tx, Factor.TOTP, account, Wrong(), inbound, now, session)
            return None
        await streaks.reset_all(tx, account.id)
        codes = await self._backup_codes.regenerate(tx, account.id, now)
        await audit.record(tx, entry_of(Event.TWO_FACTOR_ENABLED, account, inbound, now, None, session))
        await self._notices.send(tx, "totp_enabled", account, inbound, now)
        return codes

    async def look_at_link(self, visit: Visit, token: str, now: int) -> Opened | None:
        """Return what there is to know about a link. Changes nothing."""
        async with self._store.reading() as tx:
            link = await magic_link.find(tx, token)
            if link is None:
                return None
            is_ours = await self._evidence.holder_of(tx, link, visit, now) is not None
            is_awaited = (
                is_ours or await attempts.is_live(tx, link.holder, now) or await session_rows.is_open(tx, link.holder)
            )
            return Opened(link, await account_rows.find(tx, link.account), is_ours, is_awaited)

    async def latest_link(self, evidence: Evidence) -> Link | None:
        """Return the newest link that was asked for with this evidence."""
        async with self._store.reading() as tx:
            return await magic_link.latest(tx, evidence.holder)

    async def start_over(self, visit: Visit, now: int) -> None:
        """Give the attempt up."""
        async with self._store.transaction(announce=False) as tx:
            await attempts.end_key(tx, visit.inbound.attempt_key, now)

    async def left_behind(self, visit: Visit) -> tuple[AppCookie, ...] | None:
        """Return the cookies that the application set for who was in this browser before; None for the same person."""
        key, session = visit.inbound.browser_key, visit.session
        async with self._store.reading() as tx:
            last = await browser_rows.last_account(tx, key)
            return None if session is None or last in (None, session.account) else await browser_rows.learnt(tx, key)

    async def settle_in(self, session: Session, visit: Visit, now: int) -> Arrival:
        """The browser is cleared: from now on it is that of `session`."""
        async with self._store.transaction(announce=False) as tx:
            return await browser_rows.arrive(tx, visit.inbound.browser_key, session.account, None, now)

    # What it leads to.

    async def _advance(self, tx: Transaction, evidence: Evidence, proof: Proof, inbound: Inbound, now: int) -> Outcome:
        account = evidence.account
        if evidence.session is not None:
            return await self._step_up(tx, account, evidence.session, proof, inbound, now)
        proofs = with_proof(evidence.proofs, proof)
        missing = first_missing(self._evidence.required(account, await totp.find_enrolment(tx, account.id)), proofs)
        if missing is None:
            return (
                await self._open(tx, account, proofs, inbound, now)
                if await attempts.end(tx, evidence.holder, now)
                else Gone()
            )
        if not await attempts.add_proofs(tx, evidence.holder, proofs):
            return Gone()
        details = {"proved": proof.factor.value, "next": missing.value}
        await audit.record_or_count(tx, entry_of(Event.LOGIN_STEP, account, inbound, now, details))
        return GoOn(missing, account, evidence.holder)

    async def _step_up(
        self, tx: Transaction, account: Account, session: Session, proof: Proof, inbound: Inbound, now: int
    ) -> SignedIn | Gone:
        """Add a proof to a session, under another cookie: who had the old one learns nothing new with it."""
        token = await session_rows.renew(tx, session.id, inbound.session_key, with_proof(session.proofs, proof))
        if token is None:
            return Gone()
        details = {"proved": proof.factor.value}
        await audit.record(tx, entry_of(Event.STEP_UP, account, inbound, now, details, session.id))
        return SignedIn(token, session.is_owner)

    async def _open(
        self, tx: Transaction, account: Account, proofs: tuple[Proof, ...], inbound: Inbound, now: int
    ) -> SignedIn:
        last = await self._end_last(tx, account, inbound, now)
        arrival = await browser_rows.arrive(tx, inbound.browser_key, account.id, last, now)
        is_known = await session_rows.is_known_device(tx, account.id, inbound.address, inbound.user_agent, now)
        token = new_token()
        session = await session_rows.add(
            tx,
            token_key=key_of(token),
            account_id=account.id,
            proofs=proofs,
            address=inbound.address,
            user_agent=inbound.user_agent,
            now=now,
        )
        details = {"method": method_of(proofs)}
        await audit.record(tx, entry_of(Event.LOGIN, account, inbound, now, details, session))
        if not is_known:
            await self._new_devices.tell(tx, account, session, inbound, now)
        return SignedIn(token, account.identifier in self._owners, arrival)

    async def _end_last(self, tx: Transaction, account: Account, inbound: Inbound, now: int) -> str | None:
        """End the session that this browser came with. Returns whose it was."""
        if inbound.session_key is None:
            return None
        owner = await session_rows.account_of_key(tx, inbound.session_key)
        if await session_rows.end_key(tx, inbound.session_key, now):
            whose = account if owner == account.id else await account_rows.find(tx, owner or "")
            details = {"how": "signed in anew"}
            await audit.record(tx, entry_of(Event.LOGOUT, whose or account, inbound, now, details))
        return owner

    async def _tell(self, tx: Transaction, factor: Factor, evidence: Evidence, inbound: Inbound, now: int) -> None:
        if factor is Factor.BACKUP_CODE:
            left = (await backup_code.count_left(tx, evidence.account.id)).count
            await self._note(tx, Event.TWO_FACTOR_CODE_USED, evidence, inbound, now, {"left": left})
            await self._notices.send(tx, "backup_code_used", evidence.account, inbound, now, left=left)

    async def _note(
        self,
        tx: Transaction,
        event: Event,
        evidence: Evidence,
        inbound: Inbound,
        now: int,
        details: Mapping[str, str] | Mapping[str, int],
    ) -> None:
        await audit.record_or_count(tx, entry_of(event, evidence.account, inbound, now, details, evidence.session_id))
