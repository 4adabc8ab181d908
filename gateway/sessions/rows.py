"""Statements on sessions. Only the SHA-256 of a session's cookie is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Row,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from gateway.model.clock import DAY
from gateway.model.factor import Factor, Proof
from gateway.model.secret import Secret
from gateway.model.session import Lifetime, Lifetimes
from gateway.model.token import key_of, new_id, new_token
from gateway.store import Transaction
from gateway.store.schema import accounts, metadata, sessions
from gateway.store.upsert import upsert
from gateway.throttle.limits import address_bucket
from gateway.web.user_agents import label, label_all

forgotten_devices = Table(
    "forgotten_devices",  # revoked devices: sessions before `at` don't make them known
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

MAX_USER_AGENT = 512
KNOWN_SECONDS = 90 * DAY
MAX_DEVICES = 200  # sessions, newest first
EXPECTED = {Factor.BACKUP_CODE: (Factor.TOTP,)}  # for proofs stored without it, by versions up to 0.2


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session for lists. Times are UTC seconds."""

    id: str
    account: str
    identifier: str
    address: str
    user_agent: str
    started_at: int
    seen_at: int
    proofs: tuple[Proof, ...]

    @property
    def device(self) -> str:
        return device_key(self.address, self.user_agent)


COLUMNS = (
    sessions.c.id,
    sessions.c.account,
    accounts.c.identifier,
    sessions.c.address,
    sessions.c.user_agent,
    sessions.c.started_at,
    sessions.c.seen_at,
    sessions.c.proofs,
)


async def add(
    tx: Transaction,
    *,
    token_key: bytes,
    account_id: str,
    proofs: Sequence[Proof],
    address: str,
    user_agent: str,
    now: int,
) -> str:
    """Open a session and return its public id. `token_key` is the SHA-256 of its cookie."""
    session_id = new_id("ses")
    await tx.execute(
        insert(sessions).values(
            id=session_id,
            token_key=token_key,
            account=account_id,
            proofs=write_proofs(proofs),
            address=address,
            user_agent=user_agent[:MAX_USER_AGENT],
            started_at=now,
            seen_at=now,
        )
    )
    return session_id


async def renew(tx: Transaction, session_id: str, old_key: bytes | None, proofs: Sequence[Proof]) -> Secret[str] | None:
    """Replace a session's cookie and proofs. Returns the new cookie; the old one stops working.

    Returns None if the session has ended, or has another cookie than `old_key`'s by now.
    """
    token = new_token()
    statement = update(sessions).where(
        sessions.c.id == session_id, sessions.c.token_key == old_key, sessions.c.ended_at.is_(None)
    )
    renewed = await tx.execute(statement.values(token_key=key_of(token), proofs=write_proofs(proofs)))
    return token if renewed.rowcount == 1 else None


async def is_open(tx: Transaction, session_id: str) -> bool:
    """Whether the session was not ended. It may have expired."""
    query = select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
    return (await tx.execute(query)).one_or_none() is not None


async def is_known_device(tx: Transaction, account_id: str, address: str, user_agent: str, now: int) -> bool:
    """Whether the account signed in from this address and browser in the last 90 days, and since its revocation.

    A revoked device gets the limits of strangers, and its next sign-in sends a new-device mail.
    """
    device = device_key(address, user_agent)
    of_account = forgotten_devices.c.account == account_id
    query = select(forgotten_devices.c.at).where(of_account, forgotten_devices.c.device == device)
    forgotten_at = (await tx.execute(query)).scalar_one_or_none() or 0
    latest = await list_devices(tx, account_id, max(now - KNOWN_SECONDS, forgotten_at + 1))
    return any(found == device for _, found in latest)


async def list_devices(tx: Transaction, account_id: str, since: int) -> list[tuple[str, str]]:
    """Return id and device of the latest sessions since a time, open or ended."""
    query = select(sessions.c.id, sessions.c.address, sessions.c.user_agent)
    query = query.where(sessions.c.account == account_id, sessions.c.started_at >= since)
    found = (await tx.execute(query.order_by(sessions.c.started_at.desc()).limit(MAX_DEVICES))).all()
    await label_all(row.user_agent for row in found)
    return [(row.id, device_key(row.address, row.user_agent)) for row in found]


async def forget_device(tx: Transaction, account_id: str, device: str, now: int) -> None:
    """Mark a device as revoked: sessions up to now no longer make it known."""
    statement = upsert(tx, forgotten_devices).values(account=account_id, device=device, at=now)
    await tx.execute(statement.on_conflict_do_update(index_elements=["account", "device"], set_={"at": now}))


async def forget_devices(tx: Transaction, account_id: str, now: int, but: str | None = None) -> None:
    """Mark all devices of an account as revoked, except that of the session with the id `but`."""
    latest = await list_devices(tx, account_id, now - KNOWN_SECONDS)
    kept = {device for session, device in latest if session == but}
    for device in sorted({device for _, device in latest} - kept):
        await forget_device(tx, account_id, device, now)


def device_key(address: str, user_agent: str) -> str:
    """Return a device's key: the SHA-256, in hex, of client address (IPv6: its /64) and browser name."""
    return sha256(f"{address_bucket(address)}|{label(user_agent)}".encode()).hexdigest()


def in_order(query: Select[tuple[str]]) -> Select[tuple[str]]:
    """Lock rows in one order, as sessions.seen does, so that two transactions can't deadlock on PostgreSQL."""
    return query.order_by(sessions.c.token_key).with_for_update(of=sessions)


async def last_proofs(tx: Transaction, account_id: str) -> dict[Factor, int]:
    """Return the last proof of each factor on any device of the account, in UTC seconds."""
    query = select(sessions.c.proofs).where(sessions.c.account == account_id).order_by(sessions.c.started_at.desc())
    found: dict[Factor, int] = {}
    for written in (await tx.execute(query.limit(MAX_DEVICES))).scalars():
        for proof in read_proofs(written):
            found[proof.factor] = max(proof.at, found.get(proof.factor, 0))
    return found


async def end(tx: Transaction, session_id: str, now: int) -> bool:
    """End a session. Returns whether it was open."""
    statement = update(sessions).where(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount == 1


async def end_key(tx: Transaction, token_key: bytes, now: int) -> bool:
    """End the session of a cookie. Returns whether it was open."""
    statement = update(sessions).where(sessions.c.token_key == token_key, sessions.c.ended_at.is_(None))
    return (await tx.execute(statement.values(ended_at=now))).rowcount == 1


async def end_all(tx: Transaction, account_id: str, now: int, but: str | None = None) -> int:
    """End every session of an account, except the one with the id `but`. Returns how many were open."""
    return await end_where(tx, sessions.c.account == account_id, now, but)


async def end_where(tx: Transaction, which: ColumnElement[bool], now: int, but: str | None = None) -> int:
    """End the sessions that meet a condition, except the one with the id `but`. Returns how many were open."""
    still_open = select(sessions.c.id).where(which, sessions.c.ended_at.is_(None))
    if but is not None:
        still_open = still_open.where(sessions.c.id != but)
    statement = update(sessions).where(sessions.c.id.in_(in_order(still_open))).values(ended_at=now)
    return (await tx.execute(statement)).rowcount


async def lock_open(tx: Transaction, account_id: str) -> None:
    """Lock an account's open sessions, before one of them is changed and then others."""
    await tx.execute(
        in_order(select(sessions.c.id).where(sessions.c.account == account_id, sessions.c.ended_at.is_(None)))
    )


async def forget_proofs(tx: Transaction, account_id: str, factor: Factor, but: str) -> None:
    """Remove the proofs of a factor from the open sessions of an account, except the one with the id `but`.

    They have to prove it again, or what it counted as.
    """
    query = select(sessions.c.id, sessions.c.proofs).where(
        sessions.c.account == account_id, sessions.c.ended_at.is_(None), sessions.c.id != but
    )
    for session, written in await tx.execute(query.order_by(sessions.c.token_key).with_for_update()):
        kept = [proof for proof in read_proofs(written) if proof.factor != factor]
        await tx.execute(update(sessions).where(sessions.c.id == session).values(proofs=write_proofs(kept)))


async def end_tenant(tx: Transaction, tenant: str, now: int) -> int:
    """End every session of a tenant's people. Returns how many were open."""
    return await end_where(tx, sessions.c.account.in_(select(accounts.c.id).where(accounts.c.tenant == tenant)), now)


async def account_of_key(tx: Transaction, token_key: bytes) -> str | None:
    """Return the account of a cookie's session, even if that has ended."""
    query = select(sessions.c.account).where(sessions.c.token_key == token_key)
    return (await tx.execute(query)).scalar_one_or_none()


async def account_of_unended(tx: Transaction, token_key: bytes) -> str | None:
    """Return the account of a cookie's session, if that was not ended. It may have expired."""
    query = select(sessions.c.account).where(sessions.c.token_key == token_key, sessions.c.ended_at.is_(None))
    return (await tx.execute(query)).scalar_one_or_none()


async def find_unended(tx: Transaction, token_key: bytes) -> tuple[str, int, int] | None:
    """Return account, start and last use of a cookie's session, if it was not ended. It may have expired."""
    query = select(sessions.c.account, sessions.c.started_at, sessions.c.seen_at).where(
        sessions.c.token_key == token_key, sessions.c.ended_at.is_(None)
    )
    row = (await tx.execute(query)).one_or_none()
    return (row.account, row.started_at, row.seen_at) if row else None


async def newest(tx: Transaction) -> int | None:
    """Return the latest stored use of any session, in UTC seconds."""
    seen_at: int | None = (await tx.execute(select(func.max(sessions.c.seen_at)))).scalar_one()
    return seen_at


async def count_live(tx: Transaction, owners: frozenset[str], lifetimes: Lifetimes, now: int) -> tuple[int, int]:
    """Count the live sessions of members and of owners, by the stored time of last use."""
    is_owner = accounts.c.identifier.in_(sorted(owners))
    query = select(
        func.count().filter(~is_owner, *still_within(lifetimes.members, now)),
        func.count().filter(is_owner, *still_within(lifetimes.owners, now)),
    )
    query = query.join_from(sessions, accounts, accounts.c.id == sessions.c.account).where(
        sessions.c.ended_at.is_(None)
    )
    members, of_owners = (await tx.execute(query)).one()
    return members, of_owners


def still_within(lifetime: Lifetime, now: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return sessions.c.seen_at > now - lifetime.idle, sessions.c.started_at > now - lifetime.absolute


async def list_open(tx: Transaction, account_id: str | None = None, limit: int | None = None) -> list[SessionRow]:
    """Return the sessions that were not ended, latest use first. Some may have expired."""
    query = (
        select(*COLUMNS)
        .join(accounts, accounts.c.id == sessions.c.account)
        .where(sessions.c.ended_at.is_(None))
        .order_by(sessions.c.seen_at.desc(), sessions.c.id)
    )
    if account_id is not None:
        query = query.where(sessions.c.account == account_id)
    return [read(row) for row in await tx.execute(query.limit(limit))]


async def find_open(tx: Transaction, session_id: str, account_id: str | None = None) -> SessionRow | None:
    """Return a session that was not ended, and belongs to `account_id` if given."""
    query = find_query(session_id).where(sessions.c.ended_at.is_(None))
    if account_id is not None:
        query = query.where(sessions.c.account == account_id)
    row = (await tx.execute(query)).one_or_none()
    return read(row) if row else None


async def find_any(tx: Transaction, session_id: str) -> SessionRow | None:
    """Return a session, open or ended."""
    row = (await tx.execute(find_query(session_id))).one_or_none()
    return read(row) if row else None


def find_query(session_id: str) -> Select[Any]:
    return select(*COLUMNS).join(accounts, accounts.c.id == sessions.c.account).where(sessions.c.id == session_id)


def read(row: Row[*tuple[Any, ...]]) -> SessionRow:
    return SessionRow(**{**row._asdict(), "proofs": read_proofs(row.proofs)})


def write_proofs(proofs: Sequence[Proof]) -> str:
    return json.dumps([write_proof(proof) for proof in proofs], separators=(",", ":"))


def write_proof(proof: Proof) -> list[str | int]:
    """Return name, time, and what it counts as unless EXPECTED, because older versions only read pairs."""
    is_expected = proof.counts_as == EXPECTED.get(proof.factor, ())
    return [proof.factor, proof.at, *(() if is_expected else proof.counts_as)]


read_factor = lru_cache(maxsize=256)(Factor)  # so that sessions in memory share them


def read_proofs(text: str) -> tuple[Proof, ...]:
    return tuple(read_proof(*written) for written in json.loads(text))


def read_proof(name: str, at: int, *counts_as: str) -> Proof:
    factor = read_factor(name)
    return Proof(factor, at, tuple(map(Factor, counts_as)) or EXPECTED.get(factor, ()))
