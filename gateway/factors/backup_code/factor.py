"""Backup codes: sets of eight single-use codes, for when the phone is lost.

A code has ten characters from an alphabet of 32: 50 bits. Its SHA-256 is stored sealed, because with a stolen database
a plain hash of 50 bits could be brute-forced.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from sqlalchemy import insert, select, update

from gateway.crypto.sealing import Place, Sealer
from gateway.factors.backup_code import rows
from gateway.factors.backup_code.rows import count_left
from gateway.factors.contract import Asked, FactorContract, News, Panel, Reason, Right, Summary, Wrong
from gateway.factors.typed import ALPHABET, read_code
from gateway.model.event import Event
from gateway.model.factor import SECOND, Enrolled, Factor
from gateway.model.factor_policy import Second
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.model.token import is_same, new_id
from gateway.store import Transaction
from gateway.store.schema import backup_codes

HALF = 5
COUNT = 8


def new_code() -> Secret[str]:
    """Return a code like ABCDE-FGHJK."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(2 * HALF))
    return Secret(f"{text[:HALF]}-{text[HALF:]}")


def digest(given: Secret[str]) -> bytes:
    """Return the SHA-256 of a code, normalised by read_code."""
    return sha256(read_code(given).encode("ascii")).digest()


class BackupCodeFactor(FactorContract):
    name = Factor.BACKUP_CODE
    page = "backup"
    counts_as = (Factor.TOTP,)
    goes_with = SECOND

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    label = Sentence("backup code")
    means = Sentence("a backup code")

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
        if not is_ours:
            return Wrong(Reason.USED)
        left = (await count_left(tx, asked.account)).count
        return Right(News(Event.TWO_FACTOR_CODE_USED, "backup_code_used", {"left": left}))

    def is_usable(self, enrolled: Enrolled, second: Second) -> bool:
        """Only with a second step set up: an old code must not bypass a required enrolment."""
        return enrolled.has_second

    async def renew(self, tx: Transaction, account: str, now: int) -> tuple[Secret[str], ...]:
        return tuple(await self.regenerate(tx, account, now))

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        if not self.is_usable(session.enrolled, session.second):
            return None
        return Panel("backup_code/panel.html", {"left": await count_left(tx, session.account)})

    async def summarise(self, tx: Transaction, account: str) -> list[Summary]:
        left = await count_left(tx, account)
        if left.created_at is None:
            return []
        return [
            Summary(self.name, left.created_at, left.used_at, "", Sentence("Codes left: {count}", count=left.count))
        ]

    async def is_left(self, tx: Transaction, account: str) -> bool:
        return (await count_left(tx, account)).count > 0

    async def forget(self, tx: Transaction, account: str) -> bool:
        return await rows.forget(tx, account) > 0

    async def regenerate(self, tx: Transaction, account: str, now: int) -> list[Secret[str]]:
        """Replace all codes by eight new ones, to be shown once."""
        await rows.forget(tx, account)
        codes = [new_code() for _ in range(COUNT)]
        for code in codes:
            code_id = new_id("bck")
            sealed = self._sealer.seal(digest(code), place(code_id))
            await tx.execute(insert(backup_codes).values(id=code_id, account=account, digest=sealed, created_at=now))
        return codes


def place(code_id: str) -> Place:
    return Place("backup_codes", "digest", code_id)
