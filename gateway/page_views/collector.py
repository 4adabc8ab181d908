"""Collects page views in a worker's memory, and writes them twice a second.

A request only appends to a list, and is never delayed. A crash loses what was not written yet: half a second, and the
time that writing takes. While the store fails, views wait for it, up to MAX_WAITING; later ones are counted, and lost.

The views of a session become one row each time, because a row costs ten times as much as a view. With SQLite, all
writers take turns, so a batch is small, and others get as much time after it as it took.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from sqlalchemy.exc import IntegrityError

from gateway.model.inbound import Inbound
from gateway.model.memo import Memo
from gateway.model.session import Session
from gateway.observe.access_log import hide
from gateway.observe.logs import get_logger
from gateway.page_views import rows
from gateway.page_views.record import DROPPED, MAX_PATH, LeftOut, Run, run_of
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.store.pace import then_rest
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

BATCH = 500  # rows in a transaction: a few milliseconds
AT_ONCE = 2_000  # views that are encoded without a pause: a millisecond or two
MAX_RUN = 100  # views in a row
MAX_WAITING = 10_000  # about 10 MB if all paths are long
PAUSE_SECONDS = 5  # after a failure of the store
QUIET_SECONDS = 60
KNOWN_PATHS = 2_000  # at most 4 MB
STATIC = "static"  # no path: they begin with a slash
COMPLETE = 5  # fields of a view, with its status

Opened = tuple[Session, list[int | str]]  # the fields of a View; the status is appended when it is known


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
        self._paths = Memo[str, str](KNOWN_PATHS)
        self._count_lost = count_lost
        self._opened: list[Opened] = []
        self._runs: list[Run] = []
        self._encoded = 0  # the views in `_runs`
        self._number = random.getrandbits(62)  # of the next row; other workers have others
        self._lost = 0  # since the last line in the log
        self._quiet_until = self._paused_until = 0

    def open(self, session: Session, inbound: Inbound) -> Callable[[int], None]:
        """Begin to record a request, of a tenant that has this switched on. The result takes its status, once."""
        given = inbound.readings[0]
        path = self._paths.young.get(given) or self._paths.recall(given) or self._shorten(given)
        if path is STATIC:
            if self._left_out.has(inbound):
                return ignore
            path = given[:MAX_PATH]
        if len(self._opened) + self._encoded >= MAX_WAITING:
            self._lose(1)
            return ignore
        view: list[int | str] = [self._clock.utc, inbound.method, path, inbound.address]
        self._opened.append((session, view))
        return view.append

    async def flush(self) -> None:
        """Write complete views. Raises StoreUnavailable; then they stay. Views that the store rejects are lost.

        A batch that fails keeps its numbers: it is there once, even if the store committed it before it failed.
        """
        if self._clock.utc < self._paused_until:
            return
        while self._runs or self._encode():
            batch = self._runs[:BATCH]
            count = sum(run.size for run in batch)
            try:
                await then_rest(self._write(batch))
            except StoreUnavailable:
                self._paused_until = self._clock.utc + PAUSE_SECONDS
                raise
            except Exception:
                log.exception("page_views_refused")
                self._lose(count)
            del self._runs[: len(batch)]
            self._encoded -= count

    def _shorten(self, given: str) -> str:
        """Return a path as it is recorded, without a token; STATIC if it may be left out. Remember that."""
        if given.startswith(self._secret_below):
            path = hide(given, self._secret_below)
        elif given.startswith(self._left_out.folders) or given.endswith(self._left_out.endings):
            path = STATIC
        else:
            path = given[:MAX_PATH]
        if len(given) <= MAX_PATH:
            self._paths.put(given, path)
        return path

    async def finish(self) -> None:
        """Write the complete views, even if the store has just failed. Raises StoreUnavailable."""
        self._paused_until = 0
        await self.flush()

    def _encode(self) -> bool:
        """Make rows of the views that are complete, up to AT_ONCE. Returns whether there are any."""
        rest: list[Opened] = []
        sessions: dict[tuple[str, str], tuple[Session, list[list[int | str]]]] = {}
        count = 0
        for opened in self._opened:
            session, view = opened
            if len(view) < COMPLETE or count >= AT_ONCE:
                rest.append(opened)
                continue
            if view[-1] == DROPPED:
                continue
            count += 1
            sessions.setdefault((session.id, session.tenant), (session, []))[1].append(view)
        self._opened = rest
        self._encoded += count
        for session, views in sessions.values():
            for at in range(0, len(views), MAX_RUN):
                self._runs.append(run_of(session, self._number, views[at : at + MAX_RUN]))
                self._number += 1
        return count > 0

    async def _write(self, batch: list[Run]) -> None:
        try:
            async with self._store.transaction() as tx:
                await rows.add(tx, batch)
        except IntegrityError:  # an account was deleted meanwhile
            async with self._store.transaction() as tx:
                await rows.add(tx, await rows.of_known(tx, batch))

    def _lose(self, count: int) -> None:
        self._count_lost(count)
        self._lost += count
        if self._clock.utc >= self._quiet_until:
            log.warning("page_views_lost", count=self._lost)
            self._lost, self._quiet_until = 0, self._clock.utc + QUIET_SECONDS


def ignore(status: int) -> None:
    """Take the status of a request that is not recorded."""
