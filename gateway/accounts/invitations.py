"""Inviting people: an account without a password, and a link with which its owner chooses one.

Whoever may invite could flood a stranger's mailbox. So an address is mailed a few times a day, whoever asks.
"""

from __future__ import annotations

from gateway.accounts import links
from gateway.accounts import rows as account_rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.links import Purpose
from gateway.crypto.sealing import Sealer
from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.sentence import Sentence
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked

DAY = 86_400
FROM_TENANT = Limit(failures=5, window_seconds=DAY, lock_seconds=DAY)
FROM_ALL = Limit(failures=20, window_seconds=DAY, lock_seconds=DAY)


class TooManyMails(ValueError):
    """The address was mailed too often today."""

    sentence = Sentence("This address has been sent too many emails today. Try again tomorrow.")

    def __init__(self) -> None:
        super().__init__(self.sentence)


async def count_mail(tx: Transaction, tenant: str, identifier: str, now: int) -> None:
    """Count a mail that somebody of a tenant has sent to a stranger. Raises TooManyMails if no more may be sent today.

    Each tenant has a few of its own, so that none uses up the others'; all together have some more.
    """
    buckets = ((f"mail-to:{identifier}|{tenant}", FROM_TENANT), (f"mail-to:{identifier}", FROM_ALL))
    if isinstance(await limits.reserve_all(tx, buckets, now), Locked):
        raise TooManyMails


class Invitations:
    """`address` is where links are opened, up to the token."""

    def __init__(self, outbox: Outbox, sealer: Sealer, address: str) -> None:
        self._outbox = outbox
        self._sealer = sealer
        self._address = address

    async def invite(self, tx: Transaction, wanted: Create, invited_by: str, now: int) -> Account | None:
        """Make an account that can't sign in yet, and mail its link; None if the tenant can't have that email.

        Raises TooManyMails, before anything is made.
        """
        await count_mail(tx, wanted.tenant, wanted.identifier, now)
        account = wanted.account(account_rows.new_account_id(), now, is_invited=True)
        if not await account_rows.add(tx, account):
            return None
        await self._mail(tx, account, invited_by, now)
        return account

    async def send_again(self, tx: Transaction, account: Account, invited_by: str, now: int) -> None:
        """Mail a fresh link; the ones before are dead. Raises TooManyMails."""
        await count_mail(tx, account.tenant, account.identifier, now)
        await self._mail(tx, account, invited_by, now)

    async def _mail(self, tx: Transaction, account: Account, invited_by: str, now: int) -> None:
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
