"""Collects page views in a worker's memory, and writes them twice a second.

A request is noted once its status is known, and never waits: its text is looked up among known ones, and added to those
of its session in that second. Twice a second what was noted becomes one batch. A crash loses what was not written yet:
half a second, and the time that writing takes. While the store fails, views wait for it, up to MAX_WAITING; later ones
are counted, and lost.

The lines of a batch that was written are kept until they are moved to the rows of their sessions, which saves reading
them (see batches).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from gateway.model.memo import Memo
from gateway.model.page_view import NEVER, Opened, Views
from gateway.observe.access_log import hide
from gateway.observe.logs import get_logger
from gateway.page_views import batches
from gateway.page_views.batches import Lines
from gateway.page_views.record import MAX_PATH, MAX_RUN, Batch, LeftOut, encode
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.store.pace import then_rest
from gateway.throttle.slices import Slices
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

MAX_WAITING = 20_000  # 2 MB; if all paths are as long as can be, 15 MB, or 65 MB in other scripts than ours
MAX_KEPT = 20_000  # lines of written batches: 8 MB; or as much more as above
PAUSE_SECONDS = 5  # after a failure of the store
QUIET_SECONDS = 60
KNOWN_TEXTS = 2_000  # at most 12 MB
LEFT_OUT = "left out"  # no text of a view: these begin with a quote
STEP = 50  # lines that are made without a pause

Key = tuple[str, str, str, int, str]  # account, session, tenant, time and address
Noted = dict[Key, list[str]]  # the texts of views


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
        self._texts = Memo[tuple[str, tuple[str, ...], int], str](KNOWN_TEXTS)  # by method, readings and status
        self._count_lost = count_lost
        self._noted: Noted = {}
        self._begun: list[Views] = []  # with texts of `_noted`
        self._second = 0  # in which the latest of `_noted` began
        self._aside: list[Noted] = []  # whose views are counted
        self._batch: tuple[Batch, Lines] | None = None  # that is being written, or has to be written again
        self._waiting = 0  # the views in `_aside` and `_batch`
        self._number = random.getrandbits(62)  # of the next line; other workers have others
        self._kept: dict[int, Lines] = {}  # of written batches, by their numbers
        self._written = 0  # views, since `has_much` was set
        self.has_much = asyncio.Event()  # that it is time to move
        self._lost = 0  # since the last line in the log
        self._quiet_until = self._paused_until = 0

    def note(self, view: Opened, status: int) -> None:
        """Record a request, of a tenant that has this switched on."""
        views, inbound, at = view
        what = inbound.method, inbound.readings, status
        text = self._texts.young.get(what) or self._describe(*what)
        if text is not LEFT_OUT:
            if views.at != at or views.address != inbound.address:
                self._begin(views, at, inbound.address)
            views.texts.append(text)

    async def flush(self) -> None:
        """Write what was noted. Raises StoreUnavailable; then it stays. Views that the store rejects are lost.

        A batch that fails keeps its number: it is there once, even if the store committed it before it failed.
        """
        self._set_aside()
        if self._clock.utc < self._paused_until:
            return
        while self._batch or self._aside:
            batch, lines = self._batch = self._batch or await self._make_batch()
            try:
                await then_rest(self._write(batch))
            except StoreUnavailable:
                self._paused_until = self._clock.utc + PAUSE_SECONDS
                raise
            except Exception:
                log.exception("page_views_refused")
                self._lose(batch.size)
            else:
                self._keep(batch, lines)
            self._batch = None
            self._waiting -= batch.size

    async def finish(self) -> None:
        """Write what was noted, even if the store has just failed. Raises StoreUnavailable."""
        self._paused_until = 0
        await self.flush()

    async def move(self) -> None:
        """Move what was written to the rows of its sessions. Raises StoreUnavailable."""
        await batches.move(self._store, self._kept, self._clock.utc - batches.ORPHANED_SECONDS)

    def _describe(self, method: str, readings: tuple[str, ...], status: int) -> str:
        """Return the text of a view, or LEFT_OUT, and remember it."""
        key = method, readings, status
        text = self._texts.recall(key)
        if text is None:
            text = LEFT_OUT if self._left_out.has(method, readings) else self._write_view(method, readings[0], status)
            if sum(map(len, readings)) <= MAX_PATH:
                self._texts.put(key, text)
        return text

    def _write_view(self, method: str, path: str, status: int) -> str:
        """Return the JSON of a view's method, path (without a token) and status."""
        shown = hide(path, self._secret_below) if path.startswith(self._secret_below) else path[:MAX_PATH]
        return f'"{method}",{encode(shown)},{status}'

    def _begin(self, views: Views, at: int, address: str) -> None:
        """Begin the texts of a session in a second, or go on with them. Those of the seconds before are counted."""
        if at > self._second:
            self._second = at
            self._set_aside()
        if views.at == NEVER:
            self._begun.append(views)
        views.at, views.address = at, address
        views.texts = self._noted.setdefault((views.account, views.session, views.tenant, at, address), [])

    def _set_aside(self) -> None:
        """Count what was noted. What is too much is lost."""
        for views in self._begun:
            views.at, views.texts = NEVER, []
        self._begun.clear()
        noted, self._noted = self._noted, {}
        count = sum(map(len, noted.values()))
        room = MAX_WAITING - self._waiting
        if count > room:
            self._lose(count - room)
            count = left = room
            for texts in noted.values():
                del texts[left:]
                left -= len(texts)
        if count:
            self._waiting += count
            self._aside.append(noted)

    async def _make_batch(self) -> tuple[Batch, Lines]:
        """Make a batch of all that was set aside. It stays there until the batch is made, also if this is cancelled."""
        aside, slices = self._aside.copy(), Slices()
        lines: Lines = []
        written: list[str] = []
        size, number, last, second = 0, self._number, 0, ""
        for noted in aside:
            for (account, session, tenant, at, address), texts in noted.items():
                if at != last:
                    last, second = at, str(at)
                for some in in_pieces(texts):
                    views = f'[{second},"{address}",[{",".join(some)}]]'
                    written.append(f"{account} {session} {tenant} {second} {len(some)} {views}")
                    lines.append(((account, session, tenant), (at, number, len(some), views)))
                    number += 1
                    size += len(some)
                if number % STEP == 0:
                    await slices.pause()
        batch = Batch(self._number, self._clock.utc, size, "\n".join(written))
        del self._aside[: len(aside)]
        self._number = number
        return batch, lines

    async def _write(self, batch: Batch) -> None:
        async with self._store.transaction() as tx:
            await batches.add(tx, batch)

    def _keep(self, batch: Batch, lines: Lines) -> None:
        """Keep the lines of a written batch, if there aren't many yet."""
        if sum(map(len, self._kept.values()), len(lines)) <= MAX_KEPT:
            self._kept[batch.number] = lines
        self._written += batch.size
        if self._written >= batches.AT_ONCE:
            self._written = 0
            self.has_much.set()

    def _lose(self, count: int) -> None:
        self._count_lost(count)
        self._lost += count
        if self._clock.utc >= self._quiet_until:
            log.warning("page_views_lost", count=self._lost)
            self._lost, self._quiet_until = 0, self._clock.utc + QUIET_SECONDS


def in_pieces(texts: list[str]) -> list[list[str]]:
    """Return the texts of the lines for one session and second: up to MAX_RUN in each."""
    if len(texts) <= MAX_RUN:
        return [texts]
    return [texts[first : first + MAX_RUN] for first in range(0, len(texts), MAX_RUN)]
