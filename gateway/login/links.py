"""Sends the mailed link of a sign-in: made in one transaction, sent at once, and the truth told if that fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway import limits
from gateway.accounts.record import Account
from gateway.audit import rows as audit
from gateway.audit.events import Event, entry_of
from gateway.edge.inbound import Inbound
from gateway.factors import magic_link
from gateway.factors.contract import Asked
from gateway.limits import Limit, Locked, Open, address_bucket, for_known
from gateway.logs import get_logger
from gateway.mail.compose import Composer
from gateway.mail.smtp import Mailer, MailUnsent
from gateway.secret import Secret
from gateway.sessions import rows as session_rows
from gateway.sessions.device import label
from gateway.store import Store, Transaction

log = get_logger("mail")

PATIENCE_SECONDS = 15  # somebody is waiting
FOR_HOLDER = Limit(failures=5, window_seconds=900, lock_seconds=300)
FROM_ADDRESS = Limit(failures=6, window_seconds=900, lock_seconds=300)
FROM_ANYWHERE = Limit(failures=20, window_seconds=3_600, lock_seconds=900)


@dataclass(frozen=True, slots=True)
class Sent:
    """The mail server took it."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """No more links for now; `until` is UTC seconds."""

    until: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """The mail server did not take it; the operator's log says why."""


class LinkSender:
    """`link_address` is the whole address under which links are opened, up to the token."""

    def __init__(self, store: Store, composer: Composer, mailer: Mailer, link_address: str) -> None:
        self._store = store
        self._composer = composer
        self._mailer = mailer
        self._link_address = link_address

    async def send(
        self, account: Account, holder: str, target: str, inbound: Inbound, now: int
    ) -> Sent | TooMany | Unsent:
        """Mail a new link for an attempt or session; it takes the place of older ones. Asking resets no count."""
        async with self._store.transaction(announce=False) as tx:
            verdict = await self._reserve(tx, account, holder, inbound, now)
            if isinstance(verdict, Locked):
                return TooMany(verdict.until)
            token = await magic_link.issue(tx, Asked(account.id, holder), target, now)
            await audit.record(tx, entry_of(Event.LOGIN_LINK_SENT, account, inbound, now))
        message = self._composer.compose(
            "sign_in_link",
            account.identifier,
            message_id=self._composer.message_id(f"{holder}.{now}"),
            now=now,
            name=account.name,
            link=self.address_of(token),
            minutes=magic_link.LIFE_SECONDS // 60,
            device=label(inbound.user_agent),
            address=inbound.address or "unknown",
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._mailer.send(message)
        except (MailUnsent, TimeoutError) as error:
            log.error(
                "link_unsent", reason=str(error) or "the mail server takes too long", request_id=inbound.request_id
            )
            async with self._store.transaction(announce=False) as tx:
                await audit.record(tx, entry_of(Event.LOGIN_LINK_UNSENT, account, inbound, now))
            return Unsent()
        return Sent()

    async def _reserve(
        self, tx: Transaction, account: Account, holder: str, inbound: Inbound, now: int
    ) -> Open | Locked:
        """Count a mail: for the attempt or session, for the account from this address, and from all addresses.

        A device that signed in before has some of its own, whatever others ask for.
        """
        pair = f"link:{account.id}|{address_bucket(inbound.address)}"
        own = (f"link:{holder}", FOR_HOLDER)
        if await session_rows.is_known_device(tx, account.id, inbound.address, inbound.user_agent, now):
            return await limits.reserve_all(tx, (own, (for_known(pair), FROM_ADDRESS)), now)
        shared = ((pair, FROM_ADDRESS), (f"link:{account.id}", FROM_ANYWHERE))
        return await limits.reserve_all(tx, (own, *shared), now)

    def address_of(self, token: Secret[str]) -> str:
        return f"{self._link_address}{token.reveal()}"
