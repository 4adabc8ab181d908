"""Collects page views in a worker's memory, and writes them twice a second.

A request is noted with one addition to a list, once its status is known, and never waits. The rest is done for many at
once: their text is made, the views of a session in a second together, and written. A crash loses what was not written
yet: half a second, and the time that writing takes. While the store fails, views wait for it, up to MAX_WAITING; later
ones are counted, and lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from gateway.model.memo import Memo
from gateway.model.page_view import Opened
from gateway.model.session import Session
from gateway.observe.access_log import hide
from gateway.observe.logs import get_logger
from gateway.page_views import batches
from gateway.page_views.record import MAX_PATH, MAX_RUN, Batch, LeftOut, encode, write_line
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.store.pace import then_rest
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

FIELDS = 6  # that are noted of a view
AT_ONCE = 2_000  # views whose text is made without a pause: half a millisecond
MAX_WAITING = 20_000  # 5 MB; if all paths are as long as can be, 15 MB, or 65 MB in other scripts than ours
PAUSE_SECONDS = 5  # after a failure of the store
QUIET_SECONDS = 60
KNOWN_PATHS = 2_000  # at most 12 MB
STATIC = "static"  # no path: in a text they begin with a quote

Texts = dict[tuple[str, str, int, str], tuple[Session, list[str]]]  # by session, tenant, time and address


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
        self._batch: Batch | None = None  # that is being written, or has to be written again
        self._waiting = 0  # the views in `_texts` and `_batch`
        self._number = random.getrandbits(62)  # of the next line; other workers have others
        self._written = 0  # views, since `has_much` was set
        self.has_much = asyncio.Event()  # that it is time to move
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

        A batch that fails keeps its number: it is there once, even if the store committed it before it failed.
        """
        self._encode()
        if self._clock.utc < self._paused_until:
            return
        while batch := self._batch or self._next_batch():
            self._batch = batch
            try:
                await then_rest(self._write(batch))
            except StoreUnavailable:
                self._paused_until = self._clock.utc + PAUSE_SECONDS
                raise
            except Exception:
                log.exception("page_views_refused")
                self._lose(batch.size)
            self._batch = None
            self._waiting -= batch.size
            self._written += batch.size
            if self._written >= batches.AT_ONCE:
                self._written = 0
                self.has_much.set()

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
        last, second, place, left_out = None, -1, "", 0
        paths, field = self._paths, iter(noted)
        find = paths.young.get  # of one that is replaced meanwhile, less is found
        for session, method, readings, address, at, status in zip(*[field] * FIELDS, strict=True):
            given = readings[0]
            path = find(given) or paths.young.get(given) or paths.recall(given) or self._shorten(given)
            if path is STATIC:
                if self._left_out.has(method, readings):
                    left_out += 1
                    continue
                path = encode(given[:MAX_PATH])
            if session is not last or at != second or address != place:
                last, second, place = session, at, address
                key = session.id, session.tenant, at, address
                known = texts.get(key)
                if known is None:
                    known = texts[key] = session, []
                add = known[1].append
            add(f'"{method}",{path},{status}')
        return len(noted) // FIELDS - left_out

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

    def _next_batch(self) -> Batch | None:
        """Make a batch of all texts, if there are any."""
        texts, self._texts = self._texts, {}
        if not texts:
            return None
        lines = [
            write_line(session, at, address, views[first : first + MAX_RUN])
            for (_, _, at, address), (session, views) in texts.items()
            for first in range(0, len(views), MAX_RUN)
        ]
        batch = Batch(self._number, self._clock.utc, self._waiting, "\n".join(lines))
        self._number += len(lines)
        return batch

    async def _write(self, batch: Batch) -> None:
        async with self._store.transaction() as tx:
            await batches.add(tx, batch)

    def _lose(self, count: int) -> None:
        self._count_lost(count)
        self._lost += count
        if self._clock.utc >= self._quiet_until:
            log.warning("page_views_lost", count=self._lost)
            self._lost, self._quiet_until = 0, self._clock.utc + QUIET_SECONDS
