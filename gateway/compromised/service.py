"""Secures an account: one's own, a person's for an administrator or the operator, a tenant's people for the owner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts import rows as account_rows
from gateway.accounts.people import Administrator, PeopleService
from gateway.actions.action import Actions, requester
from gateway.audit.search import Place
from gateway.compromised import story
from gateway.compromised.ends import Ended, Replacement, secure, signs_in_by_password
from gateway.compromised.story import Story
from gateway.crypto.hashing import Hasher
from gateway.login.outcome import SignedIn
from gateway.model.account import Status
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.model.token import new_token
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.throttle.client import client_of
from gateway.tokens import rows as token_rows


@dataclass(frozen=True, slots=True)
class Secured:
    """Done. `signed_in` has the session's new cookie; `has_password` says whether a new password is to be chosen."""

    signed_in: SignedIn
    has_password: bool


class Result(Enum):
    DONE = "done"
    NOT_THERE = "not_there"  # or not in the administrator's tenant, or an account that nobody has used
    BUSY = "busy"  # the password hashing queue is full; nothing was changed


class SecuringService:
    def __init__(
        self, *, store: Store, actions: Actions, hasher: Hasher, people: PeopleService, replacement: Replacement
    ) -> None:
        self._store = store
        self._actions = actions
        self._hasher = hasher
        self._people = people
        self._replacement = replacement

    # One's own.

    async def read_story(self, session: Session, before: Place | None, now: int) -> Story:
        """Return what happened to the signed-in person's account."""
        async with self._store.reading() as tx:
            return await story.read(tx, session.account, session.identifier, session.tenant, now, before)

    async def has_password(self, session: Session) -> bool:
        """Whether a new password is of use to the signed-in person."""
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
            return account is not None and await signs_in_by_password(tx, self._replacement.policy, account)

    async def secure_own(self, session: Session, inbound: Inbound, now: int) -> Secured | None:
        """End everything but this session, which gets a new cookie. None if it has ended meanwhile."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            tx = action.tx
            account = await account_rows.find(tx, session.account, lock=True)
            if account is None:
                return None
            await session_rows.lock_open(tx, account.id)
            token = await session_rows.renew(tx, session.id, inbound.session_key, session.proofs)
            if token is None:
                return None
            await secure(action, account, but=session.id)
            has_password = await signs_in_by_password(tx, self._replacement.policy, account)
            return Secured(SignedIn(token, session.is_owner), has_password)

    # Other people's.

    async def secure_person(self, admin: Administrator, account_id: str) -> Result:
        """End everything of a person, whose password stops working: they get a link to choose a new one."""
        unknown = await self._hasher.hash(new_token(), client_of(admin.inbound.address))
        if unknown is None:
            return Result.BUSY
        async with self._actions.begin(admin.actor, admin.now) as action:
            account = await self._people.find_changeable(action.tx, admin, account_id)
            if account is None or account.status is not Status.ACTIVE:
                return Result.NOT_THERE
            if not await self._people.is_used(action.tx, account):
                return Result.NOT_THERE
            await self._replacement.secure(action, account, unknown)
        return Result.DONE

    async def has_tenant(self, tenant: str) -> bool:
        async with self._store.reading() as tx:
            return await account_rows.has_tenant(tx, tenant)

    async def count_tokens(self, tenant: str, now: int) -> int:
        async with self._store.reading() as tx:
            return await token_rows.count_live_in_tenant(tx, tenant, now)

    async def secure_tenant(self, owner: Session, tenant: str, inbound: Inbound, now: int) -> Ended | None:
        """End everything of a tenant's people except the owner's own session, each in a transaction of their own.

        Passwords stay. People who had nothing open get no audit row and no mail. Returns None if there is no such
        tenant. If it breaks off, doing it again does the rest.
        """
        async with self._store.reading() as tx:
            if not await account_rows.has_tenant(tx, tenant):
                return None
            wanted = [account.id for account in await account_rows.list_all(tx, tenant)]
        total = Ended()
        actor = requester(inbound, owner.id, by=owner.identifier, name=owner.name)
        for account_id in wanted:
            async with self._actions.begin(actor, now) as action:
                account = await account_rows.find(action.tx, account_id, lock=True)
                if account is not None:
                    total += await secure(action, account, but=owner.id, is_quiet=True)
        return total
