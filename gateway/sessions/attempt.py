"""An attempt: a sign-in in progress. It holds proofs and is worth nothing for anything but signing in.

Its cookie is 256 random bits, stored as SHA-256, and lives for 15 minutes in one browser. Several tabs share it; where
each of them wants to go travels in its own forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text, delete, insert, select, update

from gateway.model.factor import Proof
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_id, new_token
from gateway.sessions.rows import read_proofs, write_proofs
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import Stored

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
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live attempt; `account` is the id of the account whose password was right."""

    id: str
    account: str
    proofs: tuple[Proof, ...]


async def begin(tx: Transaction, account: str, proofs: Sequence[Proof], now: int) -> tuple[Attempt, Secret[str]]:
    """Return a new attempt and the value of its cookie."""
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
    """Return the live attempt of a cookie's SHA-256."""
    if key is None:
        return None
    query = select(attempts.c.id, attempts.c.account, attempts.c.proofs).where(
        attempts.c.token_key == key, attempts.c.ended_at.is_(None), attempts.c.started_at > now - LIFE_SECONDS
    )
    row = (await tx.execute(query)).one_or_none()
    return Attempt(row.id, row.account, read_proofs(row.proofs)) if row else None


async def furthest(tx: Transaction, account: str, now: int) -> Attempt | None:
    """Return the live attempt of an account that has proved most, the newest of several.

    Who knows the password only may begin ever newer ones.
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
    """Return whether the attempt was still open."""
    statement = update(attempts).where(attempts.c.id == attempt, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(proofs=write_proofs(proofs)))).rowcount == 1


async def end(tx: Transaction, attempt: str, now: int) -> bool:
    """Return whether it was open: of any number of equal requests, one ends it."""
    statement = update(attempts).where(attempts.c.id == attempt, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount == 1


async def end_key(tx: Transaction, key: bytes | None, now: int) -> None:
    if key is not None:
        statement = update(attempts).where(attempts.c.token_key == key, attempts.c.ended_at.is_(None))
        await tx.execute(statement.values(ended_at=now))


async def end_all(tx: Transaction, account: str, now: int) -> int:
    """What was proved counts no more: the password was changed, or the account may not sign in. Returns how many."""
    statement = update(attempts).where(attempts.c.account == account, attempts.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount


STORED = (
    Stored(
        attempts,
        lambda longest, now: attempts.c.started_at < now - LIFE_SECONDS - DAY,
        restored=lambda now: delete(attempts),
    ),
)
