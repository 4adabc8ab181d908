"""Sign-in with a password, and sign-out.

    reserve a try -> verify the password in a thread -> open the session or attempt

The first transaction counts the try as a failure in advance (see throttle.limits). The last one reads the account
again, because it may have changed (disabled, another password) while the hash was computed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, requester
from gateway.crypto.hashing import Hasher, Verdict
from gateway.factors import tries
from gateway.login.flow import Flow
from gateway.login.outcome import Busy, GoOn, LockedOut, OtherNetwork, SignedIn, WrongPassword
from gateway.model.account import Account, Status, Unacceptable, normalise_identifier
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.ops.failed_passwords import FailedPasswords
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.store.retry import retried
from gateway.throttle import limits
from gateway.throttle.client import client_of
from gateway.throttle.limits import Limit, Locked
from gateway.web.visit import Visit

Result = SignedIn | GoOn | OtherNetwork | WrongPassword | LockedOut | Busy


@dataclass(slots=True)
class Turn:
    """A queue of sign-ins with one email from one address, checked one at a time; `waiting` counts them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class SignInService:
    """`queue` is the maximum number of waiting sign-ins per email and address."""

    def __init__(
        self,
        *,
        actions: Actions,
        hasher: Hasher,
        limit: Limit,
        flow: Flow,
        failed_passwords: FailedPasswords,
        queue: int,
    ) -> None:
        self._actions = actions
        self._hasher = hasher
        self._limit = limit
        self._flow = flow
        self._failed_passwords = failed_passwords
        self._queue = queue
        self._turns: dict[str, Turn] = {}

    async def sign_in(self, email: str, password: Secret[str], visit: Visit, now: int) -> Result:
        """Verify email and password, and take the next step. `now` is UTC seconds."""
        identifier = identify(email)
        if self._hasher.is_full_for(client_of(visit.inbound.address)):
            return Busy()  # before any transaction, so that a flood of random emails doesn't load the store
        async with self._turn(tries.limit_key(identifier, visit.inbound.address)) as is_ours:
            return await self._check(identifier, password, visit, now) if is_ours else Busy()

    @contextlib.asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[bool]:
        """Serialise the sign-ins under `key` in this worker. Yields False if the queue is full.

        A try counts as a failure until it is verified, so six tabs of one person would lock each other out if they were
        all counted at once. It also limits an attacker's guesses to one core.
        """
        turn = self._turns.setdefault(key, Turn())
        if turn.waiting >= self._queue:
            yield False
            return
        turn.waiting += 1
        try:
            async with turn.lock:
                yield True
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._turns.pop(key, None)

    async def _check(self, identifier: str, password: Secret[str], visit: Visit, now: int) -> Result:
        inbound = visit.inbound
        async with self._actions.begin(requester(inbound), now) as action:
            account = await account_rows.find_by_identifier(action.tx, identifier)
            known = account.id if account else None
            reserved = await tries.reserve_try(action.tx, identifier, known, inbound, self._limit, now)
            if isinstance(reserved, Locked):
                await action.record_attempt(Event.LOGIN_FAILED, identifier, account, {"reason": "locked"})
                return LockedOut(reserved.until)
        usable = account.password_hash if account and account.status is Status.ACTIVE else None
        match await self._hasher.verify(password, usable, client_of(inbound.address)):
            case Verdict.BUSY:
                async with self._actions.begin(requester(inbound), now) as action:
                    await limits.give_back(action.tx, reserved.key, now)
                return Busy()
            case Verdict.RIGHT if account is not None:
                renewed = await self._renew(password, account, inbound)
                return await self._admit(account, renewed, visit, now)
            case _:
                return await self._reject(identifier, password, account, inbound, now, locks=reserved.locks_now)

    async def sign_out(self, session: Session, inbound: Inbound, now: int) -> None:
        """End the session. Its next request is refused."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            if await session_rows.end(action.tx, session.id, now):
                await action.record_own(Event.LOGOUT, session)

    async def _renew(self, password: Secret[str], account: Account, inbound: Inbound) -> Secret[str] | None:
        """Return a hash by the configured method, if the stored one is outdated. None if the queue is full."""
        stored = account.password_hash
        if stored is None or not self._hasher.needs_renewal(stored):
            return None
        return await self._hasher.hash(password, client_of(inbound.address))

    @retried
    async def _admit(self, known: Account, renewed: Secret[str] | None, visit: Visit, now: int) -> Result:
        async with self._actions.begin(requester(visit.inbound), now) as action:
            account = await account_rows.find(action.tx, known.id, lock=True)
            if account is None or not await is_unchanged(action.tx, account, known):
                await action.record_or_count(Event.LOGIN_FAILED, known, {"reason": "changed"})
                return WrongPassword()
            await tries.forgive_tries(action.tx, account.identifier, visit.inbound.address)
            if renewed is not None:
                await account_rows.set_password_hash(action.tx, account.id, renewed, replacing=known.password_hash)
            return await self._flow.begin(action, account, Proof(Factor.PASSWORD, now), visit)

    async def _reject(
        self,
        identifier: str,
        password: Secret[str],
        account: Account | None,
        inbound: Inbound,
        now: int,
        *,
        locks: bool,
    ) -> Result:
        async with self._actions.begin(requester(inbound), now) as action:
            await self._failed_passwords.note(action.tx, identifier, password, now)
            await action.record_attempt(Event.LOGIN_FAILED, identifier, account, {"reason": reason_of(account)})
            if locks:
                details = {"minutes": self._limit.lock_seconds // 60}
                await action.record_attempt(Event.LOGIN_LOCKOUT, identifier, account, details)
        return WrongPassword()


def identify(email: str) -> str:
    """Normalise an email. Return one that no account has if it is invalid, so that it takes the same time."""
    try:
        return normalise_identifier(email)
    except Unacceptable:
        return "malformed"


def reason_of(account: Account | None) -> str:
    """Return why a password was refused, in the words of audit.sentences.tell_failures. The person isn’t told."""
    if account is not None and account.status is Status.DISABLED:
        return "disabled"
    return "passwordless" if account is not None and account.password_hash is None else "wrong"


async def is_unchanged(tx: Transaction, account: Account, known: Account) -> bool:
    return account.password_hash == known.password_hash and await account_rows.is_welcome(tx, account)
