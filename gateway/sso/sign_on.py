"""Signing in with a tenant's identity provider: begin, and complete what the provider answers.

    begin: keep the sign-in -> the browser goes to the provider -> complete: consume it -> exchange the code
    -> check the ID token -> the linked account, a mailed confirmation, or a new account

An account is found by its link to provider and subject, never by its email. Owners can't be linked. A provider's
assertion stands for the password; for the second step too, only if the tenant says that its provider asks for one and
the token shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.accounts import claims as domains
from gateway.accounts import rows as account_rows
from gateway.accounts.invitations import TooManyMails, count_mail
from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.login.flow import Flow
from gateway.login.outcome import GoOn, LockedOut, OtherNetwork, SignedIn
from gateway.model.account import Account, Unacceptable, normalise_identifier
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import key_of, key_of_text, new_token
from gateway.observe.logs import get_logger
from gateway.sso import origins, rows, waits
from gateway.sso.arrival import Arrivals
from gateway.sso.factor import SSO
from gateway.sso.keys import rows as keys
from gateway.sso.oidc.errors import judge_error
from gateway.sso.oidc.exchange import Exchange
from gateway.sso.oidc.record import Claims, Provider, Refusal, Refused
from gateway.sso.oidc.request import Answer, Question, can_ask_anew, check_answer
from gateway.sso.outcome import Mailed, NotSignedIn, Outcome, TriedInVain
from gateway.sso.proof import proof_of
from gateway.sso.reasons import told
from gateway.sso.roles.follow import Follower
from gateway.sso.rows import Registered
from gateway.sso.trial import Trials, is_of_trial
from gateway.sso.waits import BEGINNINGS, Wait, derive
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.address_limit import AddressLimit
from gateway.throttle.limits import Limit, Locked
from gateway.web.redirects import Wish
from gateway.web.return_to import HOME
from gateway.web.visit import Visit

log = get_logger("sso")

TRIALS = Limit(failures=12, window_seconds=60, lock_seconds=60)
"""By tenant: each may be of another provider, with a name that keeps one of our few threads for half a minute."""


class SignOn:
    """`callback` returns the absolute URL that a tenant's provider sends people back to; of `key`, secrets are derived.

    `limit` is of answers that belong to no sign-in; those that are begun have a limit of their own (BEGINNINGS).
    """

    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        flow: Flow,
        sealer: Sealer,
        key: Secret[bytes],
        exchange: Exchange,
        arrivals: Arrivals,
        follower: Follower,
        limit: Limit,
        callback: Callable[[str], str],
    ) -> None:
        self._store = store
        self._actions = actions
        self._flow = flow
        self._sealer = sealer
        self._key = key
        self._exchange = exchange
        self._arrivals = arrivals
        self._follower = follower
        self._trials = Trials(sealer, arrivals, follower)
        self._limit = AddressLimit("sso", BEGINNINGS)
        self._unasked = AddressLimit("sso-unasked", limit)
        self._callback = callback

    # Beginning.

    async def find_by_email(self, email: str) -> Registered | None:
        """Return the provider of the tenant that the email's domain belongs to. Says nothing about accounts."""
        try:
            domain = normalise_identifier(email).rpartition("@")[2]
        except Unacceptable:
            return None
        async with self._store.reading() as tx:
            claim = await domains.find(tx, domain)
            return await self._find_in_use(tx, claim.tenant) if claim else None

    async def find_by_tenant(self, tenant: str) -> Registered | None:
        async with self._store.reading() as tx:
            return await self._find_in_use(tx, tenant)

    async def find_name(self, tenant: str) -> str:
        async with self._store.reading() as tx:
            return await account_rows.find_tenant_name(tx, tenant)

    async def begin(
        self,
        registered: Registered,
        browser: bytes,
        target: str,
        inbound: Inbound,
        now: int,
        *,
        session: Session | None = None,
        is_trial: bool = False,
        is_stale: bool = False,
    ) -> str | NotSignedIn | TriedInVain | LockedOut:
        """Keep a sign-in of the `browser` (SHA-256 of its cookie), and return the URL of the provider.

        `session` is the one that needs a fresh proof, or of the administrator of a trial. Both have to sign in again at
        the provider: the trial shows whether it can be asked for that. So has who has a session that `is_stale`, and
        can't be used until what it lacks is set up.
        """
        if (lock := self._limit.find_lock(inbound.address, now)) is not None:
            return LockedOut(lock.until)
        if is_trial and (locked := await self._count_trial(registered.provider.tenant, now)) is not None:
            return LockedOut(locked.until)
        if session is not None and not is_trial and not can_ask_anew(registered.provider):
            return await self._fail(registered, Refused(Refusal.NO_AUTH_TIME), inbound, now, is_trial=False)
        metadata = await self._exchange.metadata(registered.provider)
        if isinstance(metadata, Refused):
            return await self._fail(registered, metadata, inbound, now, is_trial=is_trial)
        state = new_token()
        key = registered.provider.client_key if is_trial else None
        who = session.id if session else ""
        wait = Wait(registered.provider.id, target, who, is_trial, now, key.id if key else "")
        async with self._store.transaction() as tx:
            reserved = await self._limit.reserve(tx, inbound.address, now)
            if isinstance(reserved, Locked):
                return LockedOut(reserved.until)
            await waits.begin(tx, key_of(state), browser, wait)
        is_anew = (session is not None or is_stale) and can_ask_anew(registered.provider)
        question = Question(
            redirect_uri=self._callback(registered.provider.tenant),
            state=state,
            nonce=derive(self._key, "nonce", state),
            verifier=derive(self._key, "verifier", state),
            prompt="login" if is_anew else "",
            max_age=0 if is_anew else None,
            acr_values=registered.wanted,
        )
        asked = await self._exchange.ask(registered.provider, question)
        if isinstance(asked, Refused):
            async with self._store.transaction() as tx:
                await self._limit.give_back(tx, inbound.address, now)
            return await self._fail(registered, asked, inbound, now, is_trial=is_trial)
        return asked

    async def _count_trial(self, tenant: str, now: int) -> Locked | None:
        async with self._store.transaction() as tx:
            reserved = await limits.reserve(tx, f"sso-trials:{tenant}", TRIALS, now)
        return reserved if isinstance(reserved, Locked) else None

    # Completing.

    async def complete(self, tenant: str, visit: Visit, answer: Answer, now: int) -> tuple[Outcome, Wish]:
        """Return the outcome of a provider's answer, and the wish that the sign-in began with.

        The answer has to come to the URL of the `tenant` whose provider was asked (RFC 9700 §4.4.2). Otherwise that
        could have people sign in at another company's provider, and would be sent the code. Most providers do not name
        themselves in their answers (RFC 9207).
        """
        key = key_of_text(answer.state.reveal()) or b""
        async with self._store.reading() as tx:
            is_awaited = await waits.is_awaited(tx, key, visit.inbound.sso_key, now)
        if not is_awaited:
            return await self.refuse(Refused(Refusal.STATE), visit, now), Wish(HOME)
        async with self._store.transaction() as tx:
            wait = await waits.end(tx, key, visit.inbound.sso_key, now)
            registered = await self._find_waiting(tx, wait) if wait else None
            if wait is not None:
                await self._limit.give_back(tx, visit.inbound.address, wait.began_at)
        if wait is None or registered is None or not (registered.provider.is_enabled or wait.is_trial):
            return await self.refuse(Refused(Refusal.STATE), visit, now), Wish(HOME)
        wish = Wish(wait.target, again=wait.is_step_up)
        is_ours = registered.provider.tenant == tenant
        claims = await self._redeem(registered, wait, answer) if is_ours else Refused(Refusal.ANSWER_ISSUER)
        async with self._actions.begin(requester(visit.inbound, wait.session or None), now) as action:
            if isinstance(claims, Refused):
                refused = await self._note(action, registered, claims)
                is_shown = wait.is_trial and is_of_trial(visit, wait)
                return TriedInVain(registered.provider.kind, claims) if is_shown else refused, wish
            current = await self._find_unchanged(action.tx, registered.provider, wait)
            if current is None:
                return await self._note(action, registered, Refused(Refusal.CHANGED)), wish
            if await origins.has_left(action.tx, wait.provider, claims, since=now):
                return await self._refuse(action, None, "late", registered.provider.tenant), wish
            if wait.is_trial:
                tried = await self._trials.judge(action, registered, claims, wait, visit)
                return tried or await self._refuse(action, None, "other", registered.provider.tenant), wish
            return await self._admit(action, current, claims, wait, visit), wish

    async def _find_unchanged(self, tx: Transaction, asked: Provider, wait: Wait) -> Registered | None:
        """Lock the provider that was asked, and return it with its settings of now.

        None if it was removed, turned off or exchanged since: while it was asked, nothing was locked.
        """
        if not await origins.hold(tx, wait.provider, alone=wait.is_trial):
            return None
        found = await rows.find_provider(tx, self._sealer, wait.provider)
        is_open = found is not None and (found.provider.is_enabled or wait.is_trial)
        return found if found is not None and is_open and rows.knows_the_same(asked, found.provider) else None

    async def _find_waiting(self, tx: Transaction, wait: Wait) -> Registered | None:
        """Return the provider of a wait, and the key that a trial began with, which may be the next one."""
        found = await rows.find_provider(tx, self._sealer, wait.provider)
        if found is None or not wait.client_key:
            return found
        key = await keys.open_key(tx, self._sealer, wait.provider, wait.client_key)
        return replace(found, provider=replace(found.provider, client_key=key)) if key else None

    async def _redeem(self, registered: Registered, wait: Wait, answer: Answer) -> Claims | Refused:
        metadata = await self._exchange.metadata(registered.provider)
        if isinstance(metadata, Refused):
            return metadata
        if (mixed_up := check_answer(answer, metadata)) is not None:
            return mixed_up
        if answer.error:
            return judge_error(answer.error, answer.error_description)
        return await self._exchange.redeem(
            registered.provider, answer.code, callback=self._callback(registered.provider.tenant),
            verifier=derive(self._key, "verifier", answer.state), nonce=derive(self._key, "nonce", answer.state),
            asked_at=wait.began_at if wait.is_step_up else None,
        )  # fmt: skip

    async def _admit(
        self, action: Action, registered: Registered, claims: Claims, wait: Wait, visit: Visit
    ) -> SignedIn | GoOn | OtherNetwork | NotSignedIn | Mailed:
        provider = registered.provider
        if claims.is_guest:
            return await self._refuse(action, None, "guest", provider.tenant)
        link = await rows.find_link(action.tx, provider.id, claims.key)
        if link is None:
            return await self._arrive(action, registered, claims, wait, visit)
        account = await account_rows.find(action.tx, link.account, lock=True)
        if account is None or not await self._arrivals.may_enter(action.tx, account, provider.tenant):
            return await self._refuse(action, account, "account", registered.provider.tenant)
        if wait.session and (visit.session is None or visit.session.account != account.id):
            return await self._refuse(action, account, "other", registered.provider.tenant)
        await rows.note_use(action.tx, link.id, action.now)
        account = await self._follower.follow(action, registered, claims, account)
        return await self._enter(action, registered, claims, account, wait, visit)

    async def _arrive(
        self, action: Action, registered: Registered, claims: Claims, wait: Wait, visit: Visit
    ) -> SignedIn | GoOn | OtherNetwork | NotSignedIn | Mailed:
        """Receive somebody whom the provider sends for the first time. A session of another person gains nothing."""
        found = await self._arrivals.match(action.tx, registered, claims)
        if isinstance(found, str):
            return await self._refuse(action, None, found, registered.provider.tenant)
        identifier, account = found
        if wait.session and (account is None or visit.session is None or visit.session.account != account.id):
            return await self._refuse(action, account, "other", registered.provider.tenant)
        tenant = registered.provider.tenant
        if account is None and claims.is_email_verified:
            asserted = await self._follower.read(action.tx, registered, claims)
            account = await self._arrivals.create(action, registered, identifier, claims.name, asserted)
            if account is None or not await self._arrivals.connect(action, registered, claims.key, account):
                return await self._refuse(action, None, "account", registered.provider.tenant)
            return await self._enter(action, registered, claims, account, wait, visit)
        try:
            await count_mail(action.tx, tenant, identifier, action.now)
        except TooManyMails:
            return await self._refuse(action, account, "mails", tenant)
        await self._arrivals.mail(
            action, registered, claims, identifier, account, browser=visit.inbound.sso_key or b"", target=wait.target
        )
        return Mailed(identifier)

    async def _enter(
        self, action: Action, registered: Registered, claims: Claims, account: Account, wait: Wait, visit: Visit
    ) -> SignedIn | GoOn | OtherNetwork:
        """Open a session or an attempt, and note its origin, by which the provider can end it."""
        held = visit.signed_in if visit.signed_in is not None and visit.signed_in.account == account.id else None
        proof = proof_of(registered, claims, action.now, is_fresh=wait.is_step_up, session=held)
        outcome = await self._flow.begin(action, account, proof, visit)
        if isinstance(outcome, OtherNetwork):
            return outcome
        await origins.note(action.tx, outcome.holder, account.id, registered.provider.id, claims, action.now)
        return outcome

    async def _find_in_use(self, tx: Transaction, tenant: str) -> Registered | None:
        """Return the enabled provider of an active tenant."""
        found = await rows.find_of_tenant(tx, self._sealer, tenant)
        is_open = found is not None and found.provider.is_enabled and await account_rows.is_tenant_active(tx, tenant)
        return found if is_open else None

    # Refusing. The reason goes to the audit log and the log, and in a trial to the administrator.

    async def refuse(self, refused: Refused, visit: Visit, now: int) -> NotSignedIn | LockedOut:
        """Refuse an answer that belongs to no sign-in of this browser. Many of them are not even recorded."""
        address = visit.inbound.address
        if (lock := self._unasked.find_lock(address, now)) is not None:
            return LockedOut(lock.until)
        async with self._actions.begin(requester(visit.inbound), now) as action:
            reserved = await self._unasked.reserve(action.tx, address, now)
            return (
                LockedOut(reserved.until) if isinstance(reserved, Locked) else await self._note(action, None, refused)
            )

    async def _fail(
        self, registered: Registered, refused: Refused, inbound: Inbound, now: int, *, is_trial: bool
    ) -> NotSignedIn | TriedInVain:
        async with self._actions.begin(requester(inbound), now) as action:
            noted = await self._note(action, registered, refused)
        return TriedInVain(registered.provider.kind, refused) if is_trial else noted

    async def _note(self, action: Action, registered: Registered | None, refused: Refused) -> NotSignedIn:
        """Record what came from a provider, or from somebody who pretends to be one."""
        tenant = registered.provider.tenant if registered else None
        details = {
            "factor": SSO,
            "reason": refused.reason.value,
            **({"said": refused.detail} if refused.detail else {}),
        }
        await action.record_attempt(Event.LOGIN_FAILED, "", None, details, tenant=tenant)
        if tenant is not None:
            log.warning("provider_refused", tenant=tenant, reason=refused.reason.value, said=refused.detail)
        return NotSignedIn(told(refused.reason))

    async def _refuse(self, action: Action, account: Account | None, why: str, tenant: str) -> NotSignedIn:
        identifier, details = account.identifier if account else "", {"factor": SSO, "reason": why}
        await action.record_attempt(Event.LOGIN_FAILED, identifier, account, details, tenant=tenant)
        return NotSignedIn(why)
