"""The hash chain of the audit log: what each row's hash covers, and the check that a row is unchanged.

Theory. A row's hash is the SHA-256 of the previous row's hash and of the row's own content, its number included. So a
row can't be changed, removed, inserted or moved without changing every later hash. Numbers have no gaps.

Personal data must be erasable on request without breaking the chain. So the hash does not cover the personal fields but
a commitment to them: HMAC-SHA256 under a random salt that is stored in the row. While the salt exists, the fields can
be verified. Erasure empties the fields and the salt and keeps the commitment: the fields can't be guessed from it, and
the hash does not change. The subject of a row and its actor are two people, so they have two commitments.

The algorithm uses no secret: an attacker with write access to the whole table can compute another valid chain.
Checkpoints reveal that, because they are signed with a key that the store does not have (see audit.marks).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from gateway.model.entry import Entry

GENESIS = bytes(32)  # the "previous hash" of the first row
SALT_BYTES = 16
MAX_USER_AGENT = 512


class Row(NamedTuple):
    """A row as stored, its fields in the order of the table's columns. `id` is its number, from 1."""

    id: int
    at: int
    event: str
    outcome: str
    tenant: str | None
    account: str | None
    session: str | None
    request_id: str
    details: str
    identifier: str
    address: str
    user_agent: str
    personal: str
    who_salt: bytes | None
    who_commitment: bytes
    actor: str
    actor_salt: bytes | None
    actor_commitment: bytes
    hash: bytes

    @property
    def who(self) -> tuple[str, ...]:
        """The personal fields of the row's subject."""
        return self.identifier, self.address, self.user_agent, self.personal

    @property
    def is_erased(self) -> bool:
        return self.who_salt is None

    @property
    def is_actor_erased(self) -> bool:
        return self.actor_salt is None and self.actor_commitment != b""


@dataclass(frozen=True, slots=True)
class Head:
    """The number and hash of the chain's last row, or of the row before the first that is kept."""

    number: int = 0
    hash: bytes = GENESIS


def extend(head: Head, entry: Entry, who_salt: bytes, actor_salt: bytes) -> Row:
    """Return the row of `entry` that comes after `head`. Its salts are random and used once."""
    personal, actor = dict(entry.personal), entry.actor
    row = Row(
        id=head.number + 1,
        at=entry.at,
        event=entry.event.value,
        outcome=entry.outcome.value,
        tenant=entry.tenant,
        account=entry.account,
        session=entry.session,
        request_id=entry.request_id,
        details=json.dumps(dict(entry.facts), sort_keys=True),
        identifier=entry.identifier,
        address=entry.address,
        user_agent=entry.user_agent[:MAX_USER_AGENT],
        personal=json.dumps(personal, sort_keys=True) if personal else "",
        who_salt=who_salt,
        who_commitment=b"",
        actor=actor,
        actor_salt=actor_salt if actor else None,
        actor_commitment=commit(actor_salt, (actor,)) if actor else b"",
        hash=b"",
    )
    row = row._replace(who_commitment=commit(who_salt, row.who))
    return row._replace(hash=link(head.hash, row))


def is_whole(before: Head, rows: Iterable[Row]) -> bool:
    """Whether `rows` follow the row `before`, and each other, without a gap, and all are unchanged."""
    last = before
    for row in rows:
        if row.id != last.number + 1 or not is_intact(last.hash, row):
            return False
        last = Head(row.id, row.hash)
    return True


def link(previous: bytes, row: Row, number: int | None = None) -> bytes:
    """Return the hash of `row` after a row with the hash `previous`, with its own `number` or another one."""
    content = canonical(
        (
            row.id if number is None else number,
            row.at,
            row.event,
            row.outcome,
            row.tenant,
            row.account,
            row.session,
            row.request_id,
            row.details,
            row.who_commitment.hex(),
            row.actor_commitment.hex(),
        )
    )
    return sha256(previous + content).digest()


def commit(salt: bytes, fields: Sequence[str]) -> bytes:
    return hmac.digest(salt, canonical(fields), "sha256")


def is_committed(row: Row) -> bool:
    """Whether the personal fields match their commitment, or were erased and are empty."""
    if row.who_salt is None:
        is_who = row.who == ("", "", "", "")
    else:
        is_who = commit(row.who_salt, row.who) == row.who_commitment
    if row.actor_salt is None:
        return is_who and row.actor == ""
    return is_who and commit(row.actor_salt, (row.actor,)) == row.actor_commitment


def is_intact(previous: bytes, row: Row) -> bool:
    """Whether `row` is unchanged, given that it followed a row with the hash `previous`."""
    return link(previous, row) == row.hash and is_committed(row)


encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def canonical(values: Sequence[object]) -> bytes:
    """Return `values` as a JSON array without spaces, in ASCII: the one encoding that is hashed."""
    return encode(list(values)).encode("ascii")
