"""The readiness check, for /ready: store, schema, mail server and upstream."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.mail import outbox
from gateway.model.clock import Clock
from gateway.store import Store, StoreUnavailable, nodes
from gateway.store.location import SQLite, locate
from gateway.store.nodes import NodeState
from gateway.store.version import NEWEST, read_version

CONNECT_SECONDS = 1.0
LEAST_FREE_BYTES = 1_048_576  # on the disk of a SQLite store: a sign-in writes a few pages of 4 KiB
NO_MAIL_SERVER = "there is no mail server (mail.host)"


@dataclass(frozen=True, slots=True)
class Health:
    """`store`, `schema`, `mail` and `upstream` are "ok" or what is wrong; ages are in seconds."""

    is_ready: bool
    store: str
    schema: str
    mail: str
    upstream: str
    mails_waiting: int = 0
    oldest_mail_seconds: int = 0
    nodes: Sequence[NodeState] = ()

    def describe(self) -> dict[str, object]:
        return {
            "ready": self.is_ready,
            "store": self.store,
            "schema": self.schema,
            "mail": self.mail,
            "outbox": {"waiting": self.mails_waiting, "oldest_seconds": self.oldest_mail_seconds},
            "upstream": self.upstream,
            "nodes": [node.describe() for node in self.nodes],
        }


class HealthCheck:
    """`upstream` and `mail_server` are addresses as in `reach`; without a mail server, the latter is empty.

    `outbox_seconds` is how old a mail may get before this gateway counts as not ready, 0 for no limit.
    """

    def __init__(
        self, store: Store, store_url: str, upstream: str, mail_server: str, outbox_seconds: int, clock: Clock
    ) -> None:
        self._store = store
        self._location = locate(store_url)
        self._upstream = upstream
        self._mail_server = mail_server
        self._outbox_seconds = outbox_seconds if mail_server else 0
        self._clock = clock

    async def look(self) -> Health:
        """Check everything. Upstream and mail server don't affect readiness: without them, error pages still work."""
        upstream, mail = await asyncio.gather(try_reaching(self._upstream), self._check_mail())
        try:
            async with self._store.reading() as tx:
                version = await tx.run_sync(read_version)
                mails = await outbox.status(tx, self._clock())
                states = await nodes.list_states(tx)
        except StoreUnavailable as error:
            return Health(False, str(error), "unknown", mail, upstream)
        store = self._check_disk()
        is_usable = not version.is_too_old and not version.is_too_new
        schema = "ok" if is_usable else f"the store has {version.schema}, this version needs {NEWEST}"
        oldest = mails.oldest_seconds or 0
        is_late = 0 < self._outbox_seconds < oldest
        is_ready = store == schema == "ok" and not is_late
        return Health(is_ready, store, schema, mail, upstream, mails.waiting, oldest, states)

    async def _check_mail(self) -> str:
        return await try_reaching(self._mail_server) if self._mail_server else NO_MAIL_SERVER

    def _check_disk(self) -> str:
        """Return "ok", or that the disk is full. A full disk can still be read, but sign-ins must write."""
        if isinstance(self._location, SQLite) and is_full(self._location.path.parent):
            return f"the disk is full: {self._location.path.parent}; make room, for nobody can sign in"
        return "ok"


def is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < LEAST_FREE_BYTES


async def try_reaching(address: str) -> str:
    """Return "ok", or why there is no connection to `address`."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await reach(address)
    except (OSError, TimeoutError) as error:
        return f"{address}: {error or 'no connection within a second'}"
    return "ok"


async def reach(address: str) -> None:
    """Connect to `host:port`, `[v6]:port` or `unix:/path` and close again. Raises OSError."""
    if address.startswith("unix:"):
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
