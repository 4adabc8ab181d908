"""Verifies the chain from its first row to its last, and reports the first row that is wrong.

The chain is read in pieces, in the order of the numbers, so memory stays flat and writers are not blocked. If old rows
are removed meanwhile, the anchor moves and verification continues from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.audit import marks, rows
from gateway.audit.chain import Head, Row, is_committed, link
from gateway.audit.marks import Kind, Mark, Signer
from gateway.model.event import Event
from gateway.store import Transaction

PIECE = 2_000  # rows read at once


class Wrong(Enum):
    """What can be wrong with a row, in words."""

    CHANGED = "was changed"
    REMOVED = "was removed"
    MOVED = "was moved"
    CUT = "is missing, and all after it: the end of the log was cut off"
    ADDED = "was added by somebody else"
    REWRITTEN = "is not the row that a checkpoint saw"
    FORGED = "is named by a checkpoint or an anchor that none of our keys signed"
    ERASED = "was erased, and no erasure tells of it"


@dataclass(frozen=True, slots=True)
class Broken:
    """The first bad row: its `number`; `more` adds what else is known."""

    number: int
    wrong: Wrong
    more: str = ""

    def __str__(self) -> str:
        return f"row {self.number} {self.wrong.value}{self.more and f' ({self.more})'}"


@dataclass(frozen=True, slots=True)
class Whole:
    """The chain is intact from the row after `start` to `end`. `erased` is the number of people whose fields were
    emptied.
    """

    start: int
    end: Head
    rows: int
    erased: int
    checkpoints: int


class Readable(Protocol):
    """A store, or what a transaction has written and not committed yet."""

    def reading(self) -> AbstractAsyncContextManager[Transaction]: ...


class Verifier:
    """Verifies the chain against the stored marks and `kept`, the checkpoints that were kept elsewhere.

    `progress` is called with the number of rows read so far and the number of all rows.
    """

    def __init__(
        self,
        store: Readable,
        signer: Signer,
        kept: Iterable[Mark] = (),
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self._store = store
        self._signer = signer
        self._kept = list(kept)
        self._progress = progress
        self._expected: dict[int, bytes] = {}  # by number: the hash that a checkpoint has for it
        self._last = Head()
        self._rows = 0
        self._erased: list[int] = []  # the first of them, because the summary names it
        self._erased_count = 0
        self._told_count = 0

    async def run(self) -> Whole | Broken:
        """Verify the whole chain. Raises StoreUnavailable."""
        async with self._store.reading() as tx:
            given = [*await marks.list_all(tx), *self._kept]
        forged = next((mark for mark in given if not self._signer.is_genuine(mark)), None)
        if forged is not None:
            return Broken(forged.number, Wrong.FORGED)
        await self._start()
        start = self._last.number
        for mark in given:
            if self._expected.setdefault(mark.number, mark.hash) != mark.hash:
                return Broken(mark.number, Wrong.REWRITTEN, "two checkpoints differ")
        if self._expected.get(start, self._last.hash) != self._last.hash:
            return Broken(start, Wrong.REWRITTEN)
        while True:
            async with self._store.reading() as tx:
                piece, end = await rows.after(tx, self._last.number, PIECE), await rows.read_head(tx)
            if not piece:
                return self._judge_end(start, end)
            for row in piece:
                broken = await self._look(row)
                if broken is not None:
                    return broken
            self._progress(self._rows, end.number - start)

    async def _start(self) -> None:
        """Start after the rows that were removed because of their age."""
        async with self._store.reading() as tx:
            anchor = await marks.latest(tx, Kind.ANCHOR)
        if anchor is not None and anchor.number > self._last.number and self._signer.is_genuine(anchor):
            self._last = anchor.head

    async def _look(self, row: Row) -> Broken | None:
        """Return what is wrong with the next row, or None."""
        if row.id != self._last.number + 1:
            await self._start()
            if row.id <= self._last.number:
                return None  # removed since it was read
        number = self._last.number + 1
        if row.id != number:
            return Broken(number, Wrong.REMOVED, "" if row.id == number + 1 else f"and all up to {row.id - 1}")
        if link(self._last.hash, row) != row.hash:
            return await self._judge_changed(row)
        if not is_committed(row):
            return Broken(row.id, Wrong.CHANGED)
        if self._expected.get(row.id, row.hash) != row.hash:
            return Broken(row.id, Wrong.REWRITTEN)
        self._count(row)
        self._last = Head(row.id, row.hash)
        return None

    def _count(self, row: Row) -> None:
        self._rows += 1
        erased = row.is_erased + row.is_actor_erased
        if erased and not self._erased_count:
            self._erased.append(row.id)
        self._erased_count += erased
        if row.event == Event.ACCOUNT_ERASED.value:
            self._told_count += int(rows.details_of(row).get("rows", 0))

    async def _judge_changed(self, row: Row) -> Broken:
        """Tell a moved row from a changed one: search the rest of the chain, by hash, for the row that belongs here."""
        at = self._last.number
        while True:
            async with self._store.reading() as tx:
                piece = await rows.after(tx, at, PIECE)
            if not piece:
                return Broken(row.id, Wrong.CHANGED)
            for other in piece:
                if other.id != row.id and link(self._last.hash, other, row.id) in (row.hash, other.hash):
                    return Broken(row.id, Wrong.MOVED, f"it stands as row {other.id}")
            at = piece[-1].id

    def _judge_end(self, start: int, end: Head) -> Whole | Broken:
        last = self._last
        if end.number > last.number or max(self._expected, default=0) > last.number:
            return Broken(last.number + 1, Wrong.CUT)
        if end.number < last.number:
            return Broken(end.number + 1, Wrong.ADDED)
        if end.hash != last.hash:
            return Broken(last.number, Wrong.REWRITTEN)
        if self._erased_count > self._told_count:
            told = f"{self._erased_count} erased, {self._told_count} told of"
            return Broken(self._erased[0], Wrong.ERASED, told)
        return Whole(start, last, self._rows, self._erased_count, len(self._expected))
