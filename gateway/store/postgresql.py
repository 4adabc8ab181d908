"""Opens connections to PostgreSQL, for everything that uses one: the engine, the session lookup, migrations.

Of several servers (a primary and its replicas), all are tried at once, and the first that suits
`target_session_attrs` is taken. So a machine that does not answer at all delays nobody.

A pooler (PgBouncer in transaction mode) gives each transaction another session of the server, so a session must keep
nothing: no setting, no prepared statement. A pooler is recognised by its cancellation key: a server's own key names
the process of the session, and a pooler makes its keys up.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

import asyncpg
from asyncpg.transaction import Transaction

from gateway.store.location import PostgreSQL
from gateway.store.patience import Patience
from gateway.store.unavailable import StoreUnavailable, explain_network, unreachable_server

CONNECT_SECONDS = 2.0
BEGIN_SECONDS = 1.5
NAME = "otium-gateway"  # in pg_stat_activity, if the URL gives no other
CACHED_STATEMENTS = 100

# A machine that is gone is noticed by whoever waits for it, after half a minute of silence at most. Linux.
KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
UNACKNOWLEDGED_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a statement may take, may wait for a lock, and that a transaction may idle. None is unlimited.

    The server enforces them too, so that locks don't outlive a node that has died or lost its network.
    """

    statement: float | None
    lock: float | None
    idle: float

    @property
    def client_seconds(self) -> float | None:
        """The time after which we give up ourselves, if the server does not: it is frozen, or cannot be reached."""
        return None if self.statement is None else self.statement + 2

    @property
    def settings(self) -> dict[str, str]:
        return {
            "statement_timeout": milliseconds(self.statement),
            "lock_timeout": milliseconds(self.lock),
            "idle_in_transaction_session_timeout": milliseconds(self.idle),
            "tcp_keepalives_idle": str(KEEPALIVE[socket.TCP_KEEPIDLE]),
            "tcp_keepalives_interval": str(KEEPALIVE[socket.TCP_KEEPINTVL]),
            "tcp_keepalives_count": str(KEEPALIVE[socket.TCP_KEEPCNT]),
        }


USUAL = Limits(statement=8, lock=5, idle=10)
UNHURRIED = Limits(statement=None, lock=None, idle=60)  # a migration of a large table; one node waits for another's


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose transactions have limits. `is_pooled`: each transaction may have another session."""

    __slots__ = ("is_pooled", "limits")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_pooled = False
        self.limits = USUAL

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        return LimitedTransaction(self, isolation, readonly, deferrable)

    async def ask(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Run one statement. Behind a pooler it is a transaction, so that it is prepared and run in one session."""
        if not self.is_pooled:
            return list(await self.fetch(query, *values))
        async with self.transaction():
            return list(await self.fetch(query, *values))

    async def limit(self, limits: Limits) -> None:
        """Set the limits and find out whether there is a pooler; one statement does both, so no pooler keeps them."""
        self.limits = limits
        done = await self.execute(f"{set_all(limits, is_local=False)} WHERE pg_backend_pid() = {self.get_server_pid()}")
        self.is_pooled = done == "SELECT 0"


class LimitedTransaction(Transaction):  # type: ignore[misc]
    """It begins soon, or the server is frozen or gone: nothing but that can delay a BEGIN. Raises TimeoutError."""

    async def start(self) -> None:
        async with Patience(BEGIN_SECONDS):
            await super().start()
            if self._connection.is_pooled:
                await self._connection.execute(set_all(self._connection.limits, is_local=True))


async def connect(location: PostgreSQL, limits: Limits = USUAL) -> Connection:
    """Open a connection. Raises StoreUnavailable."""
    with unreachable_server():
        connection = await open_limited(location, limits, CACHED_STATEMENTS)
        if not connection.is_pooled:
            return connection
        await connection.close()
        return await open_limited(location, limits, 0)  # without prepared statements


async def is_pooler(location: PostgreSQL) -> bool:
    """Whether a pooler answers there. Raises StoreUnavailable."""
    connection = await connect(location)
    await connection.close()
    return connection.is_pooled


async def open_pool(location: PostgreSQL, size: int) -> asyncpg.Pool:
    """Return a pool of at most `size` connections, with none yet. Nothing is reset between two of its users."""

    async def open_one(*_: object, **__: object) -> Connection:
        return await connect(location)

    async def keep(connection: Connection) -> None:
        """Leave the session as it is; the pool's own reset would take its limits away, and a round trip."""

    return await asyncpg.create_pool(
        connect=open_one, connection_class=Connection, reset=keep, min_size=0, max_size=size
    )


async def open_limited(location: PostgreSQL, limits: Limits, cached: int) -> Connection:
    try:
        async with Patience(CONNECT_SECONDS):
            connection = await open_first(location, limits, cached)
            try:
                await connection.limit(limits)
            except BaseException:
                connection.terminate()
                raise
    except TimeoutError:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} seconds") from None
    keep_alive(connection)
    return connection


async def open_first(location: PostgreSQL, limits: Limits, cached: int) -> Connection:
    """Connect to the first server that answers and suits. Raises an error that says what is wrong with each."""
    options = {
        "connection_class": Connection,
        "command_timeout": limits.client_seconds,
        "statement_cache_size": cached,
        "server_settings": None if "application_name" in location.parts.options else {"application_name": NAME},
    }
    if len(location.parts.hosts) < 2:
        connection: Connection = await asyncpg.connect(location.dsn, **options)
        return connection
    attempts: dict[asyncio.Future[Connection], str] = {
        asyncio.ensure_future(asyncpg.connect(location.dsn, host=host, port=port, **options)): f"{host}:{port}"
        for host, port in location.parts.hosts
    }
    pending = set(attempts)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if attempt.exception() is None:
                    del attempts[attempt]
                    return attempt.result()
        reasons = [f"{place} {reason_of(attempt.exception())}" for attempt, place in attempts.items()]
        raise StoreUnavailable(f"{', '.join(reasons)}; start one that accepts writes, or correct the address")
    finally:
        for attempt in attempts:
            attempt.cancel()
        for left in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(left, Connection):
                left.terminate()


def reason_of(error: BaseException | None) -> str:
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "is not the primary"
    return f"failed ({explain_network(error)[0] if isinstance(error, OSError) else error})"


def keep_alive(connection: Connection) -> None:
    sock = connection._transport.get_extra_info("socket")  # asyncpg has no other way to it
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_SECONDS * 1000)


def set_all(limits: Limits, *, is_local: bool) -> str:
    values = limits.settings.items()
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', {is_local})" for name, value in values)


def milliseconds(seconds: float | None) -> str:
    return "0" if seconds is None else str(round(seconds * 1000))
