"""One line for each request, as JSON, collected and written a few times a second.

Each line has the request's id, and the id of the account that asked ("" for nobody): they lead to the audit log and
to the application's own log. Of a request that could not be read it says where it came from and what was wrong.
Everything that a client chose goes through the JSON encoder, which escapes line breaks and control characters: no
request can write a line of its own or command a terminal. The query is left out: links carry secrets there. So do our
own mailed links, in the path: of these the log says which kind they are, and not which one.
"""

from __future__ import annotations

import json
import os
import time
from time import perf_counter_ns

from gateway.observe.served import Served, Unread
from gateway.wire.deadlines import NEVER, Deadlines

FLUSH_LINES = 512
FLUSH_SECONDS = 0.5
encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


HIDDEN = "…"


class AccessLog:
    """`descriptor` is where lines go; below the paths `secret_below` (each ends in a slash) everything is secret."""

    def __init__(self, descriptor: int, deadlines: Deadlines, secret_below: tuple[str, ...] = ()) -> None:
        self._descriptor = descriptor
        self._secret_below = secret_below
        self._deadlines = deadlines
        self._lines: list[str] = []
        self._second = (0, "")
        self.deadline = NEVER
        deadlines.watch(self)

    def record(self, request: Served | Unread, status: int, sent: int) -> None:
        """Note the request that ends; it is written within half a second or so."""
        at = self._deadlines.utc
        if at != self._second[0]:
            self._second = at, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        if isinstance(request, Unread):
            what = f'"request_id":"{request.request_id}","peer":{encode(request.peer)},"error":"{request.error}"'
        else:
            inbound = request.inbound
            path = inbound.path
            if path.startswith(self._secret_below):
                path = hide(path, self._secret_below)
            what = (
                f'"request_id":"{inbound.request_id}","method":"{inbound.method}","path":{encode(path)}'
                f',"address":"{inbound.address}","account":"{request.account}"'
            )
        milliseconds = (perf_counter_ns() - request.started) / 1e6 if request.started else 0.0
        self._lines.append(
            f'{{"at":"{self._second[1]}","event":"request",{what}'
            f',"status":{status},"bytes":{sent},"ms":{milliseconds:.1f}}}\n'
        )
        if len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif self.deadline is NEVER:
            self.deadline = self._deadlines.now + FLUSH_SECONDS

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


def hide(path: str, secret_below: tuple[str, ...]) -> str:
    """Return `path` with what is secret in it left out."""
    return next(parent for parent in secret_below if path.startswith(parent)) + HIDDEN
