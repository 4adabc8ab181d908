"""Collects page views in a worker's memory, and writes them twice a second.

A request only appends to a list, and is never delayed. A crash loses what was not written yet: half a second, and the
time that writing takes. While the store fails, views wait for it, up to MAX_WAITING; later ones are counted, and lost.

With SQLite, all writers take turns, so a batch is small, and others get as much time after it as it took.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.observe.access_log import hide
from gateway.observe.logs import get_logger
from gateway.page_views import rows
from gateway.page_views.record import MAX_PATH, LeftOut, View
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.store.pace import then_rest
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

BATCH = 500  # views in a transaction: a few milliseconds
MAX_WAITING = 10_000  # about 10 MB if all paths are long
PAUSE_SECONDS = 5  # after a failure of the store
QUIET_SECONDS = 60

Noted = tuple[Session, int, str, str, int, str]  # session, UTC seconds, method, path, status, address


class PageViews:
    """Below the paths `secret_below` are the tokens of our own links: of these, only the kind of link is recorded.

    `count_lost` is told how many views could not be recorded.
    """

    def __init__(
        self,
        store: Store,
        clock: Deadlines,
        settings: PageViewSettings,
        secret_below: tuple[str, ...],
        count_lost: Callable[[int], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._left_out = LeftOut.of(settings.leave_out)
        self._secret_below = secret_below
        self._count_lost = count_lost
        self._waiting: list[Noted] = []
        self._written = random.getrandbits(62)  # the number of the first that waits; other workers have others
        self._lost = 0  # since the last line in the log
        self._quiet_until = self._paused_until = 0

    def open(self, session: Session, inbound: Inbound) -> Callable[[int], None]:
        """Begin to record a request, of a tenant that has this switched on."""
        return Opened(self, session, inbound)

    def note(self, session: Session, inbound: Inbound, status: int) -> None:
        if self._left_out.has(inbound):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._lose(1)
        else:
            path = inbound.path[:MAX_PATH]
            self._waiting.append((session, self._clock.utc, inbound.method, path, status, inbound.address))

    async def flush(self) -> None:
        """Write what waits. Raises StoreUnavailable, and then it stays; what the store refuses for ever is lost."""
        if self._clock.utc < self._paused_until:
            return
        while self._waiting:
            batch = [self._view(number, noted) for number, noted in enumerate(self._waiting[:BATCH], self._written)]
            try:
                await then_rest(self._write(batch))
            except StoreUnavailable:
                self._paused_until = self._clock.utc + PAUSE_SECONDS
                raise
            except Exception:
                log.exception("page_views_refused")
                self._lose(len(batch))
            del self._waiting[: len(batch)]
            self._written += len(batch)

    async def finish(self) -> None:
        """Write what waits, though the store may have failed just now. Raises StoreUnavailable."""
        self._paused_until = 0
        await self.flush()

    async def _write(self, batch: list[View]) -> None:
        async with self._store.transaction() as tx:
            await rows.add(tx, batch)

    def _view(self, number: int, noted: Noted) -> View:
        session, at, method, path, status, address = noted
        if path.startswith(self._secret_below):
            path = hide(path, self._secret_below)
        return View(session.account, session.id, at, number, session.tenant, method, storable(path), status, address)

    def _lose(self, count: int) -> None:
        self._count_lost(count)
        self._lost += count
        if self._clock.utc >= self._quiet_until:
            log.warning("page_views_lost", count=self._lost)
            self._lost, self._quiet_until = 0, self._clock.utc + QUIET_SECONDS


class Opened:
    """A request whose status is not known yet. The first that it is told counts."""

    __slots__ = ("_inbound", "_session", "_views")

    def __init__(self, views: PageViews, session: Session, inbound: Inbound) -> None:
        self._views: PageViews | None = views
        self._session = session
        self._inbound = inbound

    def __call__(self, status: int) -> None:
        if self._views is not None:
            self._views.note(self._session, self._inbound, status)
            self._views = None


def storable(path: str) -> str:
    """Return a path as both databases can store it: without NUL and lone surrogates."""
    return path.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
