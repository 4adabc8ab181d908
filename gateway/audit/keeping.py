"""Maintenance of the audit log: checkpoints, retention and erasure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from gateway.audit import counting, marks, rows
from gateway.audit.chain import Head, is_whole
from gateway.audit.marks import Kind, Mark, Signer
from gateway.model.clock import DAY, MINUTE
from gateway.model.entry import ACTOR, Entry, Outcome
from gateway.model.event import Event
from gateway.observe.logs import get_logger
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest

log = get_logger("audit")

CHECKPOINT_SECONDS = 3_600
REMOVED_AT_ONCE = 1_000  # rows: writers wait while these are removed


@dataclass(frozen=True, slots=True)
class Erased:
    """The numbers of rows in which the person was the subject, and in which the person was the actor."""

    about: int
    by: int


class PostsMail(Protocol):
    """The outbox: composes a mail and stores it in the transaction."""

    async def post(
        self,
        tx: Transaction,
        template: str,
        recipient: str,
        *,
        account: str | None,
        now: int,
        **context: str | int,
    ) -> str: ...


class Keeper:
    """Maintains the audit log. Checkpoints are also sent to `checkpoint_file` and `checkpoint_mail`, unless "".
    `keep_days` 0 keeps rows for ever.
    """

    def __init__(
        self,
        *,
        store: Store,
        signer: Signer,
        outbox: PostsMail,
        checkpoint_file: str,
        checkpoint_mail: str,
        keep_days: int,
    ) -> None:
        self._store = store
        self._signer = signer
        self._outbox = outbox
        self._file = checkpoint_file
        self._mail = checkpoint_mail
        self._keep_seconds = keep_days * DAY

    async def checkpoint(self, now: int, *, at_once: bool = False) -> Mark | None:
        """Sign the chain's head, at most once an hour; returns None if it is not due or there is nothing new.

        Of workers that do this at once, one signs. Raises OSError if the file can't be written; by then the checkpoint
        is in the store and in the mail.
        """
        async with self._store.reading() as tx:
            if not await self._is_due(tx, await rows.read_head(tx), now, at_once):
                return None
        async with self._store.transaction() as tx:
            head = await rows.lock_head(tx)
            if not await self._is_due(tx, head, now, at_once):
                return None
            mark = self._signer.sign(Kind.CHECKPOINT, head, now)
            await marks.add(tx, mark)
            if self._mail:
                await self._outbox.post(
                    tx, "audit_checkpoint", self._mail, account=None, now=now, number=mark.number, line=mark.line()
                )
        if self._file:
            append_line(self._file, mark.line())
        return mark

    async def _is_due(self, tx: Transaction, head: Head, now: int, at_once: bool) -> bool:
        last = await marks.latest(tx, Kind.CHECKPOINT)
        if last is None:
            return head.number > 0
        return head.number > last.number and (at_once or now >= last.at + CHECKPOINT_SECONDS)

    async def settle(self, now: int, *, at_once: bool = False) -> int:
        """Write rows for the counts of minutes that are over (see audit.counting); returns the number of rows.

        `at_once` includes the current minute.
        """
        settled, before = 0, now + 1 if at_once else now // MINUTE * MINUTE
        while True:
            async with self._store.reading() as tx:
                if not await counting.has_settled(tx, before, now):
                    return settled
            async with self._store.transaction() as tx:
                entries = await counting.take_settled(tx, before, now)
                if entries is None:
                    return settled
                for entry in entries:
                    await rows.record(tx, entry)
                settled += len(entries)

    async def trim(self, now: int) -> int:
        """Delete rows past their retention and put a signed anchor in their place. Returns how many."""
        if not self._keep_seconds:
            return 0
        removed = 0
        while True:
            more = await then_rest(self._trim_some(now))
            removed += more
            if more < REMOVED_AT_ONCE:
                return removed

    async def _trim_some(self, now: int) -> int:
        before = now - self._keep_seconds
        async with self._store.reading() as tx:
            oldest = await rows.oldest(tx)
            if oldest is None or oldest.at >= before:
                return 0
        async with self._store.transaction() as tx:
            head = await rows.lock_head(tx)
            first_kept = await rows.first_since(tx, before) or head.number + 1
            oldest = await rows.oldest(tx)
            if oldest is None or oldest.id >= first_kept:
                return 0
            last = await rows.find(tx, min(first_kept, oldest.id + REMOVED_AT_ONCE) - 1)
            if last is None:  # a gap: rows were removed by other means, which an anchor of ours must not cover up
                return 0
            if not is_whole(
                await self._before_oldest(tx), await rows.after(tx, oldest.id - 1, last.id + 1 - oldest.id)
            ):
                log.error("audit_log_broken", advice="nothing was removed; `otium-gateway audit verify` names the row")
                return 0
            removed = await rows.remove_through(tx, last.id)
            await marks.add(tx, self._signer.sign(Kind.ANCHOR, Head(last.id, last.hash), now))
            await marks.forget_before(tx, last.id)
            details = {"rows": removed, "up_to": last.id}
            await rows.record(tx, Entry(Event.AUDIT_TRIMMED, Outcome.SUCCESS, now, "", details=details))
            return removed

    async def _before_oldest(self, tx: Transaction) -> Head:
        """Return the head that the oldest row must follow, so that an anchor never covers up rows changed meanwhile."""
        anchor = await marks.latest(tx, Kind.ANCHOR)
        return anchor.head if anchor is not None and self._signer.is_genuine(anchor) else Head()


async def erase(tx: Transaction, identifier: str, account: str | None, by: str, now: int) -> Erased:
    """Empty a person's personal data in the whole log, of which all is settled, and record the erasure."""
    await rows.lock_head(tx)  # first, as in `trim`, which locks the same rows
    erased = Erased(await rows.erase_who(tx, identifier, account), await rows.erase_actor(tx, identifier))
    details: dict[str, str | int | bool] = {ACTOR: by, "rows": erased.about + erased.by}
    entry = Entry(Event.ACCOUNT_ERASED, Outcome.SUCCESS, now, "", account=account, request_id="cli", details=details)
    await rows.record(tx, entry)
    return erased


def append_line(path: str, line: str) -> None:
    """Append a line to a file that only its owner may read, and sync it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
