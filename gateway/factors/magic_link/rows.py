"""Statements on sign-in links, stored by the SHA-256 of their token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlalchemy import delete, insert, select, update

from gateway.factors.contract import Asked
from gateway.model.clock import DAY
from gateway.model.secret import Secret
from gateway.model.token import key_of, key_of_text, new_id, new_token
from gateway.store import Transaction
from gateway.store.schema import magic_links
from gateway.store.stored import EXPIRING, Stored

LIFE_SECONDS = 600
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
    GOOD = "good"
    EXPIRED = "expired"
    USED = "used"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Link:
    """`holder` is the id of the attempt or session; times are UTC seconds."""

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


async def issue(tx: Transaction, asked: Asked, target: str, now: int) -> Secret[str]:
    """Add a link and return its token. Older links of the same holder are superseded."""
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
    """Return the link of a token, valid or not."""
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
        erased=EXPIRING,
    ),
)
