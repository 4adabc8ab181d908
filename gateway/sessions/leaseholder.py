"""A worker's lease on PostgreSQL: joins, renews in the background, forgets what has changed (see store/lease.py).

Whoever takes a right away sends NOTIFY after the commit, and a listening worker renews at once. Without it, a worker
learns of the change at its next renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from gateway import __version__
from gateway.observe.logs import get_logger
from gateway.sessions.memory import Memory
from gateway.store.lease import RENEW_SECONDS, TERMS, Lease, monotonic
from gateway.store.location import PostgreSQL
from gateway.store.nodes import ANSWER_SECONDS, CHANNEL, FORGET, JOIN, LEAVE, LOOK, RENEW
from gateway.store.revision import MAX_CHANGES, Applied, changes_after
from gateway.store.unavailable import StoreUnavailable, broken_store

if TYPE_CHECKING:
    from gateway.store.postgresql import Connection

log = get_logger("lease")

GONE_SECONDS = 60.0
LOOK_SECONDS = 10.0  # between two looks for nodes that are gone
LISTEN_AGAIN_SECONDS = 1.0


class Trouble:
    """Logs once that something fails, and once that it works again."""

    def __init__(self, begun: str, ended: str) -> None:
        self._begun = begun
        self._ended = ended
        self._is_on = False

    def begin(self, reason: str) -> None:
        if not self._is_on:
            log.warning(self._begun, reason=reason)
        self._is_on = True

    def end(self) -> None:
        if self._is_on:
            log.info(self._ended)
        self._is_on = False


class Leaseholder:
    """`epoch` is another object after each change to the memory, and None while the worker has not joined: what was
    read from the database under one epoch may be kept in memory under the same one only. `listens_at` is where to
    listen for notifications if not at `location`, which may be a pooler.
    """

    def __init__(self, location: PostgreSQL, memory: Memory, listens_at: PostgreSQL | None = None) -> None:
        self._location = location
        self._listens_at = listens_at
        self._memory = memory
        self._id = ""
        self._applied = Applied(0, "")
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._renewing = Trouble("lease_not_renewed", "lease_renewed_again")
        self._listening = Trouble("notifications_not_heard", "notifications_heard_again")
        self._rows: dict[str, tuple[str, float]] = {}  # the renewal of each node's row, and since when it is the same
        self._looked_at = self.renewed_at = monotonic()
        self.lease = Lease()
        self.epoch: object | None = None

    async def start(self) -> None:
        """Join, or try to: without the database, this goes on in the background."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._repeat(self._hold, RENEW_SECONDS, self._renewing)))
        if self._listens_at is not None:
            self._tasks.append(loop.create_task(self._repeat(self._listen, LISTEN_AGAIN_SECONDS, self._listening)))
        await self._tried.wait()

    def clear(self) -> None:
        """Forget everything, though nothing in the store has changed."""
        self._memory.clear()
        if self.epoch is not None:
            self.epoch = object()

    async def stop(self) -> None:
        """End the lease, and delete the node's row."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a connection that was cut off is closed in the loop's next turn
        node = self._id
        self._forget_all()
        if node:
            with contextlib.suppress(StoreUnavailable):
                async with connected(self._location) as connection, asyncio.timeout(ANSWER_SECONDS):
                    await connection.ask(LEAVE, node)

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause: float, trouble: Trouble) -> None:
        """Do `work` again and again, though the database is away."""
        while True:
            try:
                await work()
            except StoreUnavailable as error:
                trouble.begin(str(error))
            except Exception:
                log.exception("lease_failed")
            self._tried.set()
            await asyncio.sleep(pause)

    async def _hold(self) -> None:
        async with connected(self._location) as connection:
            if self._listens_at is None and not connection.is_pooled:
                await connection.add_listener(CHANNEL, self._renew_soon)
            while True:
                async with asyncio.timeout(ANSWER_SECONDS):
                    if not self._id:
                        await self._join(connection)
                    await self._renew(connection)
                    await self._forget_gone(connection)
                self._tried.set()
                self._renewing.end()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RENEW_SECONDS):
                        await self._wake.wait()

    async def _listen(self) -> None:
        """Wait for notifications on a connection of their own, until it is lost."""
        assert self._listens_at is not None
        async with connected(self._listens_at) as connection:
            is_lost = asyncio.Event()
            connection.add_termination_listener(lambda connection: is_lost.set())
            await connection.add_listener(CHANNEL, self._renew_soon)
            self._listening.end()
            await is_lost.wait()

    def _renew_soon(self, *notification: object) -> None:
        self._wake.set()

    async def _join(self, connection: Connection) -> None:
        node = uuid4().hex
        latest = await connection.ask(JOIN, node, socket.gethostname(), os.getpid(), __version__)
        if not latest:
            raise StoreUnavailable("the table “revision” is empty")
        self._memory.clear()
        self._id, self._applied = node, Applied(*latest[0])
        self.lease, self.epoch = Lease(self._applied.number), object()

    async def _renew(self, connection: Connection) -> None:
        self._wake.clear()
        sent_at = monotonic()
        rows = await connection.ask(RENEW, self._id, *self._applied, MAX_CHANGES)
        changed = changes_after(self._applied, rows)
        if changed is None:
            former = self._id
            self._forget_all()
            self._wake.set()
            await connection.ask(LEAVE, former)  # so that nobody waits for it
            return
        for change in changed:
            self._memory.forget(change)
            self._applied, self.epoch = Applied(change.number, change.stamp), object()
            self._wake.set()  # so that the next renewal, which says that this is forgotten, is not late
        self.lease = self.lease.renew(sent_at, self._applied.number, TERMS)
        self.renewed_at = sent_at

    def _forget_all(self) -> None:
        """End the lease; the worker has to join again."""
        self.lease, self.epoch, self._id = self.lease.end(), None, ""
        self._memory.clear()

    async def _forget_gone(self, connection: Connection) -> None:
        """Delete the rows of nodes that have not renewed for a minute. One that is alive after all joins again."""
        now = monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        found = dict(await connection.ask(LOOK))
        known = self._rows
        self._rows = {
            node: known[node] if node in known and known[node][0] == renewal else (renewal, now)
            for node, renewal in found.items()
        }
        for node, (renewal, since) in self._rows.items():
            if now - since >= GONE_SECONDS:
                await connection.ask(FORGET, node, renewal)


@contextlib.asynccontextmanager
async def connected(location: PostgreSQL) -> AsyncIterator[Connection]:
    """Yield a connection. Raises StoreUnavailable, also for what goes wrong on it."""
    from gateway.store import postgresql  # not loaded on SQLite

    with broken_store():
        connection = await postgresql.connect(location)
        try:
            yield connection
            await connection.close(timeout=ANSWER_SECONDS)
        except BaseException:
            connection.terminate()
            raise
