"""The mailed link: single use, ten minutes, for one attempt (or session) and the browser that it belongs to.

Looking at a link changes nothing, because mail scanners look at every one, follow its scripts and press its buttons.
In the browser that asked, its page has a button that completes. Any other browser is shown a short code, to be
typed into the page that waits in the first one, and is never signed in itself.

The code is computed from the link's id with a key of the gateway's: it is stored nowhere, and knowing the database does
not give it away. A newer link for the same attempt makes the older ones worthless, and their codes with them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import delete, insert, select, update

from gateway.factors.backup_code import ALPHABET
from gateway.factors.contract import Asked, Reason, Right, Wrong
from gateway.factors.typed import read_code
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.token import is_same, key_of, key_of_text, new_id, new_token
from gateway.store import Transaction
from gateway.store.schema import magic_links
from gateway.store.stored import Stored

DAY = 86_400
LIFE_SECONDS = 600
CODE_LETTERS = 8  # 40 bits, five tries
COLUMNS = (
    magic_links.c.id,
    magic_links.c.holder,
    magic_links.c.account,
    magic_links.c.target,
    magic_links.c.created_at,
    magic_links.c.used_at,
    magic_links.c.superseded_at,
)


class State(Enum):
    """What has become of a link."""

    GOOD = "good"
    EXPIRED = "expired"
    USED = "used"
    SUPERSEDED = "superseded"


REFUSALS = {
    State.EXPIRED: Reason.EXPIRED,
    State.USED: Reason.USED,
    State.SUPERSEDED: Reason.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is stored. `holder` is the id of the attempt or session; times are UTC seconds."""

    id: str
    holder: str
    account: str
    target: str
    created_at: int
    used_at: int | None
    superseded_at: int | None

    def state(self, now: int) -> State:
        if self.used_at is not None:
            return State.USED
        if self.superseded_at is not None:
            return State.SUPERSEDED
        return State.GOOD if now < self.created_at + LIFE_SECONDS else State.EXPIRED


class MagicLinkFactor:
    """`key` makes the codes (see crypto.keys.derive); those that one of `older` made are taken still."""

    factor = Factor.MAGIC_LINK

    def __init__(self, key: Secret[bytes], older: Sequence[Secret[bytes]] = ()) -> None:
        self._keys = (key, *older)

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        """`given` is the code that another browser showed, for the newest link of this holder."""
        query = select(*COLUMNS).where(magic_links.c.holder == asked.holder)
        letters = read_code(given)
        for row in await tx.execute(query):
            link = Link(*row)
            if self._is_code_of(link, letters):
                return await self.consume(tx, link, now)
        return Wrong()

    async def consume(self, tx: Transaction, link: Link, now: int) -> Right | Wrong:
        """Use the link up. Whether it belongs to this browser is for the caller to know."""
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
        """Return the link's short code, like ABCD-EFGH."""
        letters = letters_of(link, self._keys[0])
        return f"{letters[:4]}-{letters[4:]}"

    def _is_code_of(self, link: Link, letters: str) -> bool:
        given = letters.encode("utf-8", "replace")
        return any(is_same(given, letters_of(link, key).encode()) for key in self._keys)


def letters_of(link: Link, key: Secret[bytes]) -> str:
    mac = hmac.digest(key.reveal(), link.id.encode("ascii"), "sha256")
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in mac[:CODE_LETTERS])


async def issue(tx: Transaction, asked: Asked, target: str, now: int) -> Secret[str]:
    """Return the token of a new link, to be mailed; every older one of the same holder is superseded."""
    older = update(magic_links).where(
        magic_links.c.holder == asked.holder, magic_links.c.superseded_at.is_(None), magic_links.c.used_at.is_(None)
    )
    await tx.execute(older.values(superseded_at=now))
    token = new_token()
    await tx.execute(
        insert(magic_links).values(
            id=new_id("lnk"),
            token_key=key_of(token),
            holder=asked.holder,
            account=asked.account,
            target=target,
            created_at=now,
        )
    )
    return token


async def find(tx: Transaction, token: str) -> Link | None:
    """Return the link that a token stands for, whatever has become of it."""
    key = key_of_text(token)
    if key is None:
        return None
    row = (await tx.execute(select(*COLUMNS).where(magic_links.c.token_key == key))).one_or_none()
    return Link(*row) if row else None


async def latest(tx: Transaction, holder: str) -> Link | None:
    """Return the newest link of an attempt or session."""
    query = select(*COLUMNS).where(magic_links.c.holder == holder)
    newest_first = query.order_by(
        magic_links.c.superseded_at.is_not(None), magic_links.c.used_at.is_not(None), magic_links.c.created_at.desc()
    )
    row = (await tx.execute(newest_first.limit(1))).one_or_none()
    return Link(*row) if row else None


async def list_ids(tx: Transaction, holder: str) -> list[str]:
    """Return the ids of all links of an attempt or session."""
    return list((await tx.execute(select(magic_links.c.id).where(magic_links.c.holder == holder))).scalars())


STORED = (
    Stored(
        magic_links,
        lambda longest, now: magic_links.c.created_at < now - LIFE_SECONDS - DAY,
        restored=lambda now: delete(magic_links),
    ),
)
