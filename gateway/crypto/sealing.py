"""Encryption of secrets at rest: AES-256-GCM with a key derived from the gateway's secret.

A sealed value is bound to its place: table, column and row are associated data, so a value copied to another row can't
be opened there. It begins with the name of the key that sealed it: the newest secret seals, each older one still opens,
and `is_current` tells which values have to be sealed again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, update

from gateway.crypto.keys import derive
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.stored import Sealed

NAME_BYTES = 8
NONCE_BYTES = 12  # random; below 2**32 messages a key, NIST SP 800-38D §8.3


class Unopenable(Exception):
    """A value can't be opened: it was changed, belongs to another place, or its secret is no longer configured."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a sealed value: its table, column and row."""

    table: str
    column: str
    row: str

    def encode(self) -> bytes:
        return "\x1f".join((self.table, self.column, self.row)).encode()


def key_names(secrets: Sequence[Secret[bytes]]) -> list[bytes]:
    """Return the names of the keys. A name reveals nothing about its key, and is stored before each sealed value."""
    return [derive(secret, "seal/name", NAME_BYTES) for secret in secrets]


class Sealer:
    """Seals with the first of `secrets`, opens with any of them."""

    def __init__(self, secrets: Sequence[Secret[bytes]]) -> None:
        self._keys: dict[bytes, AESGCM] = {}
        for name, secret in zip(key_names(secrets), secrets, strict=True):
            self._keys.setdefault(name, AESGCM(derive(secret, "seal/aes-256-gcm", 32)))
        self._current = next(iter(self._keys))

    def seal(self, content: bytes, place: Place) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._current + nonce + self._keys[self._current].encrypt(nonce, content, place.encode())

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Return what was sealed for `place`. Raises Unopenable."""
        key = self._keys.get(sealed[:NAME_BYTES])
        nonce, content = sealed[NAME_BYTES : NAME_BYTES + NONCE_BYTES], sealed[NAME_BYTES + NONCE_BYTES :]
        if key is None:
            raise Unopenable(f"a value in {place.table}.{place.column} was encrypted with a secret that is missing")
        try:
            return key.decrypt(nonce, content, place.encode())
        except (InvalidTag, ValueError) as error:
            raise Unopenable(
                f"a value in {place.table}.{place.column} was changed or belongs to another row"
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        return sealed[:NAME_BYTES] == self._current


async def reseal(tx: Transaction, sealer: Sealer, sealed: Sealed) -> int:
    """Seal the values of a column that are in use with the newest key. Returns how many had another key.

    Raises Unopenable.
    """
    table, column = sealed.column.table, sealed.column
    (key,) = table.primary_key.columns
    rows = (await tx.execute(select(key, column).where(sealed.in_use))).all()
    stale = [(name, content) for name, content in rows if not sealer.is_current(content)]
    for name, content in stale:
        place = Place(table.name, column.name, name)
        fresh = sealer.seal(sealer.open(content, place), place)
        await tx.execute(update(table).where(key == name, column == content).values({column: fresh}))
    return len(stale)
