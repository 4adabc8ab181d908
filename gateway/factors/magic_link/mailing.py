"""Sends a sign-in link at once, because a person is waiting for it.

The mail is stored with the link, in one transaction, already claimed by this worker. If the server refuses it for now
(greylisting, for example), it stays in the outbox and is retried while the link is valid. The waiting page asks here
for the mail's state.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.actions.action import Action, Actions, requester
from gateway.factors.contract import Asked
from gateway.factors.magic_link import rows
from gateway.factors.magic_link.rows import Link
from gateway.mail.outbox import MailState, Outbox, state_of, withdraw
from gateway.mail.sender import Sender
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.observe.logs import get_logger
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked, Open, address_bucket, for_known

log = get_logger("mail")

PATIENCE_SECONDS = 15  # a page is waiting for the result
FOR_HOLDER = Limit(failures=5, window_seconds=900, lock_seconds=300)
FROM_ADDRESS = Limit(failures=6, window_seconds=900, lock_seconds=300)
FROM_ANYWHERE = Limit(failures=20, window_seconds=3_600, lock_seconds=900)


@dataclass(frozen=True, slots=True)
class NoServer:
    """No mail server is configured. The operator creates the link in the shell."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """The limit of links is reached; `until` is UTC seconds."""

    until: int


class LinkSender:
    """`link_address` is the absolute URL of links, to be followed by the token."""

    def __init__(self, store: Store, actions: Actions, outbox: Outbox, sender: Sender, link_address: str) -> None:
        self._store = store
        self._actions = actions
        self._outbox = outbox
        self._sender = sender
        self._link_address = link_address

    @property
    def has_server(self) -> bool:
        return self._outbox.is_on

    async def send(
        self, account: Account, holder: str, target: str, inbound: Inbound, now: int
    ) -> MailState | TooMany | NoServer:
        """Mail a new link for an attempt or session, which supersedes older ones. Counters of failures stay."""
        if not self.has_server:
            return NoServer()
        actor = requester(inbound)
        async with self._actions.begin(actor, now) as action:
            verdict = await self._reserve(action, account, holder)
            if isinstance(verdict, Locked):
                return TooMany(verdict.until)
            link_id, token = await self._issue(action.tx, Asked(account.id, holder), target, now)
            await action.record(Event.LOGIN_LINK_SENT, account)
            mail = await self._outbox.post_claimed(
                action.tx,
                mail_of(link_id),
                "sign_in_link",
                account.identifier,
                account=account.id,
                now=now,
                lease=self._sender.lease_seconds,
                name=account.name,
                link=self.address_of(token),
                minutes=rows.LIFE_SECONDS // 60,
                device=actor.device,
                address=inbound.address or "unknown",
            )
        state = await self._sender.send_now(mail, now, PATIENCE_SECONDS)
        if state is not MailState.SENT:
            log.error("link_unsent", mail=mail.id, state=state.value, request_id=inbound.request_id)
            async with self._actions.begin(actor, now) as action:
                await action.record(Event.LOGIN_LINK_UNSENT, account)
        return state

    async def _issue(self, tx: Transaction, asked: Asked, target: str, now: int) -> tuple[str, Secret[str]]:
        """Add a link, and withdraw waiting mails of superseded ones. Returns the link's id and token."""
        older = await rows.list_ids(tx, asked.holder)
        await withdraw(tx, [mail_of(link_id) for link_id in older])
        token = await rows.issue(tx, asked, target, now)
        link = await rows.find(tx, token.reveal())
        if link is None:
            raise RuntimeError("a new link is not there")
        return link.id, token

    async def state_of(self, link: Link) -> MailState:
        """Return the state of the link's mail. A link that was printed in the shell counts as sent."""
        async with self._store.reading() as tx:
            return await state_of(tx, mail_of(link.id)) or MailState.SENT

    async def _reserve(self, action: Action, account: Account, holder: str) -> Open | Locked:
        """Count a mail per attempt or session, per account and address, and per account.

        A known device has its own bucket instead of the last two, so that strangers can't use up its mails.
        """
        tx, now, actor = action.tx, action.now, action.actor
        everywhere = limit_prefix(account.id)
        pair = f"{everywhere}|{address_bucket(actor.address)}"
        own = (f"link:{holder}", FOR_HOLDER)
        if await session_rows.is_known_device(tx, account.id, actor.address, actor.user_agent, now):
            return await limits.reserve_all(tx, (own, (for_known(pair), FROM_ADDRESS)), now)
        shared = ((pair, FROM_ADDRESS), (everywhere, FROM_ANYWHERE))
        return await limits.reserve_all(tx, (own, *shared), now)

    def address_of(self, token: Secret[str]) -> str:
        return f"{self._link_address}{token.reveal()}"


def limit_prefix(account: str) -> str:
    """Return the key prefix of an account's limits."""
    return f"link:{account}"


def note_of(sent: MailState | TooMany | NoServer) -> str:
    """Return the addition to the waiting page's query. The page itself asks for the mail's state."""
    return "&mail=many" if isinstance(sent, TooMany) else ""


def mail_of(link_id: str) -> str:
    """Return the id of a link's mail."""
    return f"mail_{link_id}"
