"""Mails about API tokens: to the person who has one, or to the administrators whose tenant's service account does."""

from __future__ import annotations

from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Action
from gateway.model.account import Account


async def tell(action: Action, account: Account, template: str, **more: str) -> None:
    """Queue a mail about a token of the account. What administrators get of it is the mail `service_…`."""
    if account.is_service:
        await tell_admins(action, account.tenant, f"service_{template}", service=account.name, **more)
    else:
        await action.notify(template, account, **more)
