"""Invitations: an account without a password, and a mailed link to choose one.

Each address is mailed a few times a day at most, so that an administrator can't flood a stranger's mailbox.
"""

from __future__ import annotations

from gateway.accounts import links
from gateway.accounts import rows as account_rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.links import INVITED_BY, LIFE_SECONDS, Purpose
from gateway.actions.action import NOTHING, Action
from gateway.crypto.sealing import Sealer
from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.event import Details, Event
from gateway.model.moment import Moment
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
    """Count a mail from a tenant to a stranger's address. Raises TooManyMails if the address is over today's limit.

    There is a limit per tenant, so that one can't use up the mails of another, and one for all tenants together.
    """
    buckets = ((f"mail-to:{identifier}|{tenant}", FROM_TENANT), (f"mail-to:{identifier}", FROM_ALL))
    if isinstance(await limits.reserve_all(tx, buckets, now), Locked):
        raise TooManyMails


class Invitations:
    """`address` is the URL of invitation links, to be followed by the token."""

    def __init__(self, outbox: Outbox, sealer: Sealer, address: str) -> None:
        self._outbox = outbox
        self._sealer = sealer
        self._address = address

    async def invite(self, action: Action, wanted: Create, details: Details = NOTHING) -> bool:
        """Add an account that can't sign in yet, and mail its link. Returns False if the tenant can't have the email.

        Raises TooManyMails before any change.
        """
        await count_mail(action.tx, wanted.tenant, wanted.identifier, action.now)
        account = wanted.account(account_rows.new_account_id(), action.now, is_invited=True)
        if not await account_rows.add(action.tx, account):
            return False
        await self._mail(action, account)
        await action.record(Event.ACCOUNT_INVITED, account, {"role": account.role.value, **details})
        return True

    async def send_again(self, action: Action, account: Account) -> None:
        """Mail a new link; earlier ones are superseded. Raises TooManyMails."""
        await count_mail(action.tx, account.tenant, account.identifier, action.now)
        await self._mail(action, account)
        await action.record(Event.ACCOUNT_INVITED, account, {"again": True})

    async def _mail(self, action: Action, account: Account) -> None:
        tx, now = action.tx, action.now
        token = await links.issue(
            tx,
            self._sealer,
            Purpose.INVITATION,
            account=account.id,
            identifier=account.identifier,
            now=now,
            content={INVITED_BY: action.actor.name},
        )
        await self._outbox.post(
            tx,
            "invitation",
            account.identifier,
            account=account.id,
            now=now,
            name=account.name,
            invited_by=action.actor.name,
            tenant=await account_rows.find_tenant_name(tx, account.tenant),
            role=account.role.value,
            until=Moment(now + LIFE_SECONDS[Purpose.INVITATION]),
            link=f"{self._address}{token.reveal()}",
        )
