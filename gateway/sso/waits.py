"""Sign-ins that wait for a provider.

They are kept here and not in a cookie, so that ten tabs can wait at once; only the browser that began one can end it,
once, within ten minutes.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import EXPIRING, Stored
from gateway.throttle.limits import Limit

WAIT_SECONDS = 600
BEGINNINGS = Limit(failures=60, window_seconds=WAIT_SECONDS, lock_seconds=60)  # and of an address, ten times as many
"""How many sign-ins may wait at once. Nothing can be guessed by beginning one, and everybody in an office begins theirs
at nine: this only bounds what is kept."""

sso_waits = Table(
    "sso_waits",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of the state
    Column("provider", String(40), nullable=False),
    Column("browser", LargeBinary(32), nullable=False),  # SHA-256 of the cookie
    Column("target", Text, nullable=False),
    Column("session", String(40), nullable=False),  # that needs a fresh proof, or ""
    Column("is_trial", Boolean, nullable=False),
    Column("began_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger),
    Column("client_key", String(40), nullable=False, server_default=""),  # that a trial is made with
)


@dataclass(frozen=True, slots=True)
class Wait:
    """`session` is the id of one that needs a fresh proof, or ""; `client_key` that of our key, in a trial with one."""

    provider: str
    target: str
    session: str
    is_trial: bool
    began_at: int
    client_key: str = ""

    @property
    def is_step_up(self) -> bool:
        return bool(self.session) and not self.is_trial


def derive(key: Secret[bytes], purpose: str, state: Secret[str]) -> Secret[str]:
    """Return a secret of the sign-in with that state: nobody else can, so the store need not keep it."""
    content = f"{purpose} {state.reveal()}".encode()
    return Secret(encode_base64url(hmac.digest(key.reveal(), content, "sha256")))


async def begin(tx: Transaction, key: bytes, browser: bytes, wait: Wait) -> None:
    """Keep a sign-in until the provider answers. `key` is the SHA-256 of the state, `browser` that of the cookie."""
    await tx.execute(
        insert(sso_waits).values(
            key=key,
            provider=wait.provider,
            browser=browser,
            target=wait.target,
            session=wait.session,
            is_trial=wait.is_trial,
            began_at=wait.began_at,
            client_key=wait.client_key,
        )
    )


async def is_awaited(tx: Transaction, key: bytes, browser: bytes | None, now: int) -> bool:
    """Whether this browser waits for the answer with that state, without consuming it."""
    return (await tx.execute(select(sso_waits.c.key).where(*of_browser(key, browser, now)))).first() is not None


async def end(tx: Transaction, key: bytes, browser: bytes | None, now: int) -> Wait | None:
    """Consume a waiting sign-in of this browser. Of concurrent requests, exactly one gets it."""
    statement = update(sso_waits).where(*of_browser(key, browser, now))
    if (await tx.execute(statement.values(ended_at=now))).rowcount != 1:
        return None
    held = sso_waits.c
    columns = (held.provider, held.target, held.session, held.is_trial, held.began_at, held.client_key)
    return Wait(*(await tx.execute(select(*columns).where(held.key == key))).one())


def of_browser(key: bytes, browser: bytes | None, now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        sso_waits.c.key == key,
        sso_waits.c.browser == (browser or b""),
        sso_waits.c.ended_at.is_(None),
        sso_waits.c.began_at > now - WAIT_SECONDS,
    )


async def forget(tx: Transaction, provider: str) -> None:
    await tx.execute(delete(sso_waits).where(sso_waits.c.provider == provider))


STORED = (
    Stored(
        sso_waits,
        lambda longest, now: sso_waits.c.began_at < now - WAIT_SECONDS,
        lambda now: delete(sso_waits),
        EXPIRING,
        is_copied=False,
    ),
)
