"""One line for each request, as JSON, collected and written a few times a second.

Everything that a client chose goes through the JSON encoder, which escapes line breaks and control characters:
no request can write a line of its own or command a terminal. The query is left out, since links carry secrets
there, and so are paths below those pages of ours whose address is the secret.
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
    """`descriptor` is where lines go; None switches the log off. `secret_parents` hide the segment below them."""

    def __init__(self, descriptor: int | None, deadlines: Deadlines, secret_parents: Iterable[str] = ()) -> None:
        self._descriptor = descriptor
        self._deadlines = deadlines
        self._secret_parents = frozenset(secret_parents)
        self._lines: list[str] = []
        self._second = (0, "")
        self.deadline = NEVER
        deadlines.watch(self)

    def record(self, served: Served) -> None:
        """Note one served request; it is written within half a second or so."""
        if self._descriptor is None:
            return
        inbound = served.inbound
        at = self._deadlines.utc
        if at != self._second[0]:
            self._second = at, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        if inbound is None:
            what = f'"peer":{encode(served.peer)}'
        else:
            what = (
                f'"request_id":"{inbound.request_id}","method":"{inbound.method}","path":{encode(self._path(inbound.path))}'
                f',"address":"{inbound.address}"'
            )
        self._lines.append(
            f'{{"at":"{self._second[1]}","event":"request",{what}'
            f',"status":{served.status},"bytes":{served.sent},"ms":{served.seconds * 1000:.1f}}}\n'
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
        if self._descriptor is not None and lines:
            try:
                os.write(self._descriptor, "".join(lines).encode("ascii"))
            except OSError:
                return

    def _path(self, path: str) -> str:
        parent = path.rpartition("/")[0]
        return f"{parent}/…" if parent in self._secret_parents else path
