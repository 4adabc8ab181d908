"""The mailed sign-in link: single use, ten minutes, bound to one attempt (or session) and its browser.

Opening a link changes nothing, because mail scanners open every link, run its scripts and press its buttons. In the
browser that requested it, the page has a button that completes the sign-in. Any other browser shows a short code to
type into the waiting page of the first one, and is never signed in itself.

The code is an HMAC of the link's id, so it isn't stored, and a stolen database doesn't disclose it. A newer link for
the same attempt supersedes older ones and their codes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from functools import cached_property

from sqlalchemy import select, update

from gateway.factors.contract import Asked, FactorContract, Panel, Reason, Right, Wrong
from gateway.factors.magic_link.mailing import LinkSender, limit_prefix, note_of
from gateway.factors.magic_link.rows import COLUMNS, LIFE_SECONDS, Link, State
from gateway.factors.typed import ALPHABET, read_code
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.model.token import is_same
from gateway.store import Transaction
from gateway.store.schema import magic_links

CODE_LETTERS = 8  # 40 bits; the guard allows five tries
REFUSALS = {
    State.EXPIRED: Reason.EXPIRED,
    State.USED: Reason.USED,
    State.SUPERSEDED: Reason.SUPERSEDED,
}


class MagicLinkFactor(FactorContract):
    """`key` generates the codes (see crypto.keys.derive); codes by one of `older` are still accepted.

    `sender` constructs the LinkSender on first use: it needs the store, which some commands don't open.
    """

    name = Factor.MAGIC_LINK
    page = "link"

    def __init__(self, key: Secret[bytes], older: Sequence[Secret[bytes]], sender: Callable[[], LinkSender]) -> None:
        self._keys = (key, *older)
        self._make_sender = sender

    label = Sentence("email link")
    means = Sentence("an email link")

    @cached_property
    def sender(self) -> LinkSender:
        return self._make_sender()

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        return Panel("magic_link/panel.html", {"used_at": used_at}) if session.is_owner else None

    async def challenge(self, account: Account, holder: str, target: str, inbound: Inbound, now: int) -> str:
        return note_of(await self.sender.send(account, holder, target, inbound, now))

    def limits_of(self, account: Account) -> tuple[str, ...]:
        return (limit_prefix(account.id),)

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        """Verify the code that another browser showed for a link of this holder."""
        query = select(*COLUMNS).where(magic_links.c.holder == asked.holder)
        letters = read_code(given)
        for row in await tx.execute(query):
            link = Link(*row)
            if self._is_code_of(link, letters):
                return await self.consume(tx, link, now)
        return Wrong()

    async def consume(self, tx: Transaction, link: Link, now: int) -> Right | Wrong:
        """Consume the link. The caller checks that it belongs to this browser."""
        statement = (
            update(magic_links)
            .where(
                magic_links.c.id == link.id,
                magic_links.c.used_at.is_(None),
                magic_links.c.superseded_at.is_(None),
                magic_links.c.created_at > now - LIFE_SECONDS,
            )
            .values(used_at=now)
        )
        if (await tx.execute(statement)).rowcount == 1:
            return Right()
        return Wrong(REFUSALS.get(link.state(now), Reason.USED))

    def code_of(self, link: Link) -> str:
        """Return the link's short code, formatted like ABCD-EFGH."""
        letters = letters_of(link, self._keys[0])
        return f"{letters[:4]}-{letters[4:]}"

    def _is_code_of(self, link: Link, letters: str) -> bool:
        given = letters.encode("utf-8", "replace")
        return any(is_same(given, letters_of(link, key).encode()) for key in self._keys)


def letters_of(link: Link, key: Secret[bytes]) -> str:
    mac = hmac.digest(key.reveal(), link.id.encode("ascii"), "sha256")
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in mac[:CODE_LETTERS])
