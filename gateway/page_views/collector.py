"""Collects page views in a worker's memory, and writes them twice a second.

A request is noted with one addition to a list, once its status is known, and never waits. The rest is done for many at
once: their text is made, the views of a session in a second together, and written. A crash loses what was not written
yet: half a second, and the time that writing takes. While the store fails, views wait for it, up to MAX_WAITING; later
ones are counted, and lost.

With SQLite, all writers take turns, so a batch is small, and others get as much time after it as it took.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError

from gateway.model.memo import Memo
from gateway.model.page_view import Opened
from gateway.model.session import Session
from gateway.observe.access_log import hide
from gateway.observe.logs import get_logger
from gateway.page_views import rows
from gateway.page_views.record import MAX_PATH, LeftOut, Run, encode, run_of
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.store.pace import then_rest
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

BATCH = 500  # rows in a transaction: a few milliseconds
FIELDS = 6  # that are noted of a view
AT_ONCE = 2_000  # views whose text is made without a pause: half a millisecond
MAX_RUN = 100  # views in a row
MAX_WAITING = 20_000  # 5 MB; if all paths are as long as can be, 15 MB, or 65 MB in other scripts than ours
PAUSE_SECONDS = 5  # after a failure of the store
QUIET_SECONDS = 60
KNOWN_PATHS = 2_000  # at most 12 MB
STATIC = "static"  # no path: in a text they begin with a quote

Texts = dict[tuple[str, str, int], tuple[Session, list[str]]]  # by session, tenant and time


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
        self._noted: list[Any] = []  # FIELDS of each view: a tuple for each would be work for the garbage collector
        self._texts: Texts = {}
        self._runs: list[Run] = []
        self._waiting = 0  # the views in `_texts` and `_runs`
        self._number = random.getrandbits(62)  # of the next row; other workers have others
        self._lost = 0  # since the last line in the log
        self._quiet_until = self._paused_until = 0

    def note(self, view: Opened, status: int) -> None:
        """Record a request, of a tenant that has this switched on."""
        session, inbound, at = view
        noted = self._noted
        noted += (session, inbound.method, inbound.readings, inbound.address, at, status)
        if len(noted) >= FIELDS * AT_ONCE:
            self._encode()

    async def flush(self) -> None:
        """Write what was noted. Raises StoreUnavailable; then it stays. Views that the store rejects are lost.

        A batch that fails keeps its numbers: it is there once, even if the store committed it before it failed.
        """
        self._encode()
        if self._clock.utc < self._paused_until:
            return
        while self._runs or self._close_runs():
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
            self._waiting -= count

    async def finish(self) -> None:
        """Write what was noted, even if the store has just failed. Raises StoreUnavailable."""
        self._paused_until = 0
        await self.flush()

    def _encode(self) -> None:
        """Make the text of what was noted. If too much waits, it is lost."""
        noted, self._noted = self._noted, []
        if self._waiting < MAX_WAITING:
            self._waiting += self._encode_into(self._texts, noted)
        elif noted and (count := self._encode_into({}, noted)):
            self._lose(count)

    def _encode_into(self, texts: Texts, noted: list[Any]) -> int:
        """Add the views to `texts`, and return how many they are: not those of static files."""
        count, last, second = 0, None, -1
        paths, field = self._paths, iter(noted)
        for session, method, readings, address, at, status in zip(*[field] * FIELDS, strict=True):
            given = readings[0]
            path = paths.young.get(given) or paths.recall(given) or self._shorten(given)
            if path is STATIC:
                if self._left_out.has(method, readings):
                    continue
                path = encode(given[:MAX_PATH])
            if session is not last or at != second:
                last, second = session, at
                add = texts.setdefault((session.id, session.tenant, at), (session, []))[1].append
            add(f'[{at},"{method}",{path},"{address}",{status}]')
            count += 1
        return count

    def _shorten(self, given: str) -> str:
        """Return the text of a path, without a token; STATIC if it may be left out. Remember that."""
        if given.startswith(self._secret_below):
            path = encode(hide(given, self._secret_below))
        elif given.startswith(self._left_out.folders) or given.endswith(self._left_out.endings):
            path = STATIC
        else:
            path = encode(given[:MAX_PATH])
        if len(given) <= MAX_PATH:
            self._paths.put(given, path)
        return path

    def _close_runs(self) -> bool:
        """Make rows of the texts. Returns whether there are any."""
        texts, self._texts = self._texts, {}
        for (_, _, at), (session, views) in texts.items():
            for first in range(0, len(views), MAX_RUN):
                self._runs.append(run_of(session, self._number, at, views[first : first + MAX_RUN]))
                self._number += 1
        return bool(self._runs)

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
