"""Mails to all administrators of a tenant."""

from __future__ import annotations

from gateway.accounts import rows
from gateway.actions.action import Action


async def tell_admins(action: Action, tenant: str, template: str, **more: str | int) -> None:
    for admin in await rows.list_admins(action.tx, tenant):
        await action.notify(template, admin, **more)
