"""Warns administrators a month before a provisioning token expires: accounts would no longer follow the provider.

There is no warning of a token that was never used, was made for less than two months, or has a successor in use.
"""

from __future__ import annotations

from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Actions, Actor
from gateway.model.moment import Moment
from gateway.scim import token_rows
from gateway.scim.token_rows import ProvisioningToken
from gateway.store import Store


class ProvisioningWarnings:
    """`address` is the URL of the page on which administrators make tokens."""

    def __init__(self, store: Store, actions: Actions, address: str) -> None:
        self._store = store
        self._actions = actions
        self._address = address

    async def run_due(self, now: int) -> None:
        """Send the warnings that are due, each once, whichever worker comes first."""
        async with self._store.reading() as tx:
            found = await token_rows.list_expiring(tx, now)
        for token in found:
            await self._warn(token, now)

    async def _warn(self, token: ProvisioningToken, now: int) -> None:
        async with self._actions.begin(Actor(), now) as action:
            if await token_rows.note_warning(action.tx, token.id, now):
                until = Moment(token.expires_at)
                await tell_admins(
                    action, token.tenant, "scim_token_expires", hint=token.hint, until=until, link=self._address
                )
