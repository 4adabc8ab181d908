"""Start-up checks of single sign-on: tenants that require it must have it, and somebody who can do without."""

from __future__ import annotations

from sqlalchemy import select

from gateway.accounts import rows as account_rows
from gateway.model.factor_policy import read_tenant_policy
from gateway.settings.load import locate_problem
from gateway.settings.mistakes import BadSettings, Said
from gateway.settings.record import Settings
from gateway.sso.factor import SSO
from gateway.sso.required import MIN_EXEMPT, can_be_exempt
from gateway.store import Transaction
from gateway.store.schema import tenants

KEY = "sso.on"


async def inspect(tx: Transaction, settings: Settings) -> list[Said]:
    """Return a warning for each tenant with too few exempt administrators. Raises BadSettings if it is off.

    Passwords must not begin to work again because of a setting: people who have left may still have theirs.
    """
    demanding = await list_demanding(tx)
    if demanding and not settings.sso.on:
        end = f"end that with `otium-gateway sso optional {demanding[0]}`"
        reason = f"{', '.join(demanding)} would be locked out, having required single sign-on: turn it on, or {end}"
        raise BadSettings([locate_problem(KEY, reason, settings.origin)])
    advice = []
    for tenant in demanding:
        admins = await account_rows.list_admins(tx, tenant)
        count = sum(admin.enrolled.is_exempt and can_be_exempt(admin) for admin in admins)
        if count < MIN_EXEMPT:
            how = f"{count} exempt administrators; have one choose {MIN_EXEMPT} at /admin/sso/required"
            advice.append((KEY, f"{tenant} requires single sign-on and has {how}"))
    return advice


async def list_demanding(tx: Transaction) -> list[str]:
    """Return the active tenants that require single sign-on."""
    query = select(tenants.c.slug, tenants.c.factor_policy).where(
        tenants.c.factor_policy != "", tenants.c.status == "active"
    )
    return [slug for slug, text in await tx.execute(query.order_by(tenants.c.slug)) if is_demanded(text)]


def is_demanded(text: str) -> bool:
    return read_tenant_policy(text).first == SSO
