"""Opens sign-in links in a browser, and completes the sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.factors.contract import Right, Wrong
from gateway.factors.magic_link import rows
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.rows import Link
from gateway.login.flow import Flow, Outcome
from gateway.login.outcome import Gone
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened link. `is_ours`: this browser requested it; `is_awaited`: its attempt or session is still open."""

    link: Link
    account: Account | None
    is_ours: bool
    is_awaited: bool


class Links:
    def __init__(self, store: Store, flow: Flow, factor: MagicLinkFactor) -> None:
        self._store = store
        self._flow = flow
        self._factor = factor

    async def look(self, visit: Visit, token: str, now: int) -> Opened | None:
        """Return the link of a token, or None if there is none. Read-only."""
        async with self._store.reading() as tx:
            link = await rows.find(tx, token)
            if link is None:
                return None
            is_ours = await self._flow.holds(tx, visit, link.holder, now)
            is_awaited = (
                is_ours or await attempts.is_live(tx, link.holder, now) or await session_rows.is_open(tx, link.holder)
            )
            return Opened(link, await account_rows.find(tx, link.account), is_ours, is_awaited)

    async def open(self, visit: Visit, token: str, now: int) -> Outcome:
        """Complete a sign-in with a link, in the browser that requested it; any other gets Gone."""

        async def consume(tx: Transaction) -> Right | Wrong:
            link = await rows.find(tx, token)
            return await self._factor.consume(tx, link, now) if link else Wrong()

        async with self._store.reading() as tx:
            link = await rows.find(tx, token)
        return await self._flow.complete(visit, Factor.MAGIC_LINK, link.holder, consume, now) if link else Gone()

    async def latest(self, holder: str) -> Link | None:
        """Return the newest link of an attempt or session."""
        async with self._store.reading() as tx:
            return await rows.latest(tx, holder)
