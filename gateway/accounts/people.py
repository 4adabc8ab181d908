"""What a tenant's admin does about people, and the owner across tenants: each with its audit row, in one transaction.

Whom somebody reaches is part of every query: the tenant of an `Actor`, or everybody for the owner. Platform owners are
out of reach of both, and changed in the shell alone; nobody changes their own role, status or email here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.accounts import change, claims, directory, rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.directory import Member, Wanted
from gateway.accounts.email_change import EmailChanges
from gateway.accounts.email_changes import Change
from gateway.accounts.invitations import Invitations, TooManyMails
from gateway.accounts.removal import remove_unused
from gateway.audit import rows as audit
from gateway.factors.contract import Factors
from gateway.mail.notices import Notices
from gateway.model.account import Account, Module, Role, Status
from gateway.model.event import Event, entry_of
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it, and in which tenant; None reaches all."""

    session: Session
    tenant: str | None


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
        notices: Notices,
        invitations: Invitations,
        email_changes: EmailChanges,
        owners: frozenset[str],
        factors: Factors,
    ) -> None:
        self._store = store
        self._notices = notices
        self._invitations = invitations
        self._email_changes = email_changes
        self._owners = owners
        self._factors = factors

    # Looking.

    async def page(self, actor: Actor, wanted: Wanted, now: int) -> tuple[list[Member], str]:
        """Return one page of the list, and where the next one begins."""
        async with self._store.reading() as tx:
            return await directory.find_page(tx, actor.tenant, wanted, now)

    async def find(self, actor: Actor, account_id: str) -> Member | None:
        async with self._store.reading() as tx:
            return await directory.find_member(tx, actor.tenant, account_id)

    async def find_change(self, account_id: str) -> Change | None:
        """Return the change of email that is under way for an account that was found already."""
        return await self._email_changes.find_open(account_id)

    def may_change(self, actor: Actor, account: Account) -> bool:
        """Whether this somebody is in reach for more than another name."""
        return account.id != actor.session.account and account.identifier not in self._owners

    # Inviting.

    async def invite(self, actor: Actor, wanted: Create, inbound: Inbound, now: int) -> Result:
        """Make an account for somebody who chooses a password by mail. One answer for every email that can't be had."""
        try:
            async with self._store.transaction() as tx:
                if not await claims.may_have(tx, wanted.tenant, wanted.identifier, self._owners, now):
                    return Result.TAKEN
                account = await self._invitations.invite(tx, wanted, actor.session.name, now)
                if account is None:
                    return Result.TAKEN
                await note(tx, Event.ACCOUNT_INVITED, account, actor, inbound, now, {"role": account.role.value})
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    async def resend(self, actor: Actor, account_id: str, inbound: Inbound, now: int) -> Result:
        """Mail a fresh invitation to somebody who has no password yet."""
        try:
            async with self._store.transaction() as tx:
                account = await self._reach(tx, actor, account_id)
                if account is None or account.password_hash is not None or account.status is not Status.ACTIVE:
                    return Result.NOT_THERE
                await self._invitations.send_again(tx, account, actor.session.name, now)
                await note(tx, Event.ACCOUNT_INVITED, account, actor, inbound, now, {"again": True})
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    # Changing.

    async def rename(self, actor: Actor, account_id: str, name: str, inbound: Inbound, now: int) -> Result:
        """`name` is checked already. One's own may be changed as well."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id, allows_self=True)
            if account is None:
                return Result.NOT_THERE
            if name != account.name:
                await rows.set_name(tx, account.id, name)
                await note(tx, Event.ACCOUNT_RENAMED, account, actor, inbound, now, {"from": account.name, "to": name})
        return Result.DONE

    async def set_role(
        self, actor: Actor, account_id: str, role: Role, modules: frozenset[Module], inbound: Inbound, now: int
    ) -> Result:
        """It holds from the person's next request on."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id)
            if account is None:
                return Result.NOT_THERE
            if role is not Role.ADMIN and await self._is_last_admin(tx, account):
                return Result.LAST_ADMIN
            if (role, modules) != (account.role, account.modules):
                await rows.set_role(tx, account.id, role)
                await rows.set_modules(tx, account.id, modules)
                before, after = told(account.role, account.modules), told(role, modules)
                await note(tx, Event.ACCOUNT_ROLE_CHANGED, account, actor, inbound, now, {"from": before, "to": after})
        return Result.DONE

    async def set_status(self, actor: Actor, account_id: str, status: Status, inbound: Inbound, now: int) -> Result:
        """Who is disabled is signed out everywhere."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id)
            if account is None:
                return Result.NOT_THERE
            if status is Status.DISABLED and await self._is_last_admin(tx, account):
                return Result.LAST_ADMIN
            if await rows.set_status(tx, account.id, status):
                ended = await change.end_everything(tx, account, now) if status is Status.DISABLED else 0
                event = Event.ACCOUNT_DISABLED if status is Status.DISABLED else Event.ACCOUNT_ENABLED
                await note(tx, event, account, actor, inbound, now, {"sessions_ended": ended})
        return Result.DONE

    async def reset_two_factor(self, actor: Actor, account_id: str, inbound: Inbound, now: int) -> Result:
        """Take the second factors away; the person is mailed, and sets it up again at the next sign-in."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id)
            if account is None:
                return Result.NOT_THERE
            entry = await change.reset_factors(
                tx, self._factors, account, actor.session.identifier, now, is_owner=False
            )
            await audit.record(tx, entry.seen_from(inbound, actor.session.id))
            await self._notices.send(tx, "totp_reset", account, inbound, now, by=actor.session.name)
        return Result.DONE

    async def sign_out(self, actor: Actor, account_id: str, inbound: Inbound, now: int) -> Result:
        """End all sessions of somebody; they are mailed."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id)
            if account is None:
                return Result.NOT_THERE
            ended = await change.end_everything(tx, account, now)
            await note(tx, Event.SESSION_REVOKED_ALL, account, actor, inbound, now, {"sessions_ended": ended})
            if ended:
                await self._notices.send(tx, "sessions_revoked", account, inbound, now, count=ended)
        return Result.DONE

    async def ask_for_email(self, actor: Actor, account_id: str, identifier: str, inbound: Inbound, now: int) -> Result:
        """Mail links to both addresses; until they agree, nothing changes (see accounts.email_change).

        Whoever was never signed in has no way to agree: they are removed, and invited under the other email.
        """
        try:
            async with self._store.transaction() as tx:
                account = await self._reach(tx, actor, account_id)
                if account is None:
                    return Result.NOT_THERE
                if account.password_hash is None:
                    return Result.NOT_USED
                if not await claims.may_have(tx, account.tenant, identifier, self._owners, now, account=account.id):
                    return Result.TAKEN
                await self._email_changes.ask(tx, account, identifier, actor.session.name, now)
                await note(tx, Event.EMAIL_CHANGE_REQUESTED, account, actor, inbound, now, {"to": identifier})
        except TooManyMails:
            return Result.TOO_MANY
        return Result.DONE

    async def remove(self, actor: Actor, account_id: str, inbound: Inbound, now: int) -> Result:
        """Remove an account that nobody ever used; its email is free again."""
        async with self._store.transaction() as tx:
            account = await self._reach(tx, actor, account_id)
            if account is None or not await remove_unused(tx, account):
                return Result.NOT_THERE
            await note(tx, Event.ACCOUNT_REMOVED, account, actor, inbound, now, {"role": account.role.value})
        return Result.DONE

    async def _reach(
        self, tx: Transaction, actor: Actor, account_id: str, *, allows_self: bool = False
    ) -> Account | None:
        if actor.tenant is None:
            account = await rows.find(tx, account_id, lock=True)
        else:
            account = await rows.find_in_tenant(tx, account_id, actor.tenant, lock=True)
        if account is None or self.may_change(actor, account):
            return account
        return account if allows_self and account.id == actor.session.account else None

    async def _is_last_admin(self, tx: Transaction, account: Account) -> bool:
        """Whether the tenant would be left without anybody who can administer it. Two who ask at once take turns."""
        if account.role is not Role.ADMIN or account.status is not Status.ACTIVE:
            return False
        await rows.lock_tenant(tx, account.tenant)
        return await rows.count_admins(tx, account.tenant, but=account.id) == 0


async def note(
    tx: Transaction,
    event: Event,
    account: Account,
    actor: Actor,
    inbound: Inbound,
    now: int,
    details: Mapping[str, str | int | bool],
) -> None:
    more = {"by": actor.session.identifier, **details}
    await audit.record(tx, entry_of(event, account, inbound, now, more, actor.session.id))


def told(role: Role, modules: frozenset[Module]) -> str:
    return ",".join((role.value, *sorted(modules)))
