"""Tells people by mail what was done to their account: in the transaction in which it is done."""

from __future__ import annotations

import time

from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.inbound import Inbound
from gateway.store import Transaction
from gateway.web.user_agents import label


class Notices:
    """`security_link` is the whole address of the page where people see and change their factors."""

    def __init__(self, outbox: Outbox, security_link: str) -> None:
        self._outbox = outbox
        self._security_link = security_link

    async def send(
        self, tx: Transaction, template: str, account: Account, inbound: Inbound | None, now: int, **more: str | int
    ) -> None:
        """Put the mail called `template` into the outbox; without `inbound` it was done from the shell."""
        device = label(inbound.user_agent) if inbound else "the operator's shell"
        await self.send_about(
            tx, template, account, now, device=device, address=inbound.address if inbound else "", **more
        )

    async def send_about(
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
        """The same about another device than the one that did it."""
        await self._outbox.post(
            tx,
            template,
            account.identifier,
            account=account.id,
            now=now,
            name=account.name,
            device=device,
            address=address or "unknown",
            at=write_moment(now),
            security_link=self._security_link,
            **more,
        )


def write_moment(now: int) -> str:
    return time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(now))
