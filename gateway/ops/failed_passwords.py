"""Detects password spraying: one password tried on many accounts. No password is stored.

An attacker who tries one password on each of a thousand accounts, from a thousand addresses, reaches no rate limit, but
the wrong passwords are equal. For each wrong password of an hour, the store therefore has a tag (16 bits of an HMAC)
with a bitmap of 62 groups of accounts that it failed for. The number of bits is a lower bound of the accounts tried.

A stolen database discloses nothing, since the HMAC key is derived from the gateway's secret. With both, an attacker
learns 16 bits of wrong passwords of the last two hours, but not whose: one in 65,536 passwords has the same tag, and a
bit covers one sixty-second of all accounts. Older rows are deleted. Each hour has its own key, so tags of different
hours can't be compared.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, Table, delete, select

from gateway.crypto.keys import derive
from gateway.model.clock import HOUR
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored
from gateway.store.upsert import upsert

failed_passwords = Table(
    "failed_passwords",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("tag", Integer, primary_key=True, autoincrement=False),
    Column("accounts", BigInteger, nullable=False),  # a bitmap of 62 groups of accounts
)

TAG_BYTES = 2
GROUPS = 62


@dataclass(frozen=True, slots=True)
class Tried:
    """A password that failed for at least `accounts` accounts in the hour from `since` (UTC seconds)."""

    since: int
    accounts: int


class FailedPasswords:
    """`secret` is the gateway's newest, and must be the same on all machines."""

    def __init__(self, secret: Secret[bytes]) -> None:
        self._secret = secret
        self._hour, self._key = -1, b""

    async def note(self, tx: Transaction, identifier: str, password: Secret[str], now: int) -> None:
        """Count a wrong password, in the transaction that records the failure."""
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
    """Return the passwords of this hour and the last that failed for `at_least` accounts, most accounts first."""
    query = select(failed_passwords.c.hour, failed_passwords.c.accounts)
    found = await tx.execute(query.where(failed_passwords.c.hour >= now // HOUR - 1))
    tried = [Tried(row.hour * HOUR, row.accounts.bit_count()) for row in found]
    return sorted((each for each in tried if each.accounts >= at_least), key=lambda each: -each.accounts)


async def has_old(tx: Transaction, now: int) -> bool:
    query = select(failed_passwords.c.hour).where(failed_passwords.c.hour < now // HOUR - 1).limit(1)
    return (await tx.execute(query)).first() is not None


async def forget_old(tx: Transaction, now: int) -> None:
    await tx.execute(delete(failed_passwords).where(failed_passwords.c.hour < now // HOUR - 1))


STORED = (Stored(failed_passwords, Kept("forget_old removes hours that are over"), AS_IT_WAS, IMPERSONAL),)
