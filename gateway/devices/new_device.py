"""Mails about sign-ins from unknown devices and networks, with a link that ends the session."""

from __future__ import annotations

from gateway.actions.action import Action
from gateway.devices.recognition import Recognition
from gateway.devices.revoke_link import RevokeLinks
from gateway.model.account import Account
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked

MAILS = Limit(failures=100, window_seconds=3_600, lock_seconds=3_600)


class NewDevices:
    """`sessions_link` is the absolute URL of the device list."""

    def __init__(self, links: RevokeLinks, sessions_link: str) -> None:
        self._links = links
        self._sessions_link = sessions_link

    async def report(self, action: Action, account: Account, session_id: str, found: Recognition) -> None:
        """Queue the mail, in the transaction that opens the session. None if both browser and network are known.

        At most a hundred per hour and account: an attacker with the password could otherwise flood the mailbox.
        """
        if not found.mail:
            return
        if isinstance(await limits.reserve(action.tx, f"new-device:{account.id}", MAILS, action.now), Locked):
            return
        revoke_link = self._links.address_for(session_id)
        await action.notify(found.mail, account, revoke_link=revoke_link, sessions_link=self._sessions_link)
