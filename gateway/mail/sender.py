"""Sends the outbox's mails that are due. Any number of workers may do so at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.audit import rows as audit
from gateway.crypto.sealing import Sealer, Unopenable
from gateway.mail.outbox import (
    Claimed,
    MailState,
    claim,
    is_any_due,
    mark_failed,
    mark_sent,
    place_of,
    remove_pretended,
)
from gateway.mail.smtp import Mailer, MailUnsent
from gateway.model.clock import Clock
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.observe.logs import get_logger
from gateway.store import Store, StoreUnavailable, Transaction

log = get_logger("mail")
T = TypeVar("T")

AT_ONCE = 8  # mails: all that are claimed are sent at once, so that no lease runs out while its mail is queued
PAUSE_SECONDS = 0.1
SPARE_SECONDS = 60  # between the longest time that sending takes and the end of the lease
RECORD_SECONDS = 45  # of these, for a store that doesn't answer when a result is to be recorded
AGAIN_SECONDS = 1.0


class Sender:
    """Sends mails of `store` with `mailer`."""

    def __init__(self, store: Store, mailer: Mailer, sealer: Sealer) -> None:
        self._store = store
        self._mailer = mailer
        self._sealer = sealer
        self.lease_seconds = math.ceil(mailer.longest_seconds) + SPARE_SECONDS

    async def run_due(self, clock: Clock) -> None:
        """Send all mails that are due, as long as the server takes all. Raises StoreUnavailable.

        Between, others may write into SQLite, and a mail that is posted meanwhile isn't sent during the response to
        who asked for it: how long that takes would tell whether an email has an account.
        """
        while True:
            if await self.run_once(clock()) < AT_ONCE:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def run_once(self, now: int) -> int:
        """Send up to AT_ONCE mails that are due, and return how many were sent. Raises StoreUnavailable."""
        async with self._store.reading() as tx:  # nearly always none is, and SQLite has one writer
            if not await is_any_due(tx, now):
                return 0
        async with self._store.transaction() as tx:
            await remove_pretended(tx, now)
            claimed = await claim(tx, now, self.lease_seconds, AT_ONCE)
        # Each is marked as soon as its result is known; an error of one does not stop the others.
        results = await asyncio.gather(*(self._deliver(mail, now) for mail in claimed), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result is True for result in results)

    async def send_now(self, mail: Claimed, now: int, patience: float) -> MailState:
        """Send a mail that a person is waiting for, within `patience` seconds. If it fails, it is tried again later.

        Raises StoreUnavailable if the result can't be recorded in as many seconds.
        """
        try:
            async with asyncio.timeout(patience):
                await self._mailer.send(self._open(mail))
        except TimeoutError:
            return await self._fail(mail, "the mail server takes too long", is_permanent=False, now=now, wait=patience)
        except MailUnsent as trouble:
            return await self._fail(mail, str(trouble), is_permanent=trouble.is_permanent, now=now, wait=patience)
        return await self._succeed(mail, now, patience)

    async def _deliver(self, mail: Claimed, now: int) -> bool:
        """Send one mail and mark it. Returns whether it was sent."""
        if mail.is_too_old(now):
            await self._fail(mail, "its link has expired", is_permanent=True, now=now)
            return False
        try:
            await self._mailer.send(self._open(mail))
        except MailUnsent as trouble:
            await self._fail(mail, str(trouble), is_permanent=trouble.is_permanent, now=now)
            return False
        except Unopenable as trouble:
            await self._fail(mail, str(trouble), is_permanent=True, now=now)
            return False
        return await self._succeed(mail, now) is MailState.SENT

    async def _succeed(self, mail: Claimed, now: int, wait: float = RECORD_SECONDS) -> MailState:
        await self._record(mail, lambda tx: mark_sent(tx, mail, now), wait)
        log.info("mail_sent", mail=mail.id, template=mail.template, tries=mail.tries)
        return MailState.SENT

    async def _fail(
        self, mail: Claimed, reason: str, *, is_permanent: bool, now: int, wait: float = RECORD_SECONDS
    ) -> MailState:
        async def write(tx: Transaction) -> bool:
            is_abandoned = await mark_failed(tx, mail, reason, is_permanent=is_permanent, now=now)
            if is_abandoned:
                details = {"template": mail.template}
                await audit.record(
                    tx, Entry(Event.MAIL_ABANDONED, Outcome.FAILURE, now, mail.recipient, details=details)
                )
            return is_abandoned

        is_abandoned = await self._record(mail, write, wait)
        about = {"mail": mail.id, "template": mail.template, "tries": mail.tries, "reason": reason}
        if is_abandoned:
            log.error("mail_abandoned", **about)
            return MailState.ABANDONED
        log.warning("mail_not_sent", **about)
        return MailState.WAITING

    async def _record(self, mail: Claimed, write: Callable[[Transaction], Awaitable[T]], wait: float) -> T:
        """Record a result, also if the store is away for a moment: the mail would be sent again after its lease.

        Raises StoreUnavailable after `wait` seconds, before the lease ends.
        """
        until = time.monotonic() + wait
        while True:
            try:
                async with self._store.transaction() as tx:
                    return await write(tx)
            except StoreUnavailable as error:
                if time.monotonic() >= until:
                    raise
                log.warning("mail_result_waits", mail=mail.id, template=mail.template, reason=str(error))
            await asyncio.sleep(AGAIN_SECONDS)

    def _open(self, mail: Claimed) -> bytes:
        return self._sealer.open(mail.content, place_of(mail.id))
