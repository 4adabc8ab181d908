"""Sets passwords: by a mailed link (reset, invitation) or at /me/password.

A request for a reset link gives the same response after the same work, whether or not the account exists. For an
unknown email, a link without an account is stored, with a mail that is never sent. People without a password, who sign
in with an identity provider, get a mail that says so: an administrator can invite them to choose a password.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import change, links
from gateway.accounts import rows as account_rows
from gateway.accounts.links import INVITED_BY, LinkState, MailedLink, Purpose, kept_way
from gateway.actions.action import NOTHING, Actions, requester
from gateway.crypto.hashing import Hasher, Verdict
from gateway.crypto.sealing import Sealer
from gateway.factors import tries
from gateway.factors.contract import Factors
from gateway.mail.outbox import NOBODY, Outbox
from gateway.model.account import Account, Status, Unacceptable, normalise_identifier
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof, with_proof
from gateway.model.factor_policy import FactorPolicy, TenantPolicy
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.passwords.policy import Person, Refusal
from gateway.passwords.service import Judgement, PasswordChecker
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.client import client_of
from gateway.throttle.limits import Limit, Locked, Open, address_bucket, for_known
from gateway.web.return_to import HOME, return_query

ASKED = Limit(failures=5, window_seconds=3_600, lock_seconds=3_600)
ASKED_IN_A_DAY = Limit(failures=10, window_seconds=DAY, lock_seconds=DAY)
ASKED_FROM_ADDRESS = Limit(failures=50, window_seconds=3_600, lock_seconds=3_600)


@dataclass(frozen=True, slots=True)
class Set:
    """The password is set. `token` is the new cookie if this browser's session stays open; `email` is the account's.

    `target` is the page that the person wanted to open when they asked for the link, "" if none.
    """

    token: Secret[str] | None = None
    email: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The policy rejects the password."""

    why: Refusal


@dataclass(frozen=True, slots=True)
class Opened:
    """A valid link, its account, and the name of the account's tenant."""

    link: MailedLink
    account: Account
    company: str

    @property
    def invited_by(self) -> str:
        """The name of the person who sent the invitation; "" in links of former versions, and for a reset."""
        return self.link.content.get(INVITED_BY, "")


@dataclass(frozen=True, slots=True)
class InvalidLink:
    """The link is invalid; `state` is None if it is unknown."""

    state: LinkState | None


@dataclass(frozen=True, slots=True)
class WrongCurrent:
    """The current password was wrong."""


@dataclass(frozen=True, slots=True)
class TooOften:
    """Too many wrong passwords; `until` is UTC seconds."""

    until: int


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The password hashing queue is full; nothing was checked."""


class PasswordService:
    """`reset_address` is the absolute URL of reset links, to be followed by the token, `login_address` of sign-in."""

    def __init__(
        self,
        *,
        store: Store,
        hasher: Hasher,
        checker: PasswordChecker,
        sealer: Sealer,
        outbox: Outbox,
        actions: Actions,
        limit: Limit,
        factors: Factors,
        product: str,
        policy: FactorPolicy,
        reset_address: str,
        login_address: str,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._checker = checker
        self._sealer = sealer
        self._outbox = outbox
        self._actions = actions
        self._limit = limit
        self._factors = factors
        self._product = product
        self._policy = policy
        self._reset_address = reset_address
        self._login_address = login_address

    # Reset requests.

    async def ask(self, email: str, inbound: Inbound, now: int, target: str = HOME) -> None:
        """Mail a link to set a new password, if the account exists and is active. Doesn't disclose whether it does.

        `target`, the page to open afterwards, is kept with the link, which may be opened in another browser.
        """
        identifier = identify(email)
        async with self._actions.begin(requester(inbound), now) as action:
            tx = action.tx
            account = await account_rows.find_by_identifier(tx, identifier)
            if not await self._may_ask(tx, identifier, account, inbound, now):
                return
            # Queried without an account too, so that the time doesn't disclose it.
            demanded = await account_rows.find_factor_policy(tx, account.tenant if account else "")
            signs_in = await self._factors.signs_in(tx, account.id if account else "")
            is_persons = account is not None and account.status is Status.ACTIVE and not account.is_service
            whose = account if is_persons and demanded else None
            # Somebody whom a provider signs in could otherwise get a way in that their company doesn't know of. Where
            # the provider is required, a password would sign them in nowhere.
            is_elsewhere = whose is not None and (
                (whose.password_hash is None and signs_in) or demands_another(self._policy, whose, demanded)
            )
            owner = whose.id if whose and not is_elsewhere else None
            token = await links.issue(
                tx, self._sealer, Purpose.RESET, account=owner, identifier=identifier, now=now, content=kept_way(target)
            )
            link = f"{self._reset_address}{token.reveal()}"
            if whose is None:
                await self._outbox.pretend(tx, "password_reset", now=now, name="nobody", link=link)
            elif is_elsewhere:
                mail, login = "password_elsewhere", self._login_address + return_query(target)
                await self._outbox.post(tx, mail, identifier, account=whose.id, now=now, name=whose.name, link=login)
            else:
                await self._outbox.post(
                    tx, "password_reset", identifier, account=whose.id, now=now, name=whose.name, link=link
                )
            details = NOTHING if owner else {"reason": "no password" if whose else "no account with this email"}
            await action.record_attempt(Event.PASSWORD_RESET_ASKED, identifier, whose, details)

    async def _may_ask(
        self, tx: Transaction, identifier: str, account: Account | None, inbound: Inbound, now: int
    ) -> bool:
        """Count a mail per email and client address, per client address, and per email.

        Strangers can exhaust the last limit, but its lockout is no longer than the validity of the last mailed link.
        Known devices have their own buckets.
        """
        here = address_bucket(inbound.address)
        pair, pair_in_a_day = f"forgot:{identifier}|{here}", f"forgot-day:{identifier}|{here}"
        if await session_rows.is_known_device(
            tx, account.id if account else "", inbound.address, inbound.user_agent, now
        ):
            buckets = [(for_known(pair), ASKED), (for_known(pair_in_a_day), ASKED_IN_A_DAY)]
        else:
            buckets = [
                (pair, ASKED),
                (pair_in_a_day, ASKED_IN_A_DAY),
                (f"forgot:|{here}", ASKED_FROM_ADDRESS),
                (f"forgot:{identifier}", ASKED),
            ]
        return isinstance(await limits.reserve_all(tx, buckets, now), Open)

    # By a mailed link.

    async def look(self, purpose: Purpose, token: str, now: int) -> Opened | InvalidLink:
        """Return what a link opens, if it is valid. Read-only."""
        async with self._store.reading() as tx:
            return await self._find(tx, purpose, token, now)

    async def set_by_link(
        self, purpose: Purpose, token: str, password: Secret[str], inbound: Inbound, now: int
    ) -> Set | Unfit | InvalidLink | Overloaded:
        """Set a password and consume the link. Ends every session; other factors stay."""
        found = await self.look(purpose, token, now)
        if isinstance(found, InvalidLink):
            return found
        verdict = await self._checker.check(password, self._person(found.account), client_of(inbound.address))
        if verdict.refusal is not None:
            return Unfit(verdict.refusal)
        hashed = await self._hasher.hash(password, client_of(inbound.address))
        if hashed is None:
            return Overloaded()
        async with self._actions.begin(requester(inbound), now) as action:
            tx = action.tx
            account = await account_rows.find(tx, found.account.id, lock=True)
            if account is None or not await account_rows.is_welcome(tx, account):
                return InvalidLink(None)
            if not await links.consume(tx, found.link, now):
                return InvalidLink(LinkState.USED)
            details = {"how": purpose.value, **remarks_of(verdict)}
            await change.set_password(action, self._factors, account, hashed, details)
            if purpose is Purpose.RESET:
                await action.notify("password_changed", account)
        return Set(email=account.identifier, target=found.link.target)

    # At /me/password.

    async def has_password(self, session: Session) -> bool:
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
        return account is not None and account.password_hash is not None

    async def change(
        self, session: Session, current: Secret[str], new: Secret[str], inbound: Inbound, now: int
    ) -> Set | Unfit | WrongCurrent | TooOften | Overloaded:
        """Change the password. This session gets a new cookie, and all others end."""
        checked = await self._check_current(session, current, inbound, now)
        if not isinstance(checked, Account):
            return checked
        verdict = await self._checker.check(new, self._person(checked), client_of(inbound.address))
        if verdict.refusal is not None:
            return Unfit(verdict.refusal)
        hashed = await self._hasher.hash(new, client_of(inbound.address))
        if hashed is None:
            return Overloaded()
        async with self._actions.begin(requester(inbound), now) as action:
            tx = action.tx
            account = await account_rows.find(tx, session.account, lock=True)
            if account is None or account.password_hash != checked.password_hash:
                return WrongCurrent()
            await session_rows.lock_open(tx, account.id)
            proofs = with_proof(session.proofs, Proof(Factor.PASSWORD, now))
            token = await session_rows.renew(tx, session.id, inbound.session_key, proofs)
            if token is None:
                return WrongCurrent()
            details = {"how": "changed", **remarks_of(verdict)}
            await change.set_password(action, self._factors, account, hashed, details, but=session.id)
            await action.notify("password_changed", account)
        return Set(token)

    async def _check_current(
        self, session: Session, current: Secret[str], inbound: Inbound, now: int
    ) -> Account | WrongCurrent | TooOften | Overloaded:
        """Verify the current password, under the rate limit of sign-in."""
        async with self._store.transaction() as tx:
            account = await account_rows.find(tx, session.account)
            reserved = await tries.reserve_try(tx, session.identifier, session.account, inbound, self._limit, now)
            if isinstance(reserved, Locked):
                return TooOften(reserved.until)
        stored = account.password_hash if account else None
        verdict = await self._hasher.verify(current, stored, client_of(inbound.address))
        async with self._actions.begin(requester(inbound), now) as action:
            tx = action.tx
            if verdict is Verdict.BUSY:
                await limits.give_back(tx, reserved.key, now)
                return Overloaded()
            if verdict is Verdict.RIGHT and account is not None:
                await tries.forgive_tries(tx, session.identifier, inbound.address)
                return account
            if account is not None:
                details = {"reason": "wrong", "where": "while changing the password"}
                await action.record_or_count(Event.LOGIN_FAILED, account, details)
            return WrongCurrent()

    # Shared.

    async def _find(self, tx: Transaction, purpose: Purpose, token: str, now: int) -> Opened | InvalidLink:
        link = await links.find(tx, self._sealer, purpose, token)
        if link is None or link.account is None:
            return InvalidLink(None)
        account = await account_rows.find(tx, link.account)
        state = link.state(now)
        if state is not LinkState.GOOD:
            return InvalidLink(state)
        if account is None or not await account_rows.is_welcome(tx, account):
            return InvalidLink(None)
        return Opened(link, account, await account_rows.find_tenant_name(tx, account.tenant))

    def _person(self, account: Account) -> Person:
        return Person(account.identifier, account.name, account.tenant, self._product)


def remarks_of(verdict: Judgement) -> dict[str, str]:
    """Return details for the audit row."""
    return {"breach_api": "did not answer"} if verdict.is_api_silent else {}


def identify(email: str) -> str:
    """Normalise an email. Return one that no account has if it is invalid, so that it takes the same time."""
    try:
        return normalise_identifier(email)
    except Unacceptable:
        return NOBODY


def demands_another(policy: FactorPolicy, account: Account, demanded: TenantPolicy | None) -> bool:
    """Whether an account has to sign in with something else than its password."""
    if demanded is None:
        return False
    return policy.first_of(account.identifier, account.role, demanded, account.enrolled) != Factor.PASSWORD
