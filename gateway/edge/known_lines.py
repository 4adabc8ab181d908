"""The field lines that a worker has seen, and what each means.

Most lines repeat byte for byte, so their meaning is remembered in bounded memos. What a line means depends on itself
alone, and llhttp accepts lines that don't frame the message on their own or not at all; it sees each when it is new.

A client can send lines that nobody else sends, until those of others are forgotten; that costs the others some
microseconds. A Cookie line, which costs most to read, is remembered only if its session is in the worker's memory, so
strangers can't do this to signed-in people. A person's first request is read before its session is found; its line
waits. So it is with the line of an API token.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.edge.field_lines import CONNECTION, COOKIE, FRAMING, ID, KEEP, REQUEST_ID, TOKEN, FieldRules, Line
from gateway.model.memo import Memo
from gateway.wire.http1 import following
from gateway.wire.llhttp import accepts_request

# The line that a proxy writes anew for each request, in a form that can't be malformed.
NEW_ID = re.compile(rb"X-Request-Id: (%b)" % REQUEST_ID.pattern)
ANY_REQUEST = b"GET / HTTP/1.1"

MEMO_BYTES = 1_000_000
PERSON_BYTES = 1_500  # of Cookie lines for each session in memory
SENDER_BYTES = 400  # of an X-Forwarded-For line for each of them
MAX_BYTES = 8_192  # of one line
MAX_WAITING = 32  # Cookie lines; a session is found in the time in which so many come
ENTRY_BYTES = 300  # of an entry besides the text
WORD_BYTES = 100  # of a name as an object of its own

New = list[tuple[bytes, Line]]


class KnownLines:
    """`passing` are the lines of KEEP, `framing` those of FRAMING, `cookies` those of COOKIE and TOKEN, and `others`
    the rest.

    `is_in_memory` says whether the session of a cookie (by its SHA-256) is in memory, which is for `cached_sessions`.
    """

    __slots__ = ("_is_in_memory", "_rules", "_waiting", "cookies", "framing", "others", "passing")

    def __init__(self, rules: FieldRules, is_in_memory: Callable[[bytes], bool], cached_sessions: int) -> None:
        self._rules = rules
        self._is_in_memory = is_in_memory
        self._waiting: list[tuple[bytes, Line]] = []
        self.passing = Memo[bytes, Line](MEMO_BYTES, weigh)
        self.framing = Memo[bytes, Line](MEMO_BYTES, weigh)
        self.others = Memo[bytes, Line](MEMO_BYTES + SENDER_BYTES * cached_sessions, weigh)
        self.cookies = Memo[bytes, Line](PERSON_BYTES * cached_sessions, weigh)

    def judge(self, line: bytes, new: New) -> Line:
        """Return what a line means that is not among the latest. If it is not known at all, it is added to `new`."""
        new_id = NEW_ID.fullmatch(line)
        if new_id is not None:
            return ID, new_id[1].decode("ascii")
        for memo in (self.passing, self.framing, self.cookies, self.others):
            found = memo.recall(line)
            if found is not None:
                return found
        judgement = self._rules.judge(line)
        new.append((line, judgement))
        return judgement

    def accept(self, new: New) -> bool:
        """Return whether llhttp accepts these lines, and remember them if it does.

        Those of FRAMING are left out: llhttp sees them together, behind their request line.
        """
        shown = [line for line, (kind, _) in new if kind is not FRAMING]
        if shown and not accepts_request(ANY_REQUEST + following(shown)):
            return False
        for line, judgement in new:
            if len(line) <= MAX_BYTES:
                self._remember(line, judgement)
        return True

    def _remember(self, line: bytes, judgement: Line) -> None:
        kind, _ = judgement
        if kind is KEEP:
            self.passing.put(line, judgement)
        elif kind is FRAMING:
            self.framing.put(line, judgement)
        elif kind is not COOKIE and kind is not TOKEN:
            self.others.put(line, judgement)
        elif not self._remember_person(line, judgement) and key_of(judgement):
            if len(self._waiting) >= MAX_WAITING:
                for earlier in self._waiting:
                    self._remember_person(*earlier)
                self._waiting = []
            self._waiting.append((line, judgement))

    def _remember_person(self, line: bytes, judgement: Line) -> bool:
        """Remember a line whose session is in memory; return whether it is."""
        key = key_of(judgement)
        is_worth_it = key is not None and self._is_in_memory(key)
        if is_worth_it:
            self.cookies.put(line, judgement)
        return is_worth_it


def key_of(judgement: Line) -> bytes | None:
    """Return the key of the session that a line of COOKIE or TOKEN leads to."""
    kind, meaning = judgement
    key: bytes | None = meaning if kind is TOKEN else meaning.session_key
    return key


def weigh(line: bytes, judgement: Line) -> int:
    """Return about how many bytes of memory a line takes."""
    kind, meaning = judgement
    words = meaning[1] if kind is FRAMING and meaning[0] is CONNECTION else meaning.names if kind is COOKIE else ()
    return ENTRY_BYTES + 2 * len(line) + WORD_BYTES * len(words)
