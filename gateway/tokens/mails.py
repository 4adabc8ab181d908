"""Mails about API tokens: to the person, or for a service account to the administrators of its tenant."""

from __future__ import annotations

from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Action
from gateway.model.account import Account


async def tell(action: Action, account: Account, template: str, **more: str | int) -> None:
    """Queue a mail about a token of the account. Administrators get the template `service_…`."""
    if account.is_service:
        await tell_admins(action, account.tenant, f"service_{template}", service=account.name, **more)
    else:
        await action.notify(template, account, **more)
