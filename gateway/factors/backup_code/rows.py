"""Statements on backup codes: a row for each code, used or not."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, true

from gateway.store import Transaction
from gateway.store.schema import backup_codes
from gateway.store.stored import AS_IT_WAS, OF_ACCOUNT, Kept, Sealed, Stored

FEW = 2  # at most so many left: the page advises new ones


@dataclass(frozen=True, slots=True)
class Left:
    """For the security page: the number of unused codes, and creation and last use in UTC seconds."""

    count: int
    created_at: int | None
    used_at: int | None

    @property
    def is_few(self) -> bool:
        return self.count <= FEW


async def count_left(tx: Transaction, account: str) -> Left:
    query = select(
        func.count().filter(backup_codes.c.used_at.is_(None)),
        func.max(backup_codes.c.created_at),
        func.max(backup_codes.c.used_at),
    ).where(backup_codes.c.account == account)
    return Left(*(await tx.execute(query)).one())


async def forget(tx: Transaction, account: str) -> int:
    """Remove every code of an account. Returns how many there were."""
    return (await tx.execute(delete(backup_codes).where(backup_codes.c.account == account))).rowcount


STORED = (
    Stored(
        backup_codes,
        Kept("as long as its account"),
        AS_IT_WAS,
        OF_ACCOUNT,
        Sealed(backup_codes.c.digest, true(), "codes", "backup codes", is_vital=True),
    ),
)
