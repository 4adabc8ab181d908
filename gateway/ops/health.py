"""Whether this gateway can serve: what /ready says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from gateway.mail import outbox
from gateway.store import Store, StoreUnavailable
from gateway.store.version import NEWEST, read_version

UPSTREAM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """`store`, `schema` and `upstream` are "ok" or what is wrong; ages are in seconds."""

    is_ready: bool
    store: str
    schema: str
    has_mail_server: bool
    mails_waiting: int
    oldest_mail_seconds: int
    upstream: str

    def describe(self) -> dict[str, object]:
        return {
            "ready": self.is_ready,
            "store": self.store,
            "schema": self.schema,
            "mail": "ok" if self.has_mail_server else "there is no mail server (mail.host)",
            "outbox": {"waiting": self.mails_waiting, "oldest_seconds": self.oldest_mail_seconds},
            "upstream": self.upstream,
        }


class HealthCheck:
    """`upstream` is the address of the application, `outbox_seconds` as in the settings, 0 for no limit."""

    def __init__(self, store: Store, upstream: str, outbox_seconds: int, *, has_mail_server: bool) -> None:
        self._store = store
        self._upstream = upstream
        self._outbox_seconds = outbox_seconds if has_mail_server else 0
        self._has_mail_server = has_mail_server

    async def look(self) -> Health:
        """The application is looked at and does not count: without it, people are told so by us."""
        upstream = await self._look_at_upstream()
        try:
            async with self._store.reading() as tx:
                version = await read_version(tx)
                mails = await outbox.status(tx, int(time.time()))
        except StoreUnavailable as error:
            return Health(False, str(error), "unknown", self._has_mail_server, 0, 0, upstream)
        schema = "ok" if version == NEWEST else f"the store has {version}, this version needs {NEWEST}"
        oldest = mails.oldest_seconds or 0
        is_late = 0 < self._outbox_seconds < oldest
        return Health(
            schema == "ok" and not is_late, "ok", schema, self._has_mail_server, mails.waiting, oldest, upstream
        )

    async def _look_at_upstream(self) -> str:
        try:
            async with asyncio.timeout(UPSTREAM_SECONDS):
                await reach(self._upstream)
        except (OSError, TimeoutError) as error:
            return f"{self._upstream}: {error or 'no connection within a second'}"
        return "ok"


async def reach(address: str) -> None:
    """Connect to `host:port`, `[v6]:port` or `unix:/path` and close again. Raises OSError."""
    if address.startswith("unix:"):
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
