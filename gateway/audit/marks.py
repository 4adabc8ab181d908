"""Signed marks of the chain: a row's number and hash at a time, signed with a key that the store does not have.

A checkpoint proves how far the chain went at a time, and with which hash. Copies kept elsewhere (in a file, in a
mailbox) reveal a truncated tail and a chain that was recomputed. An anchor says that the rows up to it were removed
because of their age; verification starts there. The kind is part of what is signed, so a checkpoint can't be used as an
anchor.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary, String, Table, delete, select, update

from gateway.audit.chain import Head
from gateway.crypto.keys import checkpoint_key
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.schema import RowNumber, metadata
from gateway.store.stored import AS_IT_WAS, IMPERSONAL, Kept, Stored
from gateway.store.upsert import upsert

audit_marks = Table(
    "audit_marks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("number", RowNumber, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("key", String(16), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    CheckConstraint("kind IN ('checkpoint', 'anchor')", name="kind"),
)


class Kind(StrEnum):
    CHECKPOINT = "checkpoint"
    ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class Mark:
    """A signed mark. `key` names the key that signed it; `at` is UTC seconds."""

    kind: Kind
    number: int
    hash: bytes
    at: int
    key: str
    signature: bytes

    @property
    def head(self) -> Head:
        return Head(self.number, self.hash)

    def line(self) -> str:
        """Return the mark as one line of JSON, for a file or a mail."""
        values = {
            "kind": self.kind.value,
            "number": self.number,
            "hash": self.hash.hex(),
            "at": self.at,
            "key": self.key,
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }
        return json.dumps(values)


class Unreadable(Exception):
    """A line can't be parsed as a mark."""


def read_line(line: str) -> Mark:
    """Parse a line that `Mark.line` wrote. Raises Unreadable."""
    try:
        values = json.loads(line)
        return Mark(
            Kind(values["kind"]),
            int(values["number"]),
            bytes.fromhex(values["hash"]),
            int(values["at"]),
            str(values["key"]),
            base64.b64decode(values["signature"], validate=True),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("a line is no checkpoint") from error


def read_lines(text: str) -> list[Mark]:
    """Parse the checkpoints in a file; other lines, such as those of a mail, are ignored. Raises Unreadable."""
    return [read_line(line.strip()) for line in text.splitlines() if line.strip().startswith("{")]


class Signer:
    """Signs with the first of `secrets` and verifies signatures of all of them."""

    def __init__(self, secrets: Sequence[Secret[bytes]]) -> None:
        self._private = checkpoint_key(secrets[0])
        self._public = {name_of(key): key for key in (checkpoint_key(secret).public_key() for secret in secrets)}
        self._name = name_of(self._private.public_key())

    def sign(self, kind: Kind, head: Head, at: int) -> Mark:
        return Mark(kind, head.number, head.hash, at, self._name, self._private.sign(message(kind, head, at)))

    def is_genuine(self, mark: Mark) -> bool:
        public = self._public.get(mark.key)
        if public is None:
            return False
        try:
            public.verify(mark.signature, message(mark.kind, mark.head, mark.at))
        except InvalidSignature:
            return False
        return True

    def is_current(self, mark: Mark) -> bool:
        return mark.key == self._name

    def public_pem(self) -> str:
        """Return the public key, in PEM, that verifies everything signed from now on."""
        return pem_of(self._private)


def pem_of(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def name_of(key: Ed25519PublicKey) -> str:
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def message(kind: Kind, head: Head, at: int) -> bytes:
    """Return the bytes that are signed: five lines of ASCII, the last without a line break."""
    return f"otium-gateway audit 1\n{kind.value}\n{head.number}\n{head.hash.hex()}\n{at}".encode("ascii")


async def add(tx: Transaction, mark: Mark) -> bool:
    """Store the mark. Returns False if it was stored already."""
    statement = upsert(tx, audit_marks).values(
        kind=mark.kind.value, number=mark.number, hash=mark.hash, at=mark.at, key=mark.key, signature=mark.signature
    )
    return (await tx.execute(statement.on_conflict_do_nothing(index_elements=["kind", "number"]))).rowcount == 1


async def latest(tx: Transaction, kind: Kind) -> Mark | None:
    query = select(audit_marks).where(audit_marks.c.kind == kind.value).order_by(audit_marks.c.number.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    return Mark(Kind(row[0]), *row[1:]) if row else None


async def list_all(tx: Transaction) -> list[Mark]:
    query = select(audit_marks).order_by(audit_marks.c.number)
    return [Mark(Kind(row[0]), *row[1:]) for row in await tx.execute(query)]


async def forget_before(tx: Transaction, number: int) -> None:
    """Delete the marks of rows that are no longer kept."""
    await tx.execute(delete(audit_marks).where(audit_marks.c.number < number))


async def sign_anew(tx: Transaction, signer: Signer) -> int:
    """Sign with the newest key what an older one signed; returns how many. Marks with a bad signature are left as they
    are.
    """
    stale = [mark for mark in await list_all(tx) if not signer.is_current(mark) and signer.is_genuine(mark)]
    for fresh in resigned(stale, signer):
        statement = update(audit_marks).where(
            audit_marks.c.kind == fresh.kind.value, audit_marks.c.number == fresh.number
        )
        await tx.execute(statement.values(key=fresh.key, signature=fresh.signature))
    return len(stale)


def resigned(marks: Iterable[Mark], signer: Signer) -> list[Mark]:
    return [signer.sign(mark.kind, mark.head, mark.at) for mark in marks]


STORED = (Stored(audit_marks, Kept("audit/keeping.py removes those of rows that are not kept"), AS_IT_WAS, IMPERSONAL),)
