"""Whether a tenant demands single sign-on of all its people, and who is exempt.

The demand is part of the tenant's factor policy: every sign-in must begin with the provider (TenantPolicy.first). Then
a password, a reset link or a passkey leads to the provider and not into the application. Two administrators at least
are exempt, as break-glass accounts: they sign in with password and second step when the provider fails. Each such
sign-in is mailed to all administrators. The shell can always end the demand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.factors import enrolment
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Factor, shown_by
from gateway.model.factor_policy import FactorPolicy
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.sso import rows
from gateway.sso.factor import SSO
from gateway.store import Store, Transaction

MIN_EXEMPT = 2


class Obstacle(StrEnum):
    """Why it can't be demanded, or the exempt administrators can't be changed."""

    NOT_ON = "not_on"  # single sign-on is off, or was never tried
    TOO_FEW = "too_few"  # exempt administrators who could sign in
    AUTHOR = "author"  # who would lock themselves out


@dataclass(frozen=True, slots=True)
class Admin:
    """`can_be_exempt`: they have a password and a second step, so they could sign in without the provider."""

    account: Account
    can_be_exempt: bool

    @property
    def counts(self) -> bool:
        return self.account.enrolled.is_exempt and self.can_be_exempt


@dataclass(frozen=True, slots=True)
class State:
    """`people` are active, and `linked` of them are connected to the provider."""

    is_on: bool
    is_required: bool
    admins: tuple[Admin, ...]
    people: int
    linked: int

    @property
    def exempt(self) -> tuple[Admin, ...]:
        return tuple(admin for admin in self.admins if admin.counts)

    @property
    def is_safe(self) -> bool:
        """Whether enough exempt administrators could sign in."""
        return len(self.exempt) >= MIN_EXEMPT


class Requirement:
    def __init__(self, store: Store, actions: Actions, sealer: Sealer, policy: FactorPolicy) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._owners = policy.owners

    async def look(self, tenant: str) -> State:
        async with self._store.reading() as tx:
            return await self._read(tx, tenant)

    async def demand(self, author: Session, inbound: Inbound, now: int) -> Obstacle | None:
        """Demand it of everyone, from the next request on."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            await account_rows.lock_tenant(action.tx, author.tenant)
            state = await self._read(action.tx, author.tenant, lock=True)
            if not state.is_on:
                return Obstacle.NOT_ON
            if not state.is_safe:
                return Obstacle.TOO_FEW
            is_exempt = author.account in {admin.account.id for admin in state.exempt}
            if not is_exempt and SSO not in shown_by(author.proofs):
                return Obstacle.AUTHOR
            if await set_first(action, author.tenant, SSO):
                await action.record_own(Event.SSO_REQUIRED, author)
                await self._tell(action, author.name, state.admins, "required")
            return None

    async def release(self, author: Session, inbound: Inbound, now: int) -> None:
        """Let people sign in with their passwords again."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            await account_rows.lock_tenant(action.tx, author.tenant)
            if await set_first(action, author.tenant, Factor.PASSWORD):
                await action.record_own(Event.SSO_OPTIONAL, author)
                state = await self._read(action.tx, author.tenant)
                await self._tell(action, author.name, state.admins, "optional")

    async def exempt(self, author: Session, chosen: Collection[str], inbound: Inbound, now: int) -> Obstacle | None:
        """Make these administrators, by the ids of their accounts, the only ones that are exempt."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            await account_rows.lock_tenant(action.tx, author.tenant)
            state = await self._read(action.tx, author.tenant, lock=True)
            wanted = [admin for admin in state.admins if admin.account.id in chosen and admin.can_be_exempt]
            if state.is_required and len(wanted) < MIN_EXEMPT:
                return Obstacle.TOO_FEW
            if state.is_required and SSO not in shown_by(author.proofs) and all(
                admin.account.id != author.account for admin in wanted
            ):  # fmt: skip
                return Obstacle.AUTHOR
            changes = [await enrolment.exempt(action.tx, admin.account.id, admin in wanted) for admin in state.admins]
            if any(changes):
                names = ", ".join(admin.account.name for admin in wanted)
                await action.record_own(Event.BREAK_GLASS_CHANGED, author, {"to": names})
                await self._tell(action, author.name, state.admins, "exempt", names)
            return None

    async def _read(self, tx: Transaction, tenant: str, *, lock: bool = False) -> State:
        found = await rows.find_of_tenant(tx, self._sealer, tenant)
        admins = await account_rows.list_admins(tx, tenant, lock=lock)
        people = await account_rows.count_active(tx, tenant)
        return State(
            is_on=found is not None and found.provider.is_enabled and found.tried_at is not None,
            is_required=await is_required(tx, tenant),
            admins=tuple(Admin(one, can_be_exempt(one)) for one in admins if one.identifier not in self._owners),
            people=people,
            linked=await rows.count_links(tx, found.provider.id) if found else 0,
        )

    async def _tell(self, action: Action, by: str, admins: Collection[Admin], what: str, names: str = "") -> None:
        for admin in admins:
            await action.notify("sso_rules", admin.account, by=by, what=what, names=names)


async def set_first(action: Action, tenant: str, first: Factor) -> bool:
    """Demand that every sign-in of a tenant begins with `first`. Returns whether that changed."""
    before = await account_rows.find_factor_policy(action.tx, tenant, even_suspended=True)
    if before is None or before.first == first:
        return False
    models = await account_rows.find_models(action.tx, tenant)
    await account_rows.set_sign_in(action.tx, tenant, replace(before, first=first), models)
    return True


async def is_required(tx: Transaction, tenant: str) -> bool:
    """Whether all people of an active tenant have to sign in with its provider."""
    policy = await account_rows.find_factor_policy(tx, tenant)
    return policy is not None and policy.first == SSO


def can_be_exempt(account: Account) -> bool:
    return account.password_hash is not None and account.enrolled.has_second
