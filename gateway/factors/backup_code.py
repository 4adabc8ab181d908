"""Backup codes: eight at a time, each good once, for the day the phone is lost.

A code has ten characters of an alphabet of 32 in which no two look alike: 50 bits. Its SHA-256 is stored sealed, for a
bare one of 50 bits could be tried through by somebody who has stolen the database.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import delete, func, insert, select, true, update

from gateway.crypto.sealing import Place, Sealer
from gateway.factors.contract import Asked, Reason, Right, Wrong
from gateway.factors.typed import read_code
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.token import is_same, new_id
from gateway.store import Transaction
from gateway.store.schema import backup_codes
from gateway.store.stored import AS_IT_WAS, Kept, Sealed, Stored

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
HALF = 5
COUNT = 8
FEW = 2  # so many left, and the page says so


@dataclass(frozen=True, slots=True)
class Left:
    """What the security page shows: how many are good still, and in UTC seconds when they were made and last used."""

    count: int
    created_at: int | None
    used_at: int | None


def new_code() -> Secret[str]:
    """Return a code like ABCDE-FGHJK."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(2 * HALF))
    return Secret(f"{text[:HALF]}-{text[HALF:]}")


def digest(given: Secret[str]) -> bytes:
    """Return the SHA-256 of a code, however it was typed."""
    return sha256(read_code(given).encode("ascii")).digest()


class BackupCodeFactor:
    factor = Factor.BACKUP_CODE

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        wanted = digest(given)
        query = select(backup_codes.c.id, backup_codes.c.digest, backup_codes.c.used_at)
        found = None
        for row in await tx.execute(query.where(backup_codes.c.account == asked.account)):
            if is_same(self._sealer.open(row.digest, place(row.id)), wanted):
                found = row
        if found is None:
            return Wrong()
        statement = update(backup_codes).where(backup_codes.c.id == found.id, backup_codes.c.used_at.is_(None))
        is_ours = (await tx.execute(statement.values(used_at=now))).rowcount == 1
        return Right() if is_ours else Wrong(Reason.USED)

    async def regenerate(self, tx: Transaction, account: str, now: int) -> list[Secret[str]]:
        """Return eight new codes, to be shown once; the old ones are dead."""
        await forget(tx, account)
        codes = [new_code() for _ in range(COUNT)]
        for code in codes:
            code_id = new_id("bck")
            sealed = self._sealer.seal(digest(code), place(code_id))
            await tx.execute(insert(backup_codes).values(id=code_id, account=account, digest=sealed, created_at=now))
        return codes


def place(code_id: str) -> Place:
    return Place("backup_codes", "digest", code_id)


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
        Sealed(backup_codes.c.digest, true(), "codes", "backup codes", is_vital=True),
    ),
)
