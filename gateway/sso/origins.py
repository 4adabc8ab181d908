"""Statements on which sign-in at a provider a session came from, and on sign-outs that a provider has sent.

A provider names what it ends by the person (`subject`), or by one sign-in of theirs (`sid`). By these, we find what it
opened or confirmed here: a session, or an attempt as long as our own second step is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    and_,
    column,
    delete,
    or_,
    select,
    table,
    update,
)

from gateway.model.clock import DAY
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.sso.oidc.logout_token import Logout
from gateway.sso.oidc.record import Claims
from gateway.store import Transaction
from gateway.store.schema import metadata, sessions
from gateway.store.stored import EXPIRING, Stored
from gateway.store.upsert import upsert

REMEMBERED_SECONDS = 3_600  # longer than a logout token can be valid (oidc.logout_token)

sso_sessions = Table(
    "sso_sessions",
    metadata,
    Column("holder", String(40), primary_key=True),  # the id of the session, or of the attempt that becomes one
    Column("provider", String(40), primary_key=True),
    Column("sid", String(256), primary_key=True),  # "" if the provider gives none
    Column("subject", String(300), nullable=False),
    Column("hint", String(256), nullable=False),  # by what the provider knows who signs out there
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Index("ix_sso_sessions_provider_sid", "provider", "sid"),
    Index("ix_sso_sessions_provider_subject", "provider", "subject"),
)

sso_logouts = Table(
    "sso_logouts",  # that a provider has sent: each works once, and also ends what is just being opened
    metadata,
    Column("provider", String(40), primary_key=True),
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of the token's `jti`
    Column("subject", String(300), nullable=False),
    Column("sid", String(256), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

providers = table("identity_providers", column("id", String))  # rows.py has the whole, and imports this module


@dataclass(frozen=True, slots=True)
class Origin:
    """`hint` is what the provider is told about who signs out there; "" if nothing."""

    provider: str
    hint: str


async def note(tx: Transaction, holder: str, account: str, provider: str, claims: Claims, now: int) -> None:
    """Note where a session, or an attempt, came from. One that is confirmed later has several origins."""
    row = {
        "holder": holder, "provider": provider, "sid": claims.session_id, "subject": claims.key,
        "hint": claims.login_hint or claims.session_id, "account": account, "at": now,
    }  # fmt: skip
    statement = upsert(tx, sso_sessions).values(**row)
    newer = {name: row[name] for name in ("subject", "hint", "at")}
    await tx.execute(statement.on_conflict_do_update(index_elements=["holder", "provider", "sid"], set_=newer))


async def move(tx: Transaction, attempt: str, session: str) -> None:
    """Let the session that an attempt has become have its origin."""
    await tx.execute(update(sso_sessions).where(sso_sessions.c.holder == attempt).values(holder=session))


async def find(tx: Transaction, session: str) -> Origin | None:
    """Return the latest origin of a session."""
    query = select(sso_sessions.c.provider, sso_sessions.c.hint).where(sso_sessions.c.holder == session)
    row = (await tx.execute(query.order_by(sso_sessions.c.at.desc()).limit(1))).one_or_none()
    return None if row is None else Origin(*row)


async def list_holders(tx: Transaction, provider: str, *, subject: str = "", session_id: str = "") -> list[str]:
    """Return the ids of sessions and attempts: of one sign-in at the provider, or without a `session_id` of a person.

    Some of them may have ended.
    """
    wanted = [sso_sessions.c.provider == provider]
    if subject or not session_id:
        wanted.append(sso_sessions.c.subject == subject)
    if session_id:
        wanted.append(sso_sessions.c.sid == session_id)
    query = select(sso_sessions.c.holder).where(*wanted).distinct().order_by(sso_sessions.c.holder)
    return list((await tx.execute(query)).scalars())


async def remember(tx: Transaction, provider: str, logout: Logout, now: int) -> bool:
    """Remember a logout token. Returns False if it was there before: of concurrent requests, exactly one gets True."""
    row = {
        "provider": provider, "key": sha256(logout.token_id.encode()).digest(), "subject": logout.subject,
        "sid": logout.session_id, "at": now,
    }  # fmt: skip
    return (await tx.execute(upsert(tx, sso_logouts).values(**row).on_conflict_do_nothing())).rowcount == 1


async def has_left(tx: Transaction, provider: str, claims: Claims, since: int) -> bool:
    """Whether the provider has ended a sign-in that it asserted, or, after `since`, all of the person."""
    of_person = and_(sso_logouts.c.sid == "", sso_logouts.c.subject == claims.key, sso_logouts.c.at >= since)
    of_sign_in = and_(sso_logouts.c.sid == claims.session_id, sso_logouts.c.sid != "")
    query = select(sso_logouts.c.key).where(sso_logouts.c.provider == provider, or_(of_sign_in, of_person)).limit(1)
    return (await tx.execute(query)).first() is not None


async def hold(tx: Transaction, provider: str, *, alone: bool = False) -> bool:
    """Lock a provider, before anything else is: together with others who open sessions, or `alone` to end some.

    So a sign-out finds each session that is being opened, or that one finds the sign-out; and nothing changes about the
    provider until then. Returns whether it is there.
    """
    query = select(providers.c.id).where(providers.c.id == provider)
    locked = query.with_for_update() if alone else query.with_for_update(read=True)
    return (await tx.execute(locked)).one_or_none() is not None


async def forget(tx: Transaction, provider: str, now: int, but: str | None = None) -> int:
    """Delete what is known of a provider that was removed, or is another one now, and end what it has opened.

    It could not end that any more, when somebody leaves. The session with the id `but` stays open: that of whoever did
    it, who might have no other way in. Returns how many sessions ended.
    """
    ended = await end(tx, sso_sessions.c.provider == provider, now, but)
    for known in (sso_sessions, sso_logouts):
        await tx.execute(delete(known).where(known.c.provider == provider))
    return ended


async def end_of_account(tx: Transaction, account: str, now: int, but: str | None = None) -> int:
    """End what providers have opened for an account that is disconnected. Returns how many sessions ended."""
    return await end(tx, sso_sessions.c.account == account, now, but)


async def end_attempts(tx: Transaction, provider: str, now: int) -> None:
    """End the attempts that lack our second step still, because a provider was turned off."""
    await attempts.end_those(tx, select(sso_sessions.c.holder).where(sso_sessions.c.provider == provider), now)


async def end(tx: Transaction, which: ColumnElement[bool], now: int, but: str | None) -> int:
    holders = select(sso_sessions.c.holder).where(which)
    await attempts.end_those(tx, holders, now)
    return await session_rows.end_where(tx, sessions.c.id.in_(holders), now, but)


STORED = (
    Stored(
        sso_sessions,
        lambda longest, now: sso_sessions.c.at < now - longest.session - DAY,
        restored=lambda now: delete(sso_sessions),  # their sessions end
        erased=EXPIRING,
    ),
    Stored(
        sso_logouts,
        lambda longest, now: sso_logouts.c.at < now - REMEMBERED_SECONDS,
        restored=lambda now: delete(sso_logouts),
        erased=EXPIRING,
        is_copied=False,
    ),
)
