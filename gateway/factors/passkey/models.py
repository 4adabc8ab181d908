"""Start-up check of the models of passkeys that tenants demand: they are proved by certificates of their makers."""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.store import Transaction


async def inspect(tx: Transaction, settings: Settings) -> list[Said]:
    """Return a warning if tenants demand models and no certificates are configured."""
    if settings.factors.attestation_roots:
        return []
    tenants = await account_rows.list_tenants_with_models(tx)
    if not tenants:
        return []
    demand = f"{', '.join(tenants)} demand{'' if len(tenants) > 1 else 's'} certain models of passkeys"
    how = "set it, or have an administrator save /admin/security, which then allows all models"
    return [("factors.attestation_roots", f"{demand}; without this file their people can add no passkeys: {how}")]
