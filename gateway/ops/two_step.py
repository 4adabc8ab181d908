"""The share of each tenant's people who have set up a second step, the weakest tenants first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from gateway.accounts.second_step import HAS_SECOND
from gateway.model.account import Status
from gateway.model.factor import Factor
from gateway.model.factor_policy import read_tenant_policy
from gateway.store import Transaction
from gateway.store.schema import accounts, tenants


@dataclass(frozen=True, slots=True)
class Rate:
    """`people` are those of a tenant who can sign in; `protected` of them have a second step.

    `has_provider`: they sign in with the tenant's identity provider, which may ask for a second step that isn't known
    here.
    """

    tenant: str
    name: str
    people: int
    protected: int
    has_provider: bool

    @property
    def percent(self) -> int:
        """Rounded down: 100 means everyone."""
        return 100 * self.protected // self.people

    @property
    def unprotected(self) -> int:
        return self.people - self.protected


async def list_rates(tx: Transaction, has_way_in: ColumnElement[bool]) -> list[Rate]:
    """Return all active tenants with people, the lowest shares first, among equals those with most people without."""
    counted = (
        select(accounts.c.tenant, func.count().label("people"), func.count().filter(HAS_SECOND).label("protected"))
        .where(accounts.c.status == Status.ACTIVE.value, ~accounts.c.is_service, has_way_in)
        .group_by(accounts.c.tenant)
        .subquery()
    )
    query = (
        select(tenants.c.slug, tenants.c.name, counted.c.people, counted.c.protected, tenants.c.factor_policy)
        .join(counted, counted.c.tenant == tenants.c.slug)
        .where(tenants.c.status == "active")
    )
    rates = [
        Rate(row.slug, row.name, row.people, row.protected, uses_provider(row.factor_policy))
        for row in await tx.execute(query)
    ]
    return sorted(rates, key=lambda rate: (rate.protected / rate.people, -rate.unprotected, rate.tenant))


def uses_provider(policy: str) -> bool:
    return read_tenant_policy(policy).first != Factor.PASSWORD
