"""Invitations: an account without a password, and a mailed link to choose one.

Each address is mailed a few times a day at most, so that an administrator can't flood a stranger's mailbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from gateway.accounts import links
from gateway.accounts import rows as account_rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.links import INVITED_BY, LIFE_SECONDS, Purpose
from gateway.actions.action import NOTHING, Action
from gateway.crypto.sealing import Sealer
from gateway.mail.outbox import Letter, Outbox
from gateway.model.account import Account
from gateway.model.clock import DAY
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.moment import Moment
from gateway.model.sentence import Sentence
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked, Open

FROM_TENANT = Limit(failures=5, window_seconds=DAY, lock_seconds=DAY)
FROM_ALL = Limit(failures=20, window_seconds=DAY, lock_seconds=DAY)


class Invited(Enum):
    """Whether a person was invited. NOT: the tenant can't have the email."""

    YES = "yes"
    NOT = "not"
    TOO_MANY_MAILS = "too many mails"


class TooManyMails(ValueError):
    """The address was mailed too often today."""

    sentence = Sentence("This address has been sent too many emails today. Try again tomorrow.")

    def __init__(self) -> None:
        super().__init__(self.sentence)


async def count_mail(tx: Transaction, tenant: str, identifier: str, now: int) -> None:
    """Count a mail from a tenant to a stranger's address. Raises TooManyMails if the address is over today's limit.

    There is a limit per tenant, so that one can't use up the mails of another, and one for all tenants together.
    """
    if isinstance(await limits.reserve_all(tx, buckets_of(tenant, identifier), now), Locked):
        raise TooManyMails


def buckets_of(tenant: str, identifier: str) -> Sequence[tuple[str, Limit]]:
    return (f"mail-to:{identifier}|{tenant}", FROM_TENANT), (f"mail-to:{identifier}", FROM_ALL)


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
        (result,) = await self.invite_all(action, [wanted], details)
        if result is Invited.TOO_MANY_MAILS:
            raise TooManyMails
        return result is Invited.YES

    async def invite_all(self, action: Action, wanted: Sequence[Create], details: Details = NOTHING) -> list[Invited]:
        """Do the same for several people with different emails. Returns what became of each."""
        tx, now = action.tx, action.now
        verdicts = await limits.reserve_each(tx, [buckets_of(each.tenant, each.identifier) for each in wanted], now)
        accounts = [each.account(account_rows.new_account_id(), now, is_invited=True) for each in wanted]
        mailed = [account for account, verdict in zip(accounts, verdicts, strict=True) if isinstance(verdict, Open)]
        added = await account_rows.add_all(tx, mailed)
        invited = [account for account in accounts if account.id in added]
        await self._mail(action, invited)
        for account in invited:
            await action.record(Event.ACCOUNT_INVITED, account, {"role": account.role.value, **details})
        results = [Invited.YES if account.id in added else Invited.NOT for account in accounts]
        return [
            result if isinstance(verdict, Open) else Invited.TOO_MANY_MAILS
            for result, verdict in zip(results, verdicts, strict=True)
        ]

    async def send_again(self, action: Action, account: Account) -> None:
        """Mail a new link; earlier ones are superseded. Raises TooManyMails."""
        await count_mail(action.tx, account.tenant, account.identifier, action.now)
        await links.supersede(
            action.tx, Purpose.INVITATION, account=account.id, identifier=account.identifier, now=action.now
        )
        await self._mail(action, [account])
        await action.record(Event.ACCOUNT_INVITED, account, {"again": True})

    async def _mail(self, action: Action, accounts: Sequence[Account]) -> None:
        if not accounts:
            return
        tx, now, invited_by = action.tx, action.now, action.actor.name
        whose = [(account.id, account.identifier) for account in accounts]
        tokens = await links.add_all(tx, self._sealer, Purpose.INVITATION, whose, now, {INVITED_BY: invited_by})
        names = {
            tenant: await account_rows.find_tenant_name(tx, tenant)
            for tenant in sorted({account.tenant for account in accounts})
        }
        letters = [
            Letter(
                account.identifier,
                account.id,
                {
                    "name": account.name,
                    "invited_by": invited_by,
                    "tenant": names[account.tenant],
                    "role": account.role.value,
                    "until": Moment(now + LIFE_SECONDS[Purpose.INVITATION]),
                    "link": f"{self._address}{token.reveal()}",
                },
            )
            for account, token in zip(accounts, tokens, strict=True)
        ]
        await self._outbox.post_all(tx, "invitation", letters, now)
