"""What a browser does with the links that were mailed: look, and complete a sign-in."""

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
    """A link that somebody looks at. `is_ours`: this browser asked for it; `is_awaited`: some browser waits for it."""

    link: Link
    account: Account | None
    is_ours: bool
    is_awaited: bool


class Links:
    """What a browser does with the links that were mailed."""

    def __init__(self, store: Store, flow: Flow, factor: MagicLinkFactor) -> None:
        self._store = store
        self._flow = flow
        self._factor = factor

    async def look(self, visit: Visit, token: str, now: int) -> Opened | None:
        """Return what there is to know about a link. Changes nothing."""
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
        """The button of a link's page was pressed. Only the browser that asked for the link can complete with it."""

        async def consume(tx: Transaction) -> Right | Wrong:
            link = await rows.find(tx, token)
            return await self._factor.consume(tx, link, now) if link else Wrong()

        async with self._store.reading() as tx:
            link = await rows.find(tx, token)
        return await self._flow.complete(visit, Factor.MAGIC_LINK, link.holder, consume, now) if link else Gone()

    async def latest(self, holder: str) -> Link | None:
        """Return the newest link that was asked for by an attempt or session."""
        async with self._store.reading() as tx:
            return await rows.latest(tx, holder)
