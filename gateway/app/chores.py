"""A worker's background jobs. A job that fails is logged, and runs again at its next time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.accounts import rows as account_rows
from gateway.app.retention import Purge
from gateway.app.services import Services
from gateway.browsers.learning import CookieLearner
from gateway.observe.logs import get_logger
from gateway.page_views.collector import PageViews
from gateway.sessions.lookup import Lookup
from gateway.settings.record import Access, Settings
from gateway.store import StoreUnavailable

log = get_logger("app")

FLUSH_SECONDS = 60
PURGE_SECONDS = 3_600
HASHES_SECONDS = 300.0
SWEEP_SECONDS = 1.0
MAIL_SECONDS = 2.0  # for mails that another process posted
NOTES_SECONDS = 5.0
IMPORT_SECONDS = 10.0  # for imports whose worker ended; less than importer.LEASE_SECONDS
PAGE_VIEWS_SECONDS = 0.5
MOVE_SECONDS = 60.0  # page views; less than batches.ORPHANED_SECONDS
WATCH_SECONDS = 20.0
CANCEL_AGAIN_SECONDS = 0.5
# A job starts so long after it was woken: if a mail were sent during the response, the response's time would reveal
# whether an email has an account.
SOON_SECONDS = 0.1


class Chores:
    """`end_stale` re-authorises open connections (dispatch.reauthorisation)."""

    def __init__(
        self,
        services: Services,
        settings: Settings,
        lookup: Lookup,
        learner: CookieLearner,
        page_views: PageViews,
        end_stale: Callable[[], Awaitable[None]],
    ) -> None:
        self._services = services
        self._settings = settings
        self._clock = services.clock
        self._lookup = lookup
        self._learner = learner
        self._page_views = page_views
        self._end_stale = end_stale
        self._email_changes = services.email_changes
        self._purge = Purge(services.store, settings)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        store, importer, clock = self._services.store, self._services.importer, self._clock
        self._begin(SWEEP_SECONDS, self._end_stale)
        self._begin(flush_seconds_of(self._settings), lambda: self._lookup.flush(store))
        self._begin(FLUSH_SECONDS, self._learner.flush)
        self._begin(NOTES_SECONDS, self._services.token_uses.flush)
        self._begin(NOTES_SECONDS, self._services.network_refusals.flush)
        self._begin(PAGE_VIEWS_SECONDS, self._page_views.flush)
        at_some_time = MOVE_SECONDS * random.uniform(0.5, 1.0)  # not all workers at once  # noqa: S311
        self._begin(at_some_time, self._page_views.move, woken_by=self._page_views.has_much)
        self._begin(IMPORT_SECONDS, lambda: importer.run_due(clock), woken_by=importer.started)
        self._begin(WATCH_SECONDS, self._watch)
        self._begin(WATCH_SECONDS, lambda: self._services.health_watch.watch(clock()))
        self._begin(WATCH_SECONDS, lambda: self._email_changes.run_due(clock()))
        self._begin(PURGE_SECONDS, self._clean_up)
        self._begin(PURGE_SECONDS, lambda: self._services.expiry_warnings.run_due(clock()))
        if self._settings.sso.on:
            self._begin(PURGE_SECONDS, lambda: self._services.provisioning_warnings.run_due(clock()))
        if self._settings.tokens.on:
            self._begin(PURGE_SECONDS, lambda: self._services.token_warnings.run_due(clock()))
        self._begin(HASHES_SECONDS, self._update_hash_cost, at_once=True)
        if self._settings.mail.is_on:
            posted = self._services.outbox.posted
            self._begin(MAIL_SECONDS, lambda: self._services.sender.run_due(clock), woken_by=posted)

    def adopt(self, access: Access) -> None:
        self._services.importer.adopt(access.owners)
        self._services.token_warnings.adopt(access.owners)
        self._email_changes = replace(self._email_changes, owners=access.owners)

    async def stop(self) -> None:
        """Cancel the jobs, and write their in-memory state to the store.

        A job gives back what it was writing when it ends, so it is waited for. It also holds a connection until then.
        """
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Again if need be: wait_for of Python 3.11, in aiosmtplib, loses a cancellation that comes with its result.
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
        try:
            await self._lookup.flush(self._services.store)
            await self._services.keeper.settle(self._clock(), at_once=True)
            await self._learner.flush()
            await self._services.token_uses.flush()
            await self._services.network_refusals.flush()
            await self._page_views.finish()
        except StoreUnavailable:
            return

    async def _watch(self) -> None:
        """Write aggregated audit events, alert owners to attacks, sign checkpoints."""
        await self._services.keeper.settle(self._clock())
        await self._services.attacks.watch(self._clock())
        try:
            await self._services.keeper.checkpoint(self._clock())
        except OSError as error:
            log.error("checkpoint_not_in_its_file", reason=error.strerror)

    async def _clean_up(self) -> None:
        """Delete expired rows, and audit rows past their retention."""
        await self._purge.run(self._clock())
        await self._services.keeper.trim(self._clock())

    async def _update_hash_cost(self) -> None:
        """Make every password comparison as expensive as that of the most expensive stored hash."""
        async with self._services.store.reading() as tx:
            methods = await account_rows.list_hash_methods(tx)
        await self._services.hasher.expect(methods)

    def _begin(
        self,
        seconds: float,
        chore: Callable[[], Awaitable[object]],
        *,
        at_once: bool = False,
        woken_by: asyncio.Event | None = None,
    ) -> None:
        self._tasks.append(
            asyncio.get_running_loop().create_task(every(seconds, chore, at_once=at_once, woken_by=woken_by))
        )


async def every(
    seconds: float, chore: Callable[[], Awaitable[object]], *, at_once: bool, woken_by: asyncio.Event | None = None
) -> None:
    """Run `chore` every so many `seconds`, and soon after `woken_by` is set."""
    while True:
        await wait(0 if at_once else seconds, woken_by)
        at_once = False
        try:
            await chore()
        except StoreUnavailable as error:
            log.warning("store_unavailable", reason=str(error))
        except Exception:
            log.exception("chore_failed")


async def wait(seconds: float, woken_by: asyncio.Event | None) -> None:
    if woken_by is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken_by.wait()
            await asyncio.sleep(SOON_SECONDS)
    woken_by.clear()


def flush_seconds_of(settings: Settings) -> float:
    """Return how often session use is shared with other workers: several times within the shortest idle limit."""
    shortest = min(settings.sessions.members.idle_seconds, settings.sessions.owners.idle_seconds)
    return min(FLUSH_SECONDS, max(1.0, shortest / 4))
