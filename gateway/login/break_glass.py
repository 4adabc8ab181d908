"""Sign-ins of break-glass accounts: all administrators of the tenant hear of each one."""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Action
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof, shown_by


async def report_use(action: Action, account: Account, proofs: tuple[Proof, ...], session: str) -> None:
    """Record and mail that an exempt account signed in without what its tenant demands of everyone else."""
    if not account.enrolled.is_exempt:
        return
    demanded = await account_rows.find_factor_policy(action.tx, account.tenant)
    if demanded is None or demanded.first == Factor.PASSWORD or demanded.first in shown_by(proofs):
        return
    await action.record(Event.BREAK_GLASS_USED, account, {}, session)
    await tell_admins(action, account.tenant, "break_glass_used", who=account.name, email=account.identifier)
