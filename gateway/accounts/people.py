"""What a tenant's admin does about people, and the owner across tenants: each with its audit row, in one transaction.

Whom somebody reaches is part of every query: the tenant of an `Administrator`, or everybody for the owner. Platform
owners are out of reach of both, and changed in the shell alone; nobody changes their own role, status or email here.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum

from gateway.accounts import change, claims, directory, rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.directory import Member, Wanted
from gateway.accounts.email_change import EmailChanges
from gateway.accounts.email_changes import Change
from gateway.accounts.invitations import Invitations, TooManyMails
from gateway.accounts.removal import remove_unused
from gateway.actions.action import Action, Actions, Actor, requester
from gateway.factors.contract import Factors
from gateway.model.account import Account, Module, Role, Status
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who administers, in a request: the admin of a tenant, or the owner, who reaches every tenant (None)."""

    session: Session
    tenant: str | None
    inbound: Inbound
    now: int

    @property
    def actor(self) -> Actor:
        return requester(self.inbound, self.session.id, by=self.session.identifier, name=self.session.name)


class Result(Enum):
    DONE = "done"
    NOT_THERE = "not_there"  # or out of reach; nobody learns which
    LAST_ADMIN = "last_admin"
    TAKEN = "taken"  # the tenant can't have the email, for whatever reason (see accounts.claims)
    TOO_MANY = "too_many"  # the address was mailed too often today
    NOT_USED = "not_used"  # nobody has signed in to the account yet


class PeopleService:
    """`owners` are normalised identifiers."""

    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        invitations: Invitations,
        email_changes: EmailChanges,
        owners: frozenset[str],
        factors: Factors,
    ) -> None:
        self._store = store
        self._actions = actions
        self._invitations = invitations
        self._email_changes = email_changes
        self._owners = owners
        self._factors = factors

    # Looking.

    async def page(self, admin: Administrator, wanted: Wanted) -> tuple[list[Member], str]:
        """Return one page of the list, and where the next one begins."""
        async with self._store.reading() as tx:
            return await directory.find_page(tx, admin.tenant, wanted, admin.now)

    async def find(self, admin: Administrator, account_id: str) -> Member | None:
        async with self._store.reading() as tx:
            return await directory.find_member(tx, admin.tenant, account_id)

    async def find_change(self, account_id: str) -> Change | None:
        """Return the change of email that is under way for an account that was found already."""
        return await self._email_changes.find_open(account_id)

    def may_change(self, admin: Administrator, account: Account) -> bool:
        """Whether this somebody is in reach for more than another name."""
        return account.id != admin.session.account and account.identifier not in self._owners

    # Inviting.

    async def invite(self, admin: Administrator, wanted: Create) -> Result:
        """Make an account for somebody who chooses a password by mail. One answer for every email that can't be had."""
        try:
            async with self._begin(admin) as action:
                is_free = await claims.may_have(action.tx, wanted.tenant, wanted.identifier, self._owners, admin.now)
                return Result.DONE if is_free and await self._invitations.invite(action, wanted) else Result.TAKEN
        except TooManyMails:
            return Result.TOO_MANY

    async def resend(self, admin: Administrator, account_id: str) -> Result:
        """Mail a fresh invitation to somebody who has no password yet."""
        try:
            async with self._begin(admin) as action:
                account = await self._reach(action.tx, admin, account_id)
                if account is None or account.password_hash is not None or account.status is not Status.ACTIVE:
                    return Result.NOT_THERE
                await self._invitations.send_again(action, account)
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    # Changing.

    async def rename(self, admin: Administrator, account_id: str, name: str) -> Result:
        """`name` is checked already. One's own may be changed as well."""
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id, allows_self=True)
            if account is None:
                return Result.NOT_THERE
            await change.rename(action, account, name)
        return Result.DONE

    async def set_role(self, admin: Administrator, account_id: str, role: Role, modules: frozenset[Module]) -> Result:
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            if role is not Role.ADMIN and await self._is_last_admin(action.tx, account):
                return Result.LAST_ADMIN
            await change.set_role(action, account, role, modules)
        return Result.DONE

    async def set_status(self, admin: Administrator, account_id: str, status: Status) -> Result:
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            if status is Status.DISABLED and await self._is_last_admin(action.tx, account):
                return Result.LAST_ADMIN
            await change.set_status(action, account, status)
        return Result.DONE

    async def reset_two_factor(self, admin: Administrator, account_id: str) -> Result:
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            await change.reset_factors(action, self._factors, account, is_owner=False)
        return Result.DONE

    async def sign_out(self, admin: Administrator, account_id: str) -> Result:
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            await change.sign_out(action, account)
        return Result.DONE

    async def ask_for_email(self, admin: Administrator, account_id: str, identifier: str) -> Result:
        """Mail links to both addresses; until they agree, nothing changes (see accounts.email_change).

        Whoever was never signed in has no way to agree: they are removed, and invited under the other email.
        """
        try:
            async with self._begin(admin) as action:
                tx, now = action.tx, action.now
                account = await self._reach(tx, admin, account_id)
                if account is None:
                    return Result.NOT_THERE
                if account.password_hash is None:
                    return Result.NOT_USED
                if not await claims.may_have(tx, account.tenant, identifier, self._owners, now, account=account.id):
                    return Result.TAKEN
                await self._email_changes.ask(action, account, identifier)
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    async def remove(self, admin: Administrator, account_id: str) -> Result:
        """Remove an account that nobody ever used; its email is free again."""
        async with self._begin(admin) as action:
            account = await self._reach(action.tx, admin, account_id)
            is_removed = account is not None and await remove_unused(action, account)
        return Result.DONE if is_removed else Result.NOT_THERE

    def _begin(self, admin: Administrator) -> AbstractAsyncContextManager[Action]:
        return self._actions.begin(admin.actor, admin.now)

    async def _reach(
        self, tx: Transaction, admin: Administrator, account_id: str, *, allows_self: bool = False
    ) -> Account | None:
        if admin.tenant is None:
            account = await rows.find(tx, account_id, lock=True)
        else:
            account = await rows.find_in_tenant(tx, account_id, admin.tenant, lock=True)
        if account is None or self.may_change(admin, account):
            return account
        return account if allows_self and account.id == admin.session.account else None

    async def _is_last_admin(self, tx: Transaction, account: Account) -> bool:
        """Whether the tenant would be left without anybody who can administer it. Two who ask at once take turns."""
        if account.role is not Role.ADMIN or account.status is not Status.ACTIVE:
            return False
        await rows.lock_tenant(tx, account.tenant)
        return await rows.count_admins(tx, account.tenant, but=account.id) == 0
