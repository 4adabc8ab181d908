"""Inviting people: an account without a password, and a link with which its owner chooses one."""

from __future__ import annotations

from gateway.accounts import links
from gateway.accounts import rows as account_rows
from gateway.accounts.bulk import Create
from gateway.accounts.links import Purpose
from gateway.accounts.record import Account
from gateway.mail.outbox import Outbox
from gateway.sealing import Sealer
from gateway.store import Transaction


class Invitations:
    """`address` is where links are opened, up to the token."""

    def __init__(self, outbox: Outbox, sealer: Sealer, address: str) -> None:
        self._outbox = outbox
        self._sealer = sealer
        self._address = address

    async def invite(self, tx: Transaction, wanted: Create, invited_by: str, now: int) -> Account | None:
        """Make an account that can't sign in yet, and mail its link; None if the email is taken."""
        account = wanted.account(account_rows.new_account_id(), now, is_invited=True)
        if not await account_rows.add(tx, account):
            return None
        await self.send(tx, account, invited_by, now)
        return account

    async def send(self, tx: Transaction, account: Account, invited_by: str, now: int) -> None:
        """Mail a fresh link; the ones before are dead."""
        token = await links.issue(
            tx, self._sealer, Purpose.INVITATION, account=account.id, identifier=account.identifier, now=now
        )
        await self._outbox.post(
            tx,
            "invitation",
            account.identifier,
            account=account.id,
            now=now,
            name=account.name,
            invited_by=invited_by,
            tenant=await account_rows.find_tenant_name(tx, account.tenant),
            link=f"{self._address}{token.reveal()}",
        )
