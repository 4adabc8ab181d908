"""Sign-in attempts: the proofs given so far. An attempt gives no access to anything else.

Its cookie is 256 random bits, stored as SHA-256, valid for 15 minutes. Tabs of a browser share it; each tab keeps its
target in its own forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from gateway.model.clock import DAY
from gateway.model.factor import Proof
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_id, new_token
from gateway.sessions.rows import read_proofs, write_proofs
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import EXPIRING, Stored

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("proofs", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger),
)

COOKIE = "__Host-otium_attempt"
LIFE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live attempt; `account` is the id of the account that gave the first proof."""

    id: str
    account: str
    proofs: tuple[Proof, ...]


async def begin(tx: Transaction, account: str, proofs: Sequence[Proof], now: int) -> tuple[Attempt, Secret[str]]:
    """Add an attempt. Returns it with the value of its cookie."""
    token = new_token()
    attempt = Attempt(new_id("att"), account, tuple(proofs))
    await tx.execute(
        insert(attempts).values(
            id=attempt.id,
            token_key=key_of(token),
            account=account,
            proofs=write_proofs(proofs),
            started_at=now,
        )
    )
    return attempt, token


async def find(tx: Transaction, key: bytes | None, now: int) -> Attempt | None:
    """Return the live attempt whose cookie has this SHA-256."""
    if key is None:
        return None
    query = select(attempts.c.id, attempts.c.account, attempts.c.proofs).where(
        attempts.c.token_key == key, attempts.c.ended_at.is_(None), attempts.c.started_at > now - LIFE_SECONDS
    )
    row = (await tx.execute(query)).one_or_none()
    return Attempt(row.id, row.account, read_proofs(row.proofs)) if row else None


async def furthest(tx: Transaction, account: str, now: int) -> Attempt | None:
    """Return an account's live attempt with the most proofs, and of these the newest.

    Not simply the newest: an attacker who only knows the password can always begin a newer one.
    """
    query = select(attempts.c.id, attempts.c.account, attempts.c.proofs).where(
        attempts.c.account == account, attempts.c.ended_at.is_(None), attempts.c.started_at > now - LIFE_SECONDS
    )
    newest_first = await tx.execute(query.order_by(attempts.c.started_at.desc()))
    found = [Attempt(row.id, row.account, read_proofs(row.proofs)) for row in newest_first]
    return max(found, key=lambda attempt: len(attempt.proofs), default=None)


async def is_live(tx: Transaction, attempt: str, now: int) -> bool:
    query = select(attempts.c.id).where(
        attempts.c.id == attempt, attempts.c.ended_at.is_(None), attempts.c.started_at > now - LIFE_SECONDS
    )
    return (await tx.execute(query)).one_or_none() is not None


async def add_proofs(tx: Transaction, attempt: str, proofs: Sequence[Proof]) -> bool:
    """Replace the proofs. Returns whether the attempt was still open."""
    statement = update(attempts).where(attempts.c.id == attempt, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(proofs=write_proofs(proofs)))).rowcount == 1


async def end(tx: Transaction, attempt: str, now: int) -> bool:
    """End an attempt. Of concurrent requests, exactly one gets True."""
    statement = update(attempts).where(attempts.c.id == attempt, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount == 1


async def end_key(tx: Transaction, key: bytes | None, now: int) -> None:
    if key is not None:
        statement = update(attempts).where(attempts.c.token_key == key, attempts.c.ended_at.is_(None))
        await tx.execute(statement.values(ended_at=now))


async def end_all(tx: Transaction, account: str, now: int) -> int:
    """End all attempts of an account, because its password was changed or it was disabled. Returns how many."""
    statement = update(attempts).where(attempts.c.account == account, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount


async def end_those(tx: Transaction, ids: Select[tuple[str]], now: int) -> int:
    """End the attempts whose ids a query returns. Returns how many."""
    statement = update(attempts).where(attempts.c.id.in_(ids), attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount


STORED = (
    Stored(
        attempts,
        lambda longest, now: attempts.c.started_at < now - LIFE_SECONDS - DAY,
        restored=lambda now: delete(attempts),
        erased=EXPIRING,
    ),
)
