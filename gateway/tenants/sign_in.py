"""What a tenant's administrators demand of their people's sign-in: second steps, passkeys, and which models of them.

They can be stricter than the settings, never less strict.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select

from gateway.accounts import rows
from gateway.accounts.authors import is_admin
from gateway.actions.action import Actions, requester
from gateway.model.account import Role, Status
from gateway.model.event import Event
from gateway.model.factor import Factor, read_enrolled, shown_by
from gateway.model.factor_policy import FactorPolicy, Second, TenantPolicy, strictest
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.store import Store, Transaction
from gateway.store.schema import accounts

MAX_MODELS = 50
DIGITS = re.compile(r"[0-9A-Fa-f]{32}")


class TooManyModels(ValueError):
    """There are more than MAX_MODELS."""


class UnknownModel(ValueError):
    """A line is no AAGUID; the message is that line."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """`models` are the AAGUIDs of the only passkeys that can be added, in the form of UUIDs; all, if there are none."""

    policy: TenantPolicy
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """How many active people a demand is for, and how many of them have to set something up because of it."""

    people: int
    lacking: int


class SignInService:
    def __init__(self, store: Store, actions: Actions, policy: FactorPolicy) -> None:
        self._store = store
        self._actions = actions
        self._policy = policy

    async def find(self, tenant: str) -> SignIn:
        async with self._store.reading() as tx:
            return await self._find(tx, tenant)

    def levels(self, role: Role) -> tuple[Second, ...]:
        """Return what an administrator can choose for a role: nothing weaker than the settings."""
        least = self._policy.second.get(role, Second.OPTIONAL)
        return tuple(second for second in Second if strictest(second, least) is second)

    def suits(self, author: Session, wanted: TenantPolicy) -> bool:
        """Whether the author has set up what is wanted of them: they must not lock themselves out."""
        return wanted.second_of(author.role).is_met_by(author.enrolled)

    def is_proved(self, author: Session, wanted: TenantPolicy) -> bool:
        """Whether the author's passkey is known to work, if they demand one of themselves: it may be lost, or made for
        another address.
        """
        if wanted.second_of(author.role) is not Second.PHISHING_RESISTANT:
            return True
        return Factor.PASSKEY in shown_by(author.proofs)

    async def foresee(self, tenant: str, wanted: TenantPolicy) -> Effect:
        """Count the people whom the policy is about."""
        query = (
            select(accounts.c.role, accounts.c.enrolled, func.count())
            .where(accounts.c.tenant == tenant, accounts.c.status == Status.ACTIVE.value, ~accounts.c.is_service)
            .group_by(accounts.c.role, accounts.c.enrolled)
        )
        counts: Counter[bool] = Counter()
        async with self._store.reading() as tx:
            for role, enrolled, count in await tx.execute(query):
                counts[wanted.second_of(Role(role)).is_met_by(read_enrolled(enrolled))] += count
        return Effect(counts.total(), counts[False])

    async def change(self, author: Session, wanted: SignIn, inbound: Inbound, now: int) -> None:
        """Demand it from the next request on, if the author is still an administrator."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            if not await is_admin(action.tx, author):
                return
            await rows.lock_tenant(action.tx, author.tenant)
            before = await self._find(action.tx, author.tenant)
            wanted = replace(wanted, policy=replace(wanted.policy, first=before.policy.first))  # another page's matter
            if before == wanted:
                return
            await rows.set_sign_in(action.tx, author.tenant, wanted.policy, wanted.models)
            details = {"from": describe(before), "to": describe(wanted)}
            await action.record_own(Event.TENANT_SIGN_IN_CHANGED, author, details)

    async def _find(self, tx: Transaction, tenant: str) -> SignIn:
        return SignIn(await rows.find_factor_policy(tx, tenant) or TenantPolicy(), await rows.find_models(tx, tenant))


def describe(sign_in: SignIn) -> str:
    """Return a policy for the audit log."""
    return " ".join(filter(None, (sign_in.policy.text, *sign_in.models))) or "nothing"


def read_policy(given: Mapping[Role, str], *, allows_passwordless: bool) -> TenantPolicy:
    """Return the policy of a form: a level for each role. Raises ValueError for one that doesn't exist."""
    levels = {role: Second(text) for role, text in given.items()}
    return TenantPolicy(
        {role: second for role, second in levels.items() if second is not Second.OPTIONAL}, allows_passwordless
    )


def read_models(text: str) -> tuple[str, ...]:
    """Return the AAGUIDs of a text, one a line, in the form of UUIDs. Raises UnknownModel and TooManyModels."""
    found = dict.fromkeys(read_model(line.strip()) for line in text.splitlines() if line.strip())
    if len(found) > MAX_MODELS:
        raise TooManyModels
    return tuple(found)


def read_model(line: str) -> str:
    digits = line.replace("-", "")
    if not DIGITS.fullmatch(digits):  # UUID() reads 0x, signs and other scripts' digits as well: another model then
        raise UnknownModel(line[:60])
    return str(UUID(digits))
