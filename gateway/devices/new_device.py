"""The mail about a sign-in from an address and browser that were not seen before, with the link that ends it."""

from __future__ import annotations

from gateway.devices.revoke_link import RevokeLinks
from gateway.mail.notices import Notices
from gateway.model.account import Account
from gateway.model.inbound import Inbound
from gateway.store import Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked

MAILS = Limit(failures=100, window_seconds=3_600, lock_seconds=3_600)


class NewDevices:
    """`sessions_link` is the whole address of the page that lists all devices."""

    def __init__(self, notices: Notices, links: RevokeLinks, sessions_link: str) -> None:
        self._notices = notices
        self._links = links
        self._sessions_link = sessions_link

    async def tell(self, tx: Transaction, account: Account, session_id: str, inbound: Inbound, now: int) -> None:
        """Put the mail into the outbox, in the transaction that opens the session.

        Somebody who has the password could fill the mailbox with these. A hundred within an hour say enough.
        """
        if isinstance(await limits.reserve(tx, f"new-device:{account.id}", MAILS, now), Locked):
            return
        await self._notices.send(
            tx,
            "new_device",
            account,
            inbound,
            now,
            revoke_link=self._links.address_for(session_id),
            sessions_link=self._sessions_link,
        )
