"""Signing in with a passkey instead of a password: it proves possession, and by user verification a second factor.

No email is typed: the account is found by the credential id, and the user handle must match it. Signatures can't be
guessed, so failures lock no account; but anyone may send some, so an address has a limited number of them. Owners
always type their password.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, requester
from gateway.factors.passkey import ceremony, rows
from gateway.factors.passkey.ceremony import Asserted, Refused, Site
from gateway.factors.passkey.challenges import Asking, Challenges
from gateway.factors.passkey.factor import describe, details_of, handle_of, news_of
from gateway.factors.passkey.rows import Passkey
from gateway.login.flow import Flow
from gateway.login.outcome import GoOn, LockedOut, OtherNetwork, SignedIn
from gateway.model.account import Account, Status
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.store import Store
from gateway.throttle.address_limit import AddressLimit
from gateway.throttle.limits import Locked
from gateway.web.visit import Visit

log = get_logger("passkeys")

SIGN_IN = "sign-in"
STANDS_FOR = (Factor.PASSWORD, Factor.TOTP, Factor.PASSKEY)


@dataclass(frozen=True, slots=True)
class NotThisOne:
    """The passkey was refused: "unknown" if no account has the `credential`, "late" if the challenge is no longer good,
    "password" if the account must type one, "malformed" if no browser sends such an answer, otherwise "wrong".
    """

    why: str
    credential: bytes = b""


class PasskeySignIn:
    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        flow: Flow,
        challenges: Challenges,
        site: Site,
        policy: FactorPolicy,
        limit: AddressLimit,
    ) -> None:
        self._store = store
        self._actions = actions
        self._flow = flow
        self._challenges = challenges
        self._site = site
        self._policy = policy
        self._limit = limit

    async def ask(self, holder: str, session: Session | None, now: int) -> tuple[dict[str, object], Asking]:
        """Return the options for the browser, and its challenge for `holder` (see holder_of).

        They name no passkey, except for a fresh proof of `session`: the sign-in page must not depend on an account.
        """
        asking = self._challenges.ask(SIGN_IN, holder, now)
        allowed = []
        if session is not None:
            async with self._store.reading() as tx:
                allowed = describe(self._site, await rows.list_of(tx, session.account))
        options = ceremony.request_options(
            self._site, challenge=asking.challenge, allowed=allowed, needs_verification=True
        )
        return options, asking

    async def sign_in(
        self, holder: str, session: Session | None, given: Secret[str], visit: Visit, now: int
    ) -> SignedIn | GoOn | OtherNetwork | NotThisOne | LockedOut:
        """Verify the browser's answer, and take the next step. `session` is the one to confirm, if any."""
        sealed, _, answer = given.reveal().partition(" ")
        address = visit.inbound.address
        # Before any transaction, so that a flood doesn't load the store.
        if (lock := self._limit.find_lock(address, now)) is not None:
            return LockedOut(lock.until)
        if self._challenges.open(SIGN_IN, holder, sealed, now) is None:
            return NotThisOne("late")
        credential = ceremony.id_of(answer)
        async with self._actions.begin(requester(visit.inbound), now) as action:
            reserved = await self._limit.reserve(action.tx, address, now)
            if isinstance(reserved, Locked):
                await self._refuse(action, None, "locked")
                return LockedOut(reserved.until)
            if credential is None:
                outcome: SignedIn | GoOn | OtherNetwork | NotThisOne = await self._refuse(action, None, "malformed")
            elif (challenge := await self._challenges.take(action.tx, SIGN_IN, holder, sealed, now)) is None:
                outcome = await self._refuse(action, None, "late")
            else:
                outcome = await self._check(action, session, credential, challenge, answer, visit)
            if not isinstance(outcome, NotThisOne):
                await self._limit.give_back(action.tx, address, now)
            elif reserved.locks_now:
                await action.record_attempt(Event.LOGIN_LOCKOUT, "", None, {"factor": Factor.PASSKEY})
            return outcome

    async def _check(
        self, action: Action, session: Session | None, credential: bytes, challenge: bytes, answer: str, visit: Visit
    ) -> SignedIn | GoOn | OtherNetwork | NotThisOne:
        known = await rows.find_by_credential(action.tx, credential)
        account = await account_rows.find(action.tx, known.account, lock=True) if known is not None else None
        # Read again under the lock: it may have been removed while we waited.
        passkey = await rows.find_by_credential(action.tx, credential) if known is not None else None
        if passkey is None:
            return replace(await self._refuse(action, None, "unknown"), credential=credential)
        verdict = ceremony.read_assertion(
            answer, self._site, challenge, passkey.key,
            handle=handle_of(passkey.account), needs_verification=True, needs_handle=session is None,
        )  # fmt: skip
        demanded = None
        if account is not None and account.status is Status.ACTIVE:
            demanded = await account_rows.find_factor_policy(action.tx, account.tenant)
        if account is None or demanded is None or isinstance(verdict, Refused):
            reason = verdict.reason.value if isinstance(verdict, Refused) else "account"
            log.warning("passkey_refused", passkey=passkey.id, reason=reason)
            return await self._refuse(action, account, "wrong")
        if session is not None and session.account != account.id:
            return await self._refuse(action, account, "wrong")
        if not passkey.verifies or not self._policy.admits_passwordless(account.identifier, account.role, demanded):
            return await self._refuse(action, account, "password")
        return await self._admit(action, account, passkey, verdict, visit)

    async def _admit(
        self, action: Action, account: Account, passkey: Passkey, verdict: Asserted, visit: Visit
    ) -> SignedIn | GoOn | OtherNetwork:
        await rows.note_use(action.tx, passkey.id, verdict, action.now)
        news = news_of(passkey, verdict)
        if news is not None:
            await self._flow.report(action, news, account)
        proof = Proof(Factor.PASSKEY, action.now, STANDS_FOR)
        return await self._flow.begin(action, account, proof, visit, details_of(passkey))

    async def _refuse(self, action: Action, account: Account | None, why: str) -> NotThisOne:
        identifier = account.identifier if account else ""
        await action.record_attempt(Event.LOGIN_FAILED, identifier, account, {"factor": Factor.PASSKEY, "reason": why})
        return NotThisOne(why)


def holder_of(inbound: Inbound) -> str | None:
    """Return what a challenge of the sign-in page is bound to: the browser's cookie for attempts. None without one."""
    return None if inbound.attempt_key is None else f"browser {inbound.attempt_key.hex()}"
