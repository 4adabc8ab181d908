"""The access log: one JSON line for each request, buffered and written a few times a second.

Each line has the request id and the id of the account ("" if anonymous), which lead to the audit log and to the
application's own log. The line of an unparseable request has the client's address and the error. Everything that a
client chose is encoded as JSON, which escapes line breaks and control characters: a request can't forge a line or send
control sequences to a terminal. The query is left out, because links carry secrets there. Our own mailed links carry
them in the path: of these the log has the kind of link, and not the secret.
"""

from __future__ import annotations

import json
import os
from time import perf_counter_ns

from gateway.model.clock import write_utc
from gateway.observe.served import Served, Unread
from gateway.wire.deadlines import NEVER, Deadlines

FLUSH_LINES = 512
FLUSH_SECONDS = 0.5
encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


HIDDEN = "…"


class AccessLog:
    """Writes the log to `descriptor`. Everything below the paths `secret_below` is secret; each ends in a slash."""

    def __init__(self, descriptor: int, deadlines: Deadlines, secret_below: tuple[str, ...] = ()) -> None:
        self._descriptor = descriptor
        self._secret_below = secret_below
        self._deadlines = deadlines
        self._lines: list[str] = []
        self._second = (0, "")
        self.deadline = NEVER
        deadlines.watch(self)

    def record(self, request: Served | Unread, status: int, sent: int) -> None:
        """Record a finished request; it is written within about half a second."""
        at = self._deadlines.utc
        if at != self._second[0]:
            self._second = at, write_utc(at)
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
        elif self.deadline == NEVER:
            self.deadline = self._deadlines.now + FLUSH_SECONDS

    def expire(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Write the buffered lines. If the log can't be written, lines are lost, never requests."""
        lines, self._lines = self._lines, []
        self.deadline = NEVER
        if lines:
            try:
                os.write(self._descriptor, "".join(lines).encode("ascii"))
            except OSError:
                return


def hide(path: str, secret_below: tuple[str, ...]) -> str:
    """Return `path` with its secret part left out."""
    return next(parent for parent in secret_below if path.startswith(parent)) + HIDDEN
