"""Browsers in the store: the SHA-256 of each one's cookie, its last account, and the cookies the application set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, func, insert, select, update

from gateway.browsers.record import LIFE_SECONDS, AppCookie
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_token
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, EXPIRING, Stored
from gateway.store.upsert import upsert

browsers = Table(
    "browsers",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of its cookie
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),  # the last one
    Column("seen_at", BigInteger, nullable=False, index=True),  # when it signed in
)

browser_cookies = Table(
    "browser_cookies",
    metadata,
    Column("browser", LargeBinary(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("domain", String(256), primary_key=True),  # "" for the host that set it
    Column("path", String(256), primary_key=True),
)

MAX_COOKIES = 100  # of one browser


class Former(Enum):
    """Whether the account that signed in before in a browser is the same one."""

    SAME = "the same person"
    OTHER = "another person"
    UNKNOWN = "nobody, as far as is known"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The result of a sign-in for its browser. `token` is the cookie's value for a browser that gets a new one.

    `learnt` are the cookies that the application had set for `former`, if that is another account.
    """

    former: Former
    token: Secret[str] | None = None
    learnt: tuple[AppCookie, ...] = ()


async def arrive(tx: Transaction, key: bytes | None, account: str, last_session: str | None, now: int) -> Arrival:
    """Record that `account` signed in, in the browser of `key`. `last_session` is the account of the session that the
    request came with.

    When another account signs in, the browser gets a new cookie and counts as a new browser. If the response never
    arrives, the browser keeps its old cookie, and the next sign-in does this again.
    """
    last = await last_account(tx, key)
    if key is not None and last == account:
        await tx.execute(update(browsers).where(browsers.c.key == key).values(seen_at=now))
        return Arrival(Former.SAME)
    token = new_token()
    await tx.execute(insert(browsers).values(key=key_of(token), account=account, seen_at=now))
    known = last or last_session
    if known is None:
        return Arrival(Former.UNKNOWN, token)
    if known == account:
        return Arrival(Former.SAME, token)
    return Arrival(Former.OTHER, token, await learnt(tx, key))


async def last_account(tx: Transaction, key: bytes | None) -> str | None:
    if key is None:
        return None
    return (await tx.execute(select(browsers.c.account).where(browsers.c.key == key))).scalar_one_or_none()


async def find_seen(tx: Transaction, key: bytes | None, account: str) -> int | None:
    """Return when `account` last signed in with a browser, in UTC seconds; None if another one did since, or none."""
    if key is None:
        return None
    query = select(browsers.c.seen_at).where(browsers.c.key == key, browsers.c.account == account)
    return (await tx.execute(query)).scalar_one_or_none()


async def learnt(tx: Transaction, key: bytes | None) -> tuple[AppCookie, ...]:
    """Return the application's cookies in a browser, in a fixed order."""
    if key is None:
        return ()
    table = browser_cookies.c
    query = select(table.name, table.domain, table.path).where(table.browser == key)
    return tuple(AppCookie(*row) for row in await tx.execute(query.order_by(table.name, table.domain, table.path)))


async def learn(tx: Transaction, key: bytes, cookies: Iterable[AppCookie]) -> None:
    """Store cookies of a known browser, up to the limit."""
    if await last_account(tx, key) is None:
        return
    count = select(func.count()).where(browser_cookies.c.browser == key)
    room = MAX_COOKIES - (await tx.execute(count)).scalar_one()
    for cookie in list(cookies)[: max(0, room)]:
        row = upsert(tx, browser_cookies).values(browser=key, **cookie._asdict())
        await tx.execute(row.on_conflict_do_nothing())


STORED = (
    Stored(browsers, lambda longest, now: browsers.c.seen_at < now - LIFE_SECONDS, AS_IT_WAS, EXPIRING),
    Stored(
        browser_cookies,
        lambda longest, now: browser_cookies.c.browser.not_in(select(browsers.c.key)),
        AS_IT_WAS,
        EXPIRING,
    ),
)
