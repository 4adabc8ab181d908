"""Statements on the keys with which the gateway proves itself to providers.

A provider has up to three: the one in use, the next one, which is published and tried before it is used, and the former
one, which stays published until an administrator removes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    update,
)

from gateway.crypto.sealing import Place, Sealer
from gateway.model.secret import Secret
from gateway.sso.oidc.assertion import NewKey
from gateway.sso.oidc.record import ClientKey
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Sealed, Stored


class KeyState(StrEnum):
    CURRENT = "current"
    NEXT = "next"
    FORMER = "former"


sso_keys = Table(
    "sso_keys",
    metadata,
    Column("id", String(40), primary_key=True),  # the key id that providers see
    Column("provider", String(40), ForeignKey("identity_providers.id"), nullable=False),
    Column("state", String(8), nullable=False),
    Column("algorithm", String(8), nullable=False),
    Column("private", LargeBinary, nullable=False),  # PKCS #8 in PEM, sealed
    Column("certificate", LargeBinary, nullable=False),  # in DER; empty if it has none
    Column("public", Text, nullable=False),  # a JWK
    Column("made_at", BigInteger, nullable=False),
    Column("tried_at", BigInteger),  # the last successful trial with it
    Column("warned_at", BigInteger),  # that its certificate expires soon (see keys.expiry)
    Index("uq_sso_keys_provider_state", "provider", "state", unique=True),
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The public part of a key. `certificate` is DER, or empty. Times are UTC seconds."""

    id: str
    state: KeyState
    algorithm: str
    certificate: bytes
    public: str
    made_at: int
    tried_at: int | None


async def add(tx: Transaction, sealer: Sealer, provider: str, state: KeyState, made: NewKey, now: int) -> None:
    key = made.key
    await tx.execute(
        insert(sso_keys).values(
            id=key.id,
            provider=provider,
            state=state.value,
            algorithm=key.algorithm,
            private=sealer.seal(key.private.reveal(), place(key.id)),
            certificate=key.certificate,
            public=made.public,
            made_at=now,
        )
    )


async def find_all(tx: Transaction, provider: str) -> Sequence[StoredKey]:
    """Return a provider's keys, the newest first."""
    keys = sso_keys.c
    query = select(
        keys.id, keys.state, keys.algorithm, keys.certificate, keys.public, keys.made_at, keys.tried_at
    ).where(keys.provider == provider)
    rows = (await tx.execute(query.order_by(keys.made_at.desc(), keys.id))).all()
    return [StoredKey(row.id, KeyState(row.state), *row[2:]) for row in rows]


async def find(tx: Transaction, provider: str, state: KeyState) -> StoredKey | None:
    return next((key for key in await find_all(tx, provider) if key.state is state), None)


async def open_key(tx: Transaction, sealer: Sealer, provider: str, name: str) -> ClientKey | None:
    """Return a key to sign with, by its id or its state."""
    keys = sso_keys.c
    query = select(keys.id, keys.algorithm, keys.private, keys.certificate).where(
        keys.provider == provider, (keys.id == name) | (keys.state == name)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    private = Secret(sealer.open(row.private, place(row.id)))
    return ClientKey(row.id, row.algorithm, private, row.certificate)


async def move(tx: Transaction, provider: str, before: KeyState, after: KeyState) -> None:
    """Give the key in one state another one, in the place of the key that has that."""
    await remove(tx, provider, after)
    keys = sso_keys.c
    await tx.execute(
        update(sso_keys).where(keys.provider == provider, keys.state == before.value).values(state=after.value)
    )


async def remove(tx: Transaction, provider: str, state: KeyState) -> bool:
    keys = sso_keys.c
    statement = delete(sso_keys).where(keys.provider == provider, keys.state == state.value)
    return (await tx.execute(statement)).rowcount == 1


async def note_trial(tx: Transaction, key: str, now: int) -> None:
    await tx.execute(update(sso_keys).where(sso_keys.c.id == key).values(tried_at=now))


async def note_warning(tx: Transaction, key: str, since: int, now: int) -> bool:
    """Note a warning that was due since then. Returns False if another worker has sent it."""
    is_due = or_(sso_keys.c.warned_at.is_(None), sso_keys.c.warned_at < since)
    statement = update(sso_keys).where(sso_keys.c.id == key, is_due)
    return (await tx.execute(statement.values(warned_at=now))).rowcount == 1


async def forget(tx: Transaction, provider: str) -> None:
    await tx.execute(delete(sso_keys).where(sso_keys.c.provider == provider))


def place(key: str) -> Place:
    return Place("sso_keys", "private", key)


STORED = (
    Stored(
        sso_keys,
        Kept("as long as its tenant uses it"),
        AS_IT_WAS,
        IMPERSONAL,
        Sealed(
            sso_keys.c.private,
            sso_keys.c.state != KeyState.FORMER.value,
            "provider_keys",
            "keys for identity providers",
            is_vital=True,
        ),
    ),
)
