"""Account administration by a tenant's admin, or by the owner across tenants.

Every query is restricted to the `Administrator`'s tenant. Platform owners can be changed in the shell only.
Administrators can't change their own role, status or email here.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum

from gateway.accounts import change, claims, directory, rows
from gateway.accounts.authors import find_author, is_admin
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.directory import Member, Wanted
from gateway.accounts.edit import Edit, Part, Saved
from gateway.accounts.email_change import EmailChanges
from gateway.accounts.invitations import Invitations, TooManyMails
from gateway.accounts.removal import remove_unused
from gateway.actions.action import Action, Actions, Actor, requester
from gateway.factors.contract import Factors
from gateway.model.account import Account, Role, Status
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class Administrator:
    """The signed-in administrator of a request. `tenant` is None for the owner, who administers all tenants."""

    session: Session
    tenant: str | None
    inbound: Inbound
    now: int

    @property
    def actor(self) -> Actor:
        return requester(self.inbound, self.session.id, by=self.session.identifier, name=self.session.name)


class Result(Enum):
    DONE = "done"
    NOT_THERE = "not_there"  # or not in the administrator's tenant; the answer is the same
    LAST_ADMIN = "last_admin"
    TAKEN = "taken"  # the tenant can't have the email (see accounts.claims)
    TOO_MANY = "too_many"  # the address was mailed too often today
    NOT_USED = "not_used"  # the account has no way to sign in yet
    CHANGED = "changed"  # by another administrator, since the form was shown


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

    # Reading.

    async def page(self, admin: Administrator, wanted: Wanted) -> tuple[list[Member], str]:
        """Return one page of the list, and `Wanted.after` for the next."""
        async with self._store.reading() as tx:
            return await directory.find_page(tx, admin.tenant, wanted, admin.now, self._factors.has_way_in)

    async def find(self, admin: Administrator, account_id: str) -> Member | None:
        async with self._store.reading() as tx:
            return await directory.find_member(tx, admin.tenant, account_id, self._factors.has_way_in)

    def may_change(self, admin: Administrator, account: Account) -> bool:
        """Whether more than the name may be changed: the account is neither the administrator's own nor an owner's.

        Service accounts have pages of their own (see tokens.service_accounts).
        """
        is_own = account.id == admin.session.account
        return not is_own and account.identifier not in self._owners and not account.is_service

    # Inviting.

    async def invite(self, admin: Administrator, wanted: Create) -> Result:
        """Add an account whose owner sets a password by a mailed link. Every unavailable email gives TAKEN."""
        try:
            async with self._begin(admin) as action:
                if not await self._still_may(action.tx, admin):
                    return Result.NOT_THERE
                is_free = await claims.may_have(action.tx, wanted.tenant, wanted.identifier, self._owners, admin.now)
                return Result.DONE if is_free and await self._invitations.invite(action, wanted) else Result.TAKEN
        except TooManyMails:
            return Result.TOO_MANY

    async def resend(self, admin: Administrator, account_id: str) -> Result:
        """Mail an invitation to a person who has no password yet: again, or to somebody whom a provider signs in."""
        try:
            async with self._begin(admin) as action:
                account = await self.find_changeable(action.tx, admin, account_id)
                if account is None or account.password_hash is not None or account.status is not Status.ACTIVE:
                    return Result.NOT_THERE
                await self._invitations.send_again(action, account)
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    async def list_uninvited(self, admin: Administrator, tenant: str) -> list[str]:
        """Return the invited accounts of a tenant without a valid invitation: it has expired, or was never sent.

        The tenant is the administrator's own, whatever was asked for, unless it is the owner.
        """
        async with self._store.reading() as tx:
            wanted = tenant if admin.tenant is None else admin.tenant
            return await directory.list_uninvited(tx, wanted, admin.now, self._factors.has_way_in, self._owners)

    async def resend_all(self, admin: Administrator, tenant: str, most: int) -> int:
        """Invite up to `most` of these again, each in a transaction of its own. Returns how many were mailed."""
        wanted = (await self.list_uninvited(admin, tenant))[:most]
        return sum([await self.resend(admin, account) is Result.DONE for account in wanted])

    # Changing.

    async def save(self, admin: Administrator, account_id: str, edit: Edit) -> Saved | Result:
        """Save a form in one transaction: all of it, or nothing. Administrators may change their own name only.

        A new email is not set but asked for: links go to both addresses, which must agree (see accounts.email_change).
        """
        try:
            async with self._begin(admin) as action:
                account = await self.find_changeable(action.tx, admin, account_id, allows_self=True)
                if account is None:
                    return Result.NOT_THERE
                return await self._refuse(action.tx, admin, account, edit) or await self._save(action, account, edit)
        except TooManyMails:
            return Result.TOO_MANY

    async def _refuse(self, tx: Transaction, admin: Administrator, account: Account, edit: Edit) -> Result | None:
        """Return why nothing of a form can be saved, or None."""
        parts = edit.parts(account)
        if not self.may_change(admin, account) and parts not in ((), (Part.NAME,)):
            return Result.NOT_THERE
        if edit.is_outdated(account):
            return Result.CHANGED
        is_demoted = edit.rights is not None and edit.rights[0] is not Role.ADMIN
        if is_demoted and await change.is_last_admin(tx, self._factors, account):
            return Result.LAST_ADMIN
        if edit.identifier is None or Part.EMAIL not in parts:
            return None
        # A person who can't sign in yet can't agree: remove that account and invite the other email.
        if not await self._factors.signs_in(tx, account.id):
            return Result.NOT_USED
        tenant, now = account.tenant, admin.now
        may_have = await claims.may_have(tx, tenant, edit.identifier, self._owners, now, account=account.id)
        return None if may_have else Result.TAKEN

    async def _save(self, action: Action, account: Account, edit: Edit) -> Saved:
        """Raises TooManyMails, which undoes all of it."""
        parts = edit.parts(account)
        if edit.name is not None:
            await change.rename(action, account, edit.name)
        if edit.rights is not None:
            await change.set_role(action, account, *edit.rights)
        if edit.identifier is not None and Part.EMAIL in parts:
            await self._email_changes.ask(action, account, edit.identifier)
        return Saved(parts)

    async def set_status(self, admin: Administrator, account_id: str, status: Status) -> Result:
        async with self._begin(admin) as action:
            account = await self.find_changeable(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            if status is Status.DISABLED and await change.is_last_admin(action.tx, self._factors, account):
                return Result.LAST_ADMIN
            await change.set_status(action, account, status)
        return Result.DONE

    async def reset_two_factor(self, admin: Administrator, account_id: str) -> Result:
        async with self._begin(admin) as action:
            account = await self.find_changeable(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            await change.reset_factors(action, self._factors, account, is_owner=False)
        return Result.DONE

    async def sign_out(self, admin: Administrator, account_id: str) -> Result:
        async with self._begin(admin) as action:
            account = await self.find_changeable(action.tx, admin, account_id)
            if account is None:
                return Result.NOT_THERE
            await change.sign_out(action, account)
        return Result.DONE

    async def remove(self, admin: Administrator, account_id: str) -> Result:
        """Remove an account that was never used, which frees its email."""
        async with self._begin(admin) as action:
            account = await self.find_changeable(action.tx, admin, account_id)
            is_removed = account is not None and await remove_unused(action, account)
        return Result.DONE if is_removed else Result.NOT_THERE

    def _begin(self, admin: Administrator) -> AbstractAsyncContextManager[Action]:
        return self._actions.begin(admin.actor, admin.now)

    async def is_used(self, tx: Transaction, account: Account) -> bool:
        """Whether the account has a way to sign in; one that is only invited has none yet."""
        return await self._factors.signs_in(tx, account.id)

    async def find_changeable(
        self, tx: Transaction, admin: Administrator, account_id: str, *, allows_self: bool = False
    ) -> Account | None:
        """Return the account, locked, if the administrator may change more than its name, and still is one."""
        if not await self._still_may(tx, admin):
            return None
        if admin.tenant is None:
            account = await rows.find(tx, account_id, lock=True)
        else:
            account = await rows.find_in_tenant(tx, account_id, admin.tenant, lock=True)
        if account is None or self.may_change(admin, account):
            return account
        return account if allows_self and account.id == admin.session.account else None

    async def _still_may(self, tx: Transaction, admin: Administrator) -> bool:
        """Whether the administrator was neither demoted nor signed out while the request waited (see authors)."""
        if admin.tenant is None:
            author = await find_author(tx, admin.session, lock=False)
            return author is not None and author.identifier in self._owners
        return await is_admin(tx, admin.session)
