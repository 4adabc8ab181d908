"""Tells that one password is being tried on many accounts, without keeping a password.

Theory. Who tries one password on each of a thousand accounts, from a thousand addresses, fills no bucket of `limits`.
What gives it away is that the wrong passwords are equal. So for each hour the store holds, for a wrong password, 16
bits of an HMAC, and beside it a bit for each of 62 groups of accounts that it was wrong for. As many accounts at least
as there are bits were tried.

What a thief of the store gets: nothing, since the key comes from the gateway's secret. A thief of both gets 16 bits of
some wrong password of the last two hours, and not whose: of a list of passwords, one in 65,536 has the same tag, and a
bit stands for a sixty-second part of all accounts. Older rows are deleted. The key of each hour is another one, so tags
of different hours can't be compared either.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, Table, delete, select

from gateway.crypto.keys import derive
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, Kept, Stored
from gateway.store.upsert import upsert

failed_passwords = Table(
    "failed_passwords",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("tag", Integer, primary_key=True, autoincrement=False),
    Column("accounts", BigInteger, nullable=False),  # a bit for each of 62 groups of accounts that it failed for
)

HOUR = 3_600
TAG_BYTES = 2
GROUPS = 62


@dataclass(frozen=True, slots=True)
class Tried:
    """One wrong password was tried on at least so many `accounts` within the hour that began at `since`."""

    since: int
    accounts: int


class FailedPasswords:
    """`secret` is the gateway's newest; who counts together must have the same."""

    def __init__(self, secret: Secret[bytes]) -> None:
        self._secret = secret
        self._hour, self._key = -1, b""

    async def note(self, tx: Transaction, identifier: str, password: Secret[str], now: int) -> None:
        """Count a wrong password, in the transaction that writes down the failure."""
        hour = now // HOUR
        key = self._key_of(hour)
        tag = hmac.digest(key, b"password\0" + password.reveal().encode("utf-8", "replace"), "sha256")[:TAG_BYTES]
        group = int.from_bytes(hmac.digest(key, b"account\0" + identifier.encode(), "sha256")[:8]) % GROUPS
        statement = upsert(tx, failed_passwords).values(hour=hour, tag=int.from_bytes(tag), accounts=1 << group)
        both = failed_passwords.c.accounts.bitwise_or(statement.excluded.accounts)
        await tx.execute(statement.on_conflict_do_update(index_elements=["hour", "tag"], set_={"accounts": both}))

    def _key_of(self, hour: int) -> bytes:
        if hour != self._hour:
            self._hour, self._key = hour, derive(self._secret, f"failed-passwords/{hour}", 32)
        return self._key


async def most_tried(tx: Transaction, now: int, at_least: int) -> list[Tried]:
    """Return the passwords that were tried on many accounts in this hour or the last one, those on most first."""
    query = select(failed_passwords.c.hour, failed_passwords.c.accounts)
    found = await tx.execute(query.where(failed_passwords.c.hour >= now // HOUR - 1))
    tried = [Tried(row.hour * HOUR, row.accounts.bit_count()) for row in found]
    return sorted((each for each in tried if each.accounts >= at_least), key=lambda each: -each.accounts)


async def has_old(tx: Transaction, now: int) -> bool:
    query = select(failed_passwords.c.hour).where(failed_passwords.c.hour < now // HOUR - 1).limit(1)
    return (await tx.execute(query)).first() is not None


async def forget_old(tx: Transaction, now: int) -> None:
    await tx.execute(delete(failed_passwords).where(failed_passwords.c.hour < now // HOUR - 1))


STORED = (Stored(failed_passwords, Kept("forget_old removes hours that are over"), AS_IT_WAS),)
