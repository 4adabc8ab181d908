"""Metrics from the store: live sessions and queued mails. Cached, so that frequent scrapes cause few queries."""

from __future__ import annotations

import time

from gateway.mail import outbox
from gateway.model.clock import Clock
from gateway.model.session import Lifetimes
from gateway.observe.figures import Figures
from gateway.sessions import rows as session_rows
from gateway.store import Store, StoreUnavailable, nodes

KEEP_SECONDS = 5.0


class StoreFigures:
    """`owners` are normalised identifiers."""

    def __init__(self, store: Store, owners: frozenset[str], lifetimes: Lifetimes, clock: Clock) -> None:
        self._store = store
        self._owners = owners
        self._lifetimes = lifetimes
        self._clock = clock
        self._known: Figures | None = None
        self._asked_at = -KEEP_SECONDS

    async def read(self) -> Figures | None:
        """Return figures at most KEEP_SECONDS old; None if the store is unavailable."""
        if time.monotonic() - self._asked_at >= KEEP_SECONDS:
            self._asked_at = time.monotonic()
            try:
                self._known = await self._ask(self._clock())
            except StoreUnavailable:
                self._known = None
        return self._known

    async def _ask(self, now: int) -> Figures:
        async with self._store.reading() as tx:
            members, owners = await session_rows.count_live(tx, self._owners, self._lifetimes, now)
            mails = await outbox.status(tx, now)
            states = await nodes.list_states(tx)
        return Figures(members, owners, mails.waiting, mails.abandoned, mails.oldest_seconds, states)
