"""Gives people what their provider asserts: the role of a new account, and name and role at each sign-in.

Whatever the mapping says, an owner is never changed, and an administrator who is exempt from single sign-on keeps the
role. The last administrator of a tenant who can sign in is never demoted, or nobody could repair the mapping. A name
that is not acceptable is not taken over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Action
from gateway.factors.contract import Factors
from gateway.model.account import Account, Module, Role, Unacceptable, check_name
from gateway.model.event import Event
from gateway.sso.oidc.record import Claims
from gateway.sso.roles import rows
from gateway.sso.roles.mapping import Asserted, Foreseen, Rights, read_asserted
from gateway.sso.rows import Registered
from gateway.store import Transaction

MAX_ACTOR = 254  # characters of the audit log's column

GroupsOf = Callable[[Transaction, str], Awaitable[Iterable[str]]]


class Follower:
    """`owners` are normalised identifiers. `groups_of` returns the groups that provisioning told of an account, by its
    id; they count as if the token named them.
    """

    def __init__(self, owners: frozenset[str], factors: Factors, groups_of: GroupsOf) -> None:
        self._owners = owners
        self._factors = factors
        self._groups_of = groups_of

    # New accounts.

    async def grant(self, tx: Transaction, registered: Registered, asserted: Asserted) -> Rights:
        """Return role and modules of a new account."""
        return (await rows.find_map(tx, registered.provider.id)).grant(asserted)

    async def read(self, tx: Transaction, registered: Registered, claims: Claims) -> Asserted:
        """Return what claims assert of somebody who has no account."""
        return (await rows.find_map(tx, registered.provider.id)).read(claims)

    async def pack(self, tx: Transaction, registered: Registered, claims: Claims) -> str:
        """Return the part of it that matters, to be kept in a mailed link. `unpack` is the reverse."""
        role_map = await rows.find_map(tx, registered.provider.id)
        return role_map.relevant(role_map.read(claims)).text

    @staticmethod
    def unpack(text: str) -> Asserted:
        return read_asserted(text) if text else Asserted()

    # Trials.

    async def foresee(
        self, tx: Transaction, registered: Registered, claims: Claims, account: Account | None
    ) -> Foreseen:
        """Return what a sign-in would give to an account, or to a new one."""
        provider = registered.provider.id
        role_map = await rows.find_map(tx, provider)
        if account is None:
            return Foreseen(role_map.grant(role_map.read(claims)), follows=True)
        asserted = role_map.read(claims, await self._groups_of(tx, account.id))
        if account.role is Role.ADMIN:
            await rows.note_asserted(tx, provider, account.id, asserted)
        granted = role_map.follow(asserted, account.role, account.modules)
        follows = role_map.roles_follow and not account.enrolled.is_exempt
        if not follows or await self.keeps(tx, account, granted.role):
            granted = replace(granted, role=account.role, modules=account.modules)
        return Foreseen(granted, follows)

    # Sign-ins.

    async def follow(self, action: Action, registered: Registered, claims: Claims, account: Account) -> Account:
        """Bring a linked account, which the caller has locked, up to what its provider asserts. Returns it."""
        tx, provider = action.tx, registered.provider
        if account.identifier in self._owners:
            return account
        role_map = await rows.find_map(tx, provider.id)
        asserted = role_map.read(claims, await self._groups_of(tx, account.id))
        by = action.on_behalf_of(provider.issuer[:MAX_ACTOR])
        if role_map.names_follow:
            account = await rename(by, account, claims.name)
        if role_map.roles_follow and not account.enrolled.is_exempt:
            granted = role_map.follow(asserted, account.role, account.modules)
            account = await self._set_role(by, registered, account, granted.role, granted.modules)
        await rows.note_asserted(tx, provider.id, account.id, asserted if account.role is Role.ADMIN else None)
        return account

    async def keeps(self, tx: Transaction, account: Account, role: Role) -> bool:
        """Whether the account stays administrator although `role` is less: no other one could sign in.

        Locks the tenant, or two administrators could be demoted at once.
        """
        if account.role is not Role.ADMIN or role is Role.ADMIN:
            return False
        await account_rows.lock_tenant(tx, account.tenant)
        has_way_in = self._factors.has_way_in
        return await account_rows.count_admins(tx, account.tenant, but=account.id, has_way_in=has_way_in) == 0

    async def _set_role(
        self, action: Action, registered: Registered, account: Account, role: Role, modules: frozenset[Module]
    ) -> Account:
        if await self.keeps(action.tx, account, role):
            await self._report_kept(action, registered, account, role)
            role = account.role
        await change.set_role(action, account, role, modules)
        return replace(account, role=role, modules=modules)

    async def _report_kept(self, action: Action, registered: Registered, account: Account, role: Role) -> None:
        """Record it, and mail all administrators, the first time since the mapping was saved."""
        await action.record_or_count(Event.SSO_ROLE_KEPT, account, {"from": account.role.value, "to": role.value})
        if await rows.note_told(action.tx, registered.provider.id, action.now):
            await tell_admins(action, account.tenant, "sso_role_kept", who=account.name, email=account.identifier)


async def rename(action: Action, account: Account, name: str) -> Account:
    """Take over a name, if there is one and it is acceptable."""
    try:
        checked = check_name(name)
    except Unacceptable:
        return account
    await change.rename(action, account, checked)
    return replace(account, name=checked)
