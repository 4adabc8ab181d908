"""Whether a person has signed in before from where they sign in now: with this browser, and from this network.

A device is known if the account signed in from its network with a browser of its name in the last 90 days. A network is
one IPv4 address, or an IPv6 /64. Wider ones (an IPv4 /16, an IPv6 /32) are whole providers: a thief with the same one
would cause no mail.

Otherwise there is always a mail. It speaks of a new network, not of a new device, if the browser shows its cookie (see
browsers.rows). That changes words only, because a cookie can be stolen. Nor does a cookie from before the last time
that a device of the account was signed out make a browser known.
"""

from __future__ import annotations

from enum import Enum

from gateway.browsers import rows as browser_rows
from gateway.devices import rows
from gateway.model.inbound import Inbound
from gateway.sessions import rows as session_rows
from gateway.sessions.rows import KNOWN_SECONDS
from gateway.store import Transaction


class Recognition(Enum):
    KNOWN = "known"
    NEW_NETWORK = "new_network"
    NEW_DEVICE = "new_device"

    @property
    def mail(self) -> str:
        """The mail that reports it, "" if none does. It is the name of the audit detail too."""
        return "" if self is Recognition.KNOWN else self.value


async def recognise(tx: Transaction, account: str, inbound: Inbound, now: int) -> Recognition:
    """Compare a sign-in with those before it. To be called before browsers.rows.arrive notes that the browser came."""
    if await session_rows.is_known_device(tx, account, inbound.address, inbound.user_agent, now):
        return Recognition.KNOWN
    seen_at = await browser_rows.find_seen(tx, inbound.browser_key, account)
    if seen_at is None:
        return Recognition.NEW_DEVICE
    since = max(now - KNOWN_SECONDS, await rows.last_revoked(tx, account) + 1)
    is_known = seen_at >= since and await rows.has_browser(tx, account, inbound.user_agent, since)
    return Recognition.NEW_NETWORK if is_known else Recognition.NEW_DEVICE
