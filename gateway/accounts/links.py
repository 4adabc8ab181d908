"""Mailed links other than sign-in links: single use, limited in time, and only the newest is valid.

The content of a link (name and password hash of a sign-up, a new email) is sealed in its row. A link is consumed by
one conditional UPDATE, in the transaction of the change that it allows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Executable,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    and_,
    insert,
    or_,
    select,
    update,
)

from gateway.crypto.sealing import Place, Sealer
from gateway.model.clock import DAY, HOUR
from gateway.model.secret import Secret
from gateway.model.token import key_of, key_of_text, new_id, new_token
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import EXPIRING, Longest, Sealed, Stored
from gateway.web.return_to import HOME

mailed_links = Table(
    "mailed_links",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("purpose", String(16), nullable=False),
    Column("account", String(40), ForeignKey("accounts.id"), index=True),
    Column("identifier", String(254), nullable=False, index=True),  # the recipient
    Column("content", LargeBinary, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    Column("superseded_at", BigInteger),
)

TARGET, INVITED_BY = "target", "invited_by"  # in the content of a link
MAX_TARGET = 1_000  # characters
COLUMNS = (
    mailed_links.c.id,
    mailed_links.c.purpose,
    mailed_links.c.account,
    mailed_links.c.identifier,
    mailed_links.c.content,
    mailed_links.c.created_at,
    mailed_links.c.used_at,
    mailed_links.c.superseded_at,
)

is_open = and_(mailed_links.c.used_at.is_(None), mailed_links.c.superseded_at.is_(None))


class Purpose(StrEnum):
    INVITATION = "invitation"
    RESET = "reset"
    SIGNUP = "signup"
    EMAIL_CHANGE = "email_change"  # to the new address, which confirms
    EMAIL_OLD = "email_old"  # to the old address, which agrees or stops
    SSO_LINK = "sso_link"  # connects an account to an identity provider
    EMAIL_UNDO = "email_undo"  # to the former address, which undoes the change


LIFE_SECONDS = {
    Purpose.INVITATION: 7 * DAY,
    Purpose.RESET: HOUR,
    Purpose.SIGNUP: DAY,
    Purpose.EMAIL_CHANGE: 7 * DAY,
    Purpose.EMAIL_OLD: 7 * DAY,
    Purpose.SSO_LINK: HOUR,
    Purpose.EMAIL_UNDO: 7 * DAY,
}


class LinkState(Enum):
    GOOD = "good"
    EXPIRED = "expired"
    USED = "used"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class MailedLink:
    """`account` is None for a sign-up, and for a link that was never mailed (see `issue`). Times are UTC seconds."""

    id: str
    purpose: Purpose
    account: str | None
    identifier: str
    content: Mapping[str, str]
    created_at: int
    used_at: int | None
    superseded_at: int | None

    @property
    def target(self) -> str:
        """The page to open afterwards, "" for none."""
        return self.content.get(TARGET, "")

    @property
    def ends_at(self) -> int:
        """When the link expires, in UTC seconds."""
        return self.created_at + LIFE_SECONDS[self.purpose]

    def state(self, now: int) -> LinkState:
        if self.used_at is not None:
            return LinkState.USED
        if self.superseded_at is not None:
            return LinkState.SUPERSEDED
        return LinkState.GOOD if now < self.ends_at else LinkState.EXPIRED


def kept_way(target: str) -> dict[str, str]:
    """Return the part of a link's content that keeps the page to open afterwards: none for "/" and a long one."""
    return {TARGET: target} if target != HOME and len(target) <= MAX_TARGET else {}


async def issue(
    tx: Transaction,
    sealer: Sealer,
    purpose: Purpose,
    *,
    account: str | None,
    identifier: str,
    now: int,
    content: Mapping[str, str] | None = None,
) -> Secret[str]:
    """Add a link and return its token. Older links of the same purpose and account (or address) are superseded.

    Two purposes supersede nothing. Undoing an email change: the first of several changes can be undone after the
    last. Sign-up: anyone can sign up with another person's email, and must not invalidate that person's link.

    A reset for an unknown email is issued too, without an account, so that it takes as long as a real one. Its token
    is never mailed.
    """
    if purpose not in (Purpose.SIGNUP, Purpose.EMAIL_UNDO):
        await supersede(tx, purpose, account=account, identifier=identifier, now=now)
    (token,) = await add_all(tx, sealer, purpose, [(account, identifier)], now, content or {})
    return token


async def add_all(
    tx: Transaction,
    sealer: Sealer,
    purpose: Purpose,
    whose: Sequence[tuple[str | None, str]],
    now: int,
    content: Mapping[str, str],
) -> list[Secret[str]]:
    """Add a link for each account and address, and return their tokens. Older links are left as they are."""
    tokens = [new_token() for _ in whose]
    text = json.dumps(dict(content)).encode()
    values = [
        {
            "id": link_id,
            "token_key": key_of(token),
            "purpose": purpose.value,
            "account": account,
            "identifier": identifier,
            "content": sealer.seal(text, place(link_id)),
            "created_at": now,
        }
        for token, (account, identifier) in zip(tokens, whose, strict=True)
        for link_id in [new_id("mln")]
    ]
    await tx.execute(insert(mailed_links), values)
    return tokens


async def supersede(tx: Transaction, purpose: Purpose, *, account: str | None, identifier: str, now: int) -> int:
    """Invalidate open links of a purpose: those of the account, or, if it is None, those mailed to `identifier`."""
    whose = mailed_links.c.identifier == identifier if account is None else mailed_links.c.account == account
    statement = update(mailed_links).where(
        mailed_links.c.purpose == purpose.value,
        whose,
        is_open,
    )
    return (await tx.execute(statement.values(superseded_at=now))).rowcount


async def void_all(tx: Transaction, account: str, now: int) -> int:
    """Invalidate every open link of an account, because its password was set. Returns how many.

    Except links that undo an email change: a thief of the account would set a password first.
    """
    statement = update(mailed_links).where(
        mailed_links.c.account == account,
        mailed_links.c.purpose != Purpose.EMAIL_UNDO.value,
        is_open,
    )
    return (await tx.execute(statement.values(superseded_at=now))).rowcount


def has_open(purpose: Purpose, account: ColumnElement[str], now: int) -> ColumnElement[bool]:
    """Return the condition that an account has a link of this purpose that still works."""
    query = select(mailed_links.c.id).where(
        mailed_links.c.account == account,
        mailed_links.c.purpose == purpose.value,
        is_open,
        mailed_links.c.created_at > now - LIFE_SECONDS[purpose],
    )
    return query.correlate_except(mailed_links).exists()


async def find(tx: Transaction, sealer: Sealer, purpose: Purpose, token: str) -> MailedLink | None:
    """Return the link of a token, valid or not, if it has that purpose."""
    key = key_of_text(token)
    if key is None:
        return None
    query = select(*COLUMNS).where(mailed_links.c.token_key == key, mailed_links.c.purpose == purpose.value)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    content = json.loads(sealer.open(row.content, place(row.id)))
    return MailedLink(
        row.id, Purpose(row.purpose), row.account, row.identifier, content, row.created_at, row.used_at,
        row.superseded_at,
    )  # fmt: skip


async def consume(tx: Transaction, link: MailedLink, now: int) -> bool:
    """Consume a link. Of concurrent requests, exactly one gets True."""
    statement = update(mailed_links).where(
        mailed_links.c.id == link.id,
        is_open,
        mailed_links.c.created_at > now - LIFE_SECONDS[link.purpose],
    )
    return (await tx.execute(statement.values(used_at=now))).rowcount == 1


def place(link_id: str) -> Place:
    return Place("mailed_links", "content", link_id)


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    return or_(
        *(
            and_(mailed_links.c.purpose == purpose.value, mailed_links.c.created_at < now - life - DAY)
            for purpose, life in LIFE_SECONDS.items()
        )
    )


def end_open(now: int) -> Executable:
    """After a restore, end all open links, except those that undo an email change: they may be the only way back."""
    is_undo = mailed_links.c.purpose == Purpose.EMAIL_UNDO.value
    return update(mailed_links).where(is_open, ~is_undo).values(superseded_at=now)


STORED = (
    Stored(
        mailed_links,
        is_stale,
        end_open,
        EXPIRING,
        Sealed(mailed_links.c.content, mailed_links.c.used_at.is_(None), "links", "emailed links"),
    ),
)
