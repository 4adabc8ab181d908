"""One line for each request, as JSON, collected and written a few times a second.

Each line has the request's id, and the id of the account that asked ("" for nobody): they lead to the audit log and
to the application's own log. Everything that a client chose goes through the JSON encoder, which escapes line breaks
and control characters: no request can write a line of its own or command a terminal. The query is left out, and what
follows the path of a page whose last segment is a token: mailed links carry secrets there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable

from gateway.deadlines import NEVER, Deadlines
from gateway.edge.connection import Served

FLUSH_LINES = 512
FLUSH_SECONDS = 0.5
encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class AccessLog:
    """`descriptor` is where lines go; below `secret_below` (paths up to their final slash) lie tokens."""

    def __init__(self, descriptor: int, deadlines: Deadlines, secret_below: Iterable[str] = ()) -> None:
        self._descriptor = descriptor
        self._secret_below = tuple(secret_below)
        self._deadlines = deadlines
        self._lines: list[str] = []
        self._second = (0, "")
        self.deadline = NEVER
        deadlines.watch(self)

    def record(self, served: Served) -> None:
        """Note one served request; it is written within half a second or so."""
        inbound = served.inbound
        at = self._deadlines.utc
        if at != self._second[0]:
            self._second = at, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        if inbound is None:
            what = f'"peer":{encode(served.peer)}'
        else:
            path = inbound.path
            if path.startswith(self._secret_below):
                path = self._without_token(path)
            what = (
                f'"request_id":"{inbound.request_id}","method":"{inbound.method}","path":{encode(path)}'
                f',"address":"{inbound.address}","account":"{served.account}"'
            )
        self._lines.append(
            f'{{"at":"{self._second[1]}","event":"request",{what}'
            f',"status":{served.status},"bytes":{served.sent},"ms":{served.seconds * 1000:.1f}}}\n'
        )
        if len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif self.deadline is NEVER:
            self.deadline = self._deadlines.now + FLUSH_SECONDS

    def _without_token(self, path: str) -> str:
        """Cut whatever follows, however a mail program mangled it."""
        return next(f"{above}…" for above in self._secret_below if path.startswith(above))

    def expire(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Write what was collected. A log that can't be written costs lines, never requests."""
        lines, self._lines = self._lines, []
        self.deadline = NEVER
        if lines:
            try:
                os.write(self._descriptor, "".join(lines).encode("ascii"))
            except OSError:
                return
