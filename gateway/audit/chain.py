"""The chain of the audit log: what each row's hash is made of, and whether a row is what it was.

Theory. The hash of a row is the SHA-256 of the row before's hash and of the row's own content, its number included. So
nothing can be changed, taken out, put in or moved without every later hash being another one. Numbers have no gaps.

What is personal has to go when a person wants it to, and the chain has to stay whole. So the content does not hold the
personal fields but a commitment to them, HMAC-SHA256 under a random salt that stands in the row. While the salt is
there, the fields can be checked. When fields and salt are emptied, the commitment alone stays: nothing can be guessed
from it, and the hash is what it was. Whom a row is about and who did it are two people and two commitments.

All of it is public knowledge: somebody who may write to the whole table can compute another chain. What shows that
are checkpoints, signed with a key that the store does not have (see audit.marks).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from gateway.model.event import Entry

GENESIS = bytes(32)  # what stands for the hash before the first row
SALT_BYTES = 16
MAX_USER_AGENT = 512


class Row(NamedTuple):
    """A row as it is stored, its fields in the order of the table's columns. `id` is its number, from 1."""

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
        """The personal fields of whom the row is about."""
        return self.identifier, self.address, self.user_agent, self.personal

    @property
    def is_erased(self) -> bool:
        return self.who_salt is None

    @property
    def is_actor_erased(self) -> bool:
        return self.actor_salt is None and self.actor_commitment != b""


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of the chain, or the one before the first that is still kept."""

    number: int = 0
    hash: bytes = GENESIS


def extend(head: Head, entry: Entry, who_salt: bytes, actor_salt: bytes) -> Row:
    """Return the row of `entry` that comes after `head`. The salts are random and used once."""
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
    """Whether `rows` follow each other, and the row `before`, as they were written."""
    last = before
    for row in rows:
        if row.id != last.number + 1 or not is_intact(last.hash, row):
            return False
        last = Head(row.id, row.hash)
    return True


def link(previous: bytes, row: Row, number: int | None = None) -> bytes:
    """Return the hash of `row` after the row with the hash `previous`, with its own or another `number`."""
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
    """Whether the personal fields are those that were committed to, or were erased and are empty."""
    if row.who_salt is None:
        is_who = row.who == ("", "", "", "")
    else:
        is_who = commit(row.who_salt, row.who) == row.who_commitment
    if row.actor_salt is None:
        return is_who and row.actor == ""
    return is_who and commit(row.actor_salt, (row.actor,)) == row.actor_commitment


def is_intact(previous: bytes, row: Row) -> bool:
    """Whether `row` is what it was when it came after the one with the hash `previous`."""
    return link(previous, row) == row.hash and is_committed(row)


encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def canonical(values: Sequence[object]) -> bytes:
    """Return `values` as a JSON array without spaces, in ASCII: one way to write it, whatever the text."""
    return encode(list(values)).encode("ascii")
