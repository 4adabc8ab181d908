"""Statements on passkeys: a row for each, and one for each challenge that was answered, until it expires."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    select,
    update,
)

from gateway.factors import enrolment
from gateway.factors.passkey.names import MAX_NAME
from gateway.factors.passkey.record import Asserted, Key, Registered
from gateway.model.factor import Factor
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, OF_ACCOUNT, Kept, Stored
from gateway.store.upsert import upsert

MAX_KEYS = 20  # of one account

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("credential", LargeBinary(1_023), nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),
    Column("is_backup_eligible", Boolean, nullable=False),
    Column("is_backed_up", Boolean, nullable=False),
    Column("is_discoverable", Boolean),  # NULL if the browser did not say
    Column("verifies", Boolean, nullable=False),  # see Passkey
    Column("aaguid", String(36), nullable=False),
    Column("transports", String(200), nullable=False),  # separated by spaces
    Column("rp_id", String(253), nullable=False),
    Column("name", String(MAX_NAME), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("uq_passkeys_credential", "credential", unique=True),
)

answered_challenges = Table(
    "answered_challenges",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of the challenge
    Column("expires_at", BigInteger, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account. Times are UTC seconds.

    `verifies`: it verified its user when it was made, or later beside another factor. One that did neither may have
    been found, and given a PIN by the finder (WebAuthn L3 §4, uvInitialized).
    """

    id: str
    account: str
    name: str
    key: Key
    verifies: bool
    created_at: int
    used_at: int | None


async def add(tx: Transaction, account: str, made: Registered, name: str, now: int) -> bool:
    """Store a new passkey of an account, whose row is locked. Returns False if the credential is registered already."""
    key = made.key
    inserted = await tx.execute(
        upsert(tx, passkeys)
        .values(
            id=new_id("psk"),
            account=account,
            credential=key.id,
            public_key=key.public_key,
            sign_count=key.sign_count,
            is_backup_eligible=key.is_backup_eligible,
            is_backed_up=key.is_backed_up,
            is_discoverable=key.is_discoverable,
            verifies=made.is_verified,
            aaguid=key.aaguid,
            transports=" ".join(key.transports),
            rp_id=key.rp_id,
            name=name,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["credential"])
    )
    if inserted.rowcount == 0:
        return False
    await enrolment.add(tx, account, Factor.PASSKEY)
    return True


async def distrust(tx: Transaction, account: str) -> None:
    """Have each passkey proved beside the password once, before it stands for the password again."""
    await tx.execute(update(passkeys).where(passkeys.c.account == account).values(verifies=False))


async def list_of(tx: Transaction, account: str) -> list[Passkey]:
    """Return the passkeys of an account, the oldest first."""
    query = select(passkeys).where(passkeys.c.account == account).order_by(passkeys.c.created_at, passkeys.c.id)
    return [read(row) for row in await tx.execute(query)]


async def find_by_credential(tx: Transaction, credential: bytes) -> Passkey | None:
    row = (await tx.execute(select(passkeys).where(passkeys.c.credential == credential))).one_or_none()
    return None if row is None else read(row)


async def note_use(tx: Transaction, passkey: str, asserted: Asserted, now: int) -> None:
    """Note a use of a passkey, beside another factor or after it has been verified before."""
    values = {"sign_count": asserted.sign_count, "is_backed_up": asserted.is_backed_up, "used_at": now}
    if asserted.is_verified:
        values["verifies"] = True
    await tx.execute(update(passkeys).where(passkeys.c.id == passkey).values(**values))


async def rename(tx: Transaction, account: str, passkey: str, name: str) -> bool:
    statement = update(passkeys).where(passkeys.c.id == passkey, passkeys.c.account == account)
    return (await tx.execute(statement.values(name=name))).rowcount == 1


async def remove(tx: Transaction, account: str, passkey: str) -> bool:
    """Remove one passkey of an account. Returns whether it was there."""
    await enrolment.lock(tx, account)
    statement = delete(passkeys).where(passkeys.c.id == passkey, passkeys.c.account == account)
    was_there = (await tx.execute(statement)).rowcount == 1
    if was_there and not await count(tx, account):
        await enrolment.remove(tx, account, Factor.PASSKEY)
    return was_there


async def forget(tx: Transaction, account: str) -> bool:
    """Remove all passkeys of an account. Returns whether there were any."""
    was_on = await enrolment.remove(tx, account, Factor.PASSKEY)
    await tx.execute(delete(passkeys).where(passkeys.c.account == account))
    return was_on


async def count(tx: Transaction, account: str) -> int:
    query = select(func.count()).select_from(passkeys).where(passkeys.c.account == account)
    return (await tx.execute(query)).scalar_one()


async def count_elsewhere(tx: Transaction, rp_id: str) -> list[tuple[str, int]]:
    """Return the other RP IDs that passkeys were made for, each with their number, in order."""
    query = select(passkeys.c.rp_id, func.count()).where(passkeys.c.rp_id != rp_id).group_by(passkeys.c.rp_id)
    return [(other, number) for other, number in await tx.execute(query.order_by(passkeys.c.rp_id))]


async def is_first_answer(tx: Transaction, key: bytes, expires_at: int) -> bool:
    """Note that the challenge with this SHA-256 is answered. Of concurrent requests, one gets True."""
    statement = upsert(tx, answered_challenges).values(key=key, expires_at=expires_at).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


def read(row: Iterable[Any]) -> Passkey:
    (
        passkey, account, credential, public_key, sign_count, is_backup_eligible, is_backed_up, is_discoverable,
        verifies, aaguid, transports, rp_id, name, created_at, used_at,
    ) = row  # fmt: skip
    key = Key(
        id=credential,
        public_key=public_key,
        sign_count=sign_count,
        is_backup_eligible=is_backup_eligible,
        is_backed_up=is_backed_up,
        aaguid=aaguid,
        transports=tuple(transports.split()),
        is_discoverable=is_discoverable,
        rp_id=rp_id,
    )
    return Passkey(passkey, account, name, key, verifies, created_at, used_at)


STORED = (
    Stored(passkeys, Kept("as long as its account"), AS_IT_WAS, OF_ACCOUNT),
    Stored(
        answered_challenges,
        lambda longest, now: answered_challenges.c.expires_at < now,
        Kept("a backup is older than any challenge that is still good"),
        IMPERSONAL,
        is_copied=False,
    ),
)
