"""The sign-in flow: verify one more factor, then ask for the next one or open a session.

    evidence (an attempt, or a session that needs a factor) -> guard -> factor -> the next factor, or a session

The next factor is computed from account, policy and proofs at every step; no current step is stored. Consuming a code,
its audit row and what it allows share one transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.accounts import rows as account_rows
from gateway.actions.action import NOTHING, Action, Actions, Told, requester
from gateway.browsers import rows as browser_rows
from gateway.browsers.record import AppCookie
from gateway.browsers.rows import Arrival
from gateway.devices.new_device import NewDevices
from gateway.devices.recognition import Recognition, recognise
from gateway.factors import enrolment
from gateway.factors.contract import FactorContract, Factors, News, Right, Wrong, proof_of
from gateway.languages.reader import accepted_language
from gateway.login import break_glass
from gateway.login.evidence import Evidence, EvidenceReader
from gateway.login.guard import Admitted, Guard
from gateway.login.outcome import Blocked, Gone, GoOn, LockedOut, OtherNetwork, Refused, SignedIn
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof, method_of, with_proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import key_of, new_token
from gateway.networks import rows as network_rows
from gateway.networks.refusals import record
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Store, StoreUnavailable, Transaction
from gateway.throttle import streaks
from gateway.web.visit import Visit

Outcome = SignedIn | GoOn | Refused | LockedOut | Blocked | Gone | OtherNetwork
Verify = Callable[[Transaction], Awaitable[Right | Wrong]]


class Flow:
    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        guard: Guard,
        policy: FactorPolicy,
        new_devices: NewDevices,
        factors: Factors,
    ) -> None:
        self._store = store
        self._actions = actions
        self._guard = guard
        self._policy = policy
        self._new_devices = new_devices
        self._evidence = EvidenceReader(policy)
        self._factors = factors

    async def find(self, visit: Visit, *, again: bool, now: int) -> Evidence | None:
        """Return this browser's evidence, if a proof is missing.

        `again`: return that of its session even so, because a page needs a fresh proof.
        """
        async with self._store.reading() as tx:
            return await self._evidence.find(tx, visit, again, now)

    async def begin(
        self, action: Action, account: Account, proof: Proof, visit: Visit, details: Told = NOTHING
    ) -> SignedIn | GoOn | OtherNetwork:
        """Begin with a first proof: open a session if it is sufficient, otherwise an attempt.

        A network rule is applied after the proof, so that it can't be asked without one.

        If this browser has a session of the same account, the proof is added to it (step-up). `details` go to the audit
        row of the proof.
        """
        inbound, session = visit.inbound, visit.session
        if await self._is_outside(action, account, inbound):
            return OtherNetwork()
        await attempts.end_key(action.tx, inbound.attempt_key, action.now)
        if session is not None and session.account == account.id:
            outcome = await self._step_up(action, account, session, proof, inbound, details)
            if isinstance(outcome, SignedIn):
                return outcome
        missing = await self._missing(action.tx, account, (proof,))
        if missing is None:
            return await self._open(action, account, (proof,), inbound, details)
        attempt, token = await attempts.begin(action.tx, account.id, (proof,), action.now)
        await action.record_or_count(Event.LOGIN_STEP, account, {"proved": proof.factor, "next": missing, **details})
        return GoOn(missing, account, attempt.id, token)

    async def challenge(self, outcome: GoOn, target: str, inbound: Inbound, now: int) -> str:
        """Prepare the next factor. Returns an addition to the query of its page (see FactorContract.challenge)."""
        factor = self._factors[outcome.factor]
        return await factor.challenge(outcome.account, outcome.holder, target, inbound, now)

    async def prove(self, visit: Visit, name: Factor, given: Secret[str], *, again: bool, now: int) -> Outcome:
        """Verify the code `given` for a factor, and take the next step if it is right."""
        factor = self._factors[name]
        async with self._actions.begin(requester(visit.inbound), now) as begun:
            evidence = await self._evidence.find(begun.tx, visit, again, now, lock=True)
            if evidence is None:
                return Gone()
            account, action = evidence.account, begun.within(evidence.session_id)
            if not factor.is_usable(account.enrolled, evidence.second):
                return Gone()
            if not evidence.admits(factor):
                return Refused(Wrong())
            if await self._is_outside(action, account, visit.inbound):
                return OtherNetwork()
            if not factor.is_guessable:
                verdict = await factor.verify(action.tx, evidence.asked, given, now)
                return await self._conclude(action, evidence, factor, verdict, visit.inbound)
            admitted = await self._guard.admit(action, name, account)
            if not isinstance(admitted, Admitted):
                reason = "blocked" if isinstance(admitted, Blocked) else "locked"
                await action.record_or_count(Event.LOGIN_2FA_FAILED, account, {"factor": name, "reason": reason})
                return admitted
            verdict = await factor.verify(action.tx, evidence.asked, given, now)
            if isinstance(verdict, Wrong):
                await self._guard.refuse(action, name, account, admitted, verdict)
                return Refused(verdict)
            await self._guard.forgive(action, name, account, admitted)
            return await self._advance(action, evidence, factor, verdict, visit.inbound)

    async def complete(self, visit: Visit, name: Factor, holder: str, verify: Verify, now: int) -> Outcome:
        """Verify a secret that can't be guessed, such as a link's token, without rate limits.

        It belongs to the attempt or session `holder`, and only the browser that has this one can use it.
        """
        async with self._actions.begin(requester(visit.inbound), now) as begun:
            evidence = await self._evidence.of_holder(begun.tx, holder, visit, now, lock=True)
            if evidence is None:
                return Gone()
            action = begun.within(evidence.session_id)
            if await self._is_outside(action, evidence.account, visit.inbound):
                return OtherNetwork()
            return await self._conclude(action, evidence, self._factors[name], await verify(action.tx), visit.inbound)

    async def holds(self, tx: Transaction, visit: Visit, holder: str, now: int) -> bool:
        """Whether this browser has the attempt or session with the id `holder`."""
        return await self._evidence.of_holder(tx, holder, visit, now) is not None

    async def enrol(
        self, visit: Visit, name: Factor, offered: str, given: Secret[str], *, again: bool, now: int
    ) -> Outcome:
        """Enrol a factor during sign-in, if it is next and not enrolled yet."""
        async with self._actions.begin(requester(visit.inbound), now) as begun:
            evidence = await self._evidence.find(begun.tx, visit, again, now, lock=True)
            if evidence is None or not evidence.may_enrol(self._factors[name]):
                return Gone()
            action = begun.within(evidence.session_id)
            if await self._is_outside(action, evidence.account, visit.inbound):
                return OtherNetwork()
            codes = await self.set_up(action, name, evidence.account, offered, given)
            if isinstance(codes, Wrong):
                return Refused(codes)
            outcome = await self._advance(action, evidence, self._factors[name], Right(), visit.inbound)
            if not isinstance(outcome, SignedIn):
                return outcome
            return replace(outcome, codes=codes, account=evidence.account.identifier)

    async def set_up(
        self, action: Action, name: Factor, account: Account, offered: str, given: Secret[str]
    ) -> tuple[Secret[str], ...] | Wrong:
        """Enrol a factor, if the code `given` is right for what was `offered`.

        Returns the new codes of the factors that go with it, to be shown once.
        """
        tx, now = action.tx, action.now
        verdict = await self._factors[name].enrol(tx, account, offered, given, now)
        if isinstance(verdict, Wrong):
            await self._guard.record_refusal(action, name, account, verdict)
            return verdict
        await streaks.reset_all(tx, account.id)
        codes = [
            await factor.renew(tx, account.id, now) for factor in self._factors.companions(name) if verdict.is_first
        ]
        await self.report(action, verdict.news, account)
        return tuple(code for some in codes for code in some)

    async def remove(self, action: Action, name: Factor, account: Account, news: News) -> bool:
        """Remove a factor, and what went with it alone. Returns whether it was enrolled."""
        if not await self._factors[name].forget(action.tx, account.id):
            return False
        await self.tidy(action, name, account)
        await self.report(action, news, account)
        return True

    async def tidy(self, action: Action, name: Factor, account: Account) -> None:
        """Remove what went with a factor, after it or a part of it was removed."""
        left = (await enrolment.find(action.tx, account.id)).factors
        for factor in self._factors.companions(name):
            if factor.goes_with.isdisjoint(left):
                await factor.forget(action.tx, account.id)
        await streaks.reset_all(action.tx, account.id)

    async def report(self, action: Action, news: News, account: Account) -> None:
        """Write the audit row of a factor's news, and mail the person."""
        await action.record(news.event, account, news.details)
        await action.notify(news.mail, account, **news.details)

    async def start_over(self, visit: Visit, now: int) -> None:
        """End the attempt."""
        async with self._store.transaction() as tx:
            await attempts.end_key(tx, visit.inbound.attempt_key, now)

    async def find_way_out(self, session: Session, now: int) -> str:
        """Return the page to show instead of the sign-in page after signing out, "" if none."""
        async with self._store.reading() as tx:
            ways = [await factor.way_out(tx, session, now) for factor in self._factors.of(session.proofs)]
        return next(filter(None, ways), "")

    async def list_former_cookies(self, visit: Visit) -> tuple[AppCookie, ...] | None:
        """Return the application's cookies of this browser's former user; None if that is the same person."""
        key, session = visit.inbound.browser_key, visit.session
        async with self._store.reading() as tx:
            last = await browser_rows.last_account(tx, key)
            return None if session is None or last in (None, session.account) else await browser_rows.learnt(tx, key)

    async def claim_browser(self, session: Session, visit: Visit, now: int) -> Arrival:
        """Assign the browser, whose cookies are cleared, to the account of `session`."""
        async with self._store.transaction() as tx:
            return await browser_rows.arrive(tx, visit.inbound.browser_key, session.account, None, now)

    async def _is_outside(self, action: Action, account: Account, inbound: Inbound) -> bool:
        """Whether a network rule refuses the address, which is then recorded."""
        rule = await network_rows.find_rule(action.tx, account, self._policy)
        refusal = rule.refuse(inbound.address, action.now) if rule else ""
        if refusal:
            await record(action, account, "sign-in", refusal)
        return bool(refusal)

    async def _conclude(
        self, action: Action, evidence: Evidence, factor: FactorContract, verdict: Right | Wrong, inbound: Inbound
    ) -> Outcome:
        """Record the refusal of a proof that can't be guessed, or advance."""
        if isinstance(verdict, Wrong):
            await self._guard.record_refusal(action, factor.name, evidence.account, verdict)
            return Refused(verdict)
        return await self._advance(action, evidence, factor, verdict, inbound)

    # After a right proof.

    async def _advance(
        self, action: Action, evidence: Evidence, factor: FactorContract, right: Right, inbound: Inbound
    ) -> Outcome:
        tx, now = action.tx, action.now
        account, proof = evidence.account, proof_of(factor, now)
        if right.news is not None:
            await self.report(action, right.news, account)
        if evidence.session is not None:
            return await self._step_up(action, account, evidence.session, proof, inbound, right.details)
        proofs = with_proof(evidence.proofs, proof)
        missing = await self._missing(tx, account, proofs)
        if missing is None:
            return (
                await self._open(action, account, proofs, inbound, right.details, evidence.holder)
                if await attempts.end(tx, evidence.holder, now)
                else Gone()
            )
        if not await attempts.add_proofs(tx, evidence.holder, proofs):
            return Gone()
        details = {"proved": proof.factor, "next": missing, **right.details}
        await action.record_or_count(Event.LOGIN_STEP, account, details)
        return GoOn(missing, account, evidence.holder)

    async def _missing(self, tx: Transaction, account: Account, proofs: tuple[Proof, ...]) -> Factor | None:
        """Return the factor to ask for next, if any."""
        missing = await self._evidence.find_missing(tx, account, proofs)
        if missing is not None and missing not in self._factors:  # see sessions.live.open_lookup
            raise StoreUnavailable(f"{account.id} has to prove {missing}, which only a newer version can ask for")
        return missing

    async def _step_up(
        self, action: Action, account: Account, session: Session, proof: Proof, inbound: Inbound, details: Told
    ) -> SignedIn | Gone:
        """Add a proof to a session, and change its cookie, so that a stolen old one doesn't gain the new proof."""
        proofs = with_proof(session.proofs, proof)
        token = await session_rows.renew(action.tx, session.id, inbound.session_key, proofs)
        if token is None:
            return Gone()
        await action.record(Event.STEP_UP, account, {"proved": proof.factor, **details}, session.id)
        return SignedIn(token, session.is_owner, holder=session.id)

    async def _open(
        self,
        action: Action,
        account: Account,
        proofs: tuple[Proof, ...],
        inbound: Inbound,
        details: Told,
        attempt: str = "",
    ) -> SignedIn:
        tx, now = action.tx, action.now
        last = await self._end_last(action, account, inbound)
        found = await recognise(tx, account.id, inbound, now)
        arrival = await browser_rows.arrive(tx, inbound.browser_key, account.id, last, now)
        is_known = found is not Recognition.NEW_DEVICE
        await account_rows.note_reader(tx, account.id, accepted_language(inbound), inbound.zone, is_known=is_known)
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
        remarks = {**details, found.mail: True} if found.mail else details
        proved = " ".join(proof.factor for proof in proofs)
        await action.record(Event.LOGIN, account, {"method": method_of(proofs), "proved": proved, **remarks}, session)
        await self._new_devices.report(action, account, session, found)
        for factor in self._factors.of(proofs if attempt else ()):
            await factor.take_along(tx, attempt, session)
        await break_glass.report_use(action, account, proofs, session)
        return SignedIn(token, account.identifier in self._policy.owners, arrival, holder=session)

    async def _end_last(self, action: Action, account: Account, inbound: Inbound) -> str | None:
        """End this browser's former session. Returns the id of its account."""
        if inbound.session_key is None:
            return None
        owner = await session_rows.account_of_key(action.tx, inbound.session_key)
        if await session_rows.end_key(action.tx, inbound.session_key, action.now):
            whose = account if owner == account.id else await account_rows.find(action.tx, owner or "")
            await action.record(Event.LOGOUT, whose or account, {"how": "signed in anew"})
        return owner
