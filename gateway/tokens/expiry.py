"""Warns a week before an API token expires: the program that uses it would stop working without a word.

A token that was never used, or was made for less than two weeks, gives no warning.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, Actor
from gateway.model.account import Status
from gateway.model.moment import Moment
from gateway.store import Store
from gateway.tokens import rows
from gateway.tokens.mails import tell
from gateway.tokens.rows import TokenRow


class TokenWarnings:
    """The addresses are URLs of the pages with a person's tokens, and with those of a service account.

    `owners` are normalised identifiers. They can have no tokens, so those that they had before are refused.
    """

    def __init__(
        self, store: Store, actions: Actions, address: str, service_address: str, owners: Collection[str] = ()
    ) -> None:
        self._store = store
        self._actions = actions
        self._address = address
        self._service_address = service_address
        self._owners = owners

    def adopt(self, owners: Collection[str]) -> None:
        """Replace the list of owners, after a reload of the settings."""
        self._owners = owners

    async def run_due(self, now: int) -> None:
        """Send the warnings that are due, each once, whichever worker comes first."""
        async with self._store.reading() as tx:
            found = await rows.list_expiring(tx, now)
        for token in found:
            await self._warn(token, now)

    async def _warn(self, token: TokenRow, now: int) -> None:
        async with self._actions.begin(Actor(), now) as action:
            account = await account_rows.find(action.tx, token.account, lock=True)
            if account is None or account.status is not Status.ACTIVE or account.identifier in self._owners:
                return
            if await rows.note_warning(action.tx, token.id, now):
                link = f"{self._service_address}?account={account.id}" if account.is_service else self._address
                until = Moment(token.grant.expires_at)
                await tell(action, account, "token_expires", token=token.name, until=until, link=link)
