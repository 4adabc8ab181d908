"""Notifies people by mail of changes to their account, in the transaction of the change."""

from __future__ import annotations

from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.moment import Moment
from gateway.model.sentence import Sentence
from gateway.store import Transaction


class Notices:
    """Sends security notices, with two absolute URLs.

    `security_link` is the page on which people manage their factors, `compromised_link` that of "Someone else is using
    my account".
    """

    def __init__(self, outbox: Outbox, security_link: str, compromised_link: str) -> None:
        self._outbox = outbox
        self._security_link = security_link
        self._compromised_link = compromised_link

    async def send(
        self,
        tx: Transaction,
        template: str,
        account: Account,
        now: int,
        *,
        device: str,
        address: str,
        **more: str | int,
    ) -> None:
        """Put the mail `template` into the outbox. `device` and `address` are where the change was made.

        Service accounts hold no mailbox, and get none.
        """
        if account.is_service:
            return
        await self._outbox.post(
            tx,
            template,
            account.identifier,
            account=account.id,
            now=now,
            name=account.name,
            device=device,
            address=address or Sentence("unknown"),
            at=Moment(now),
            security_link=self._security_link,
            compromised_link=self._compromised_link,
            **more,
        )
