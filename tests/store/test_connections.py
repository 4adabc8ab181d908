"""How the store connects to PostgreSQL: TLS, several servers, a pooler, and servers that fall silent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from gateway.accounts import rows
from gateway.store import Store, StoreUnavailable, postgresql
from gateway.store.copying import copy_to
from gateway.store.location import PostgreSQL, locate
from gateway.store.migrate import migrate
from gateway.store.postgresql import Connection, Limits, connect
from tests.store.people import add_person, person
from tests.support import postgres
from tests.support.certificates import Authority, make_authority
from tests.support.gateway import free_port
from tests.support.pooler import Pooler, pooling

PLAIN = "SELECT NOT EXISTS (SELECT FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl)"
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'otium-gateway'"
RULES = """
local all all trust
hostssl all postgres 127.0.0.1/32 cert
hostssl all guest 127.0.0.1/32 trust
"""


def place(url: str) -> PostgreSQL:
    found = locate(url)
    assert isinstance(found, PostgreSQL)
    return found


@contextlib.asynccontextmanager
async def connected(url: str, limits: Limits = postgresql.USUAL) -> AsyncIterator[Connection]:
    connection = await connect(place(url), limits)
    try:
        yield connection
    finally:
        connection.terminate()
        await asyncio.sleep(0)  # it is closed in the loop's next turn


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls_server(authority: Authority) -> Iterator[postgres.Server]:
    with postgres.running(free_port(), authority=authority, rules=RULES) as server:
        server.execute("CREATE USER guest")
        yield server


async def test_the_server_is_verified_by_the_authority_and_the_name_that_the_address_says(
    tls_server: postgres.Server, authority: Authority
) -> None:
    address = f"guest@localhost:{tls_server.port}/postgres?sslmode=verify-full&sslrootcert={authority.ca_file}"
    async with connected(f"postgresql://{address}") as connection:
        assert await connection.fetchval(PLAIN) is False


async def test_a_certificate_of_another_authority_is_refused(tls_server: postgres.Server, tmp_path: Path) -> None:
    other = make_authority(tmp_path)
    store = Store.open(
        f"postgresql://guest@localhost:{tls_server.port}/postgres?sslmode=verify-full&sslrootcert={other.ca_file}"
    )
    with pytest.raises(StoreUnavailable, match="certificate is not accepted: self-signed"):
        async with store.reading():
            pass
    await store.close()


async def test_the_gateway_and_its_backup_show_the_same_certificate(
    tls_server: postgres.Server, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("postgres")
    key.chmod(0o600)
    tls = f"?sslmode=verify-full&sslrootcert={authority.ca_file}"
    address = f"postgresql://postgres@localhost:{tls_server.port}/postgres{tls}"
    with pytest.raises(StoreUnavailable, match="requires a valid client certificate"):
        await connect(place(address))
    address = f"{address}&sslcert={certificate}&sslkey={key}"
    async with connected(address) as connection:
        assert await connection.fetchval(PLAIN) is False
    made = await asyncio.to_thread(copy_to, place(address), tmp_path)
    assert made.stat().st_size > 0


# Several servers.


@pytest.fixture(scope="module")
def primary() -> Iterator[postgres.Server]:
    with postgres.running(free_port()) as server:
        server.create("store")
        migrate(f"postgresql://postgres@127.0.0.1:{server.port}/store")
        yield server


@pytest.fixture(scope="module")
def replica(primary: postgres.Server) -> Iterator[postgres.Server]:
    with primary.replica(free_port()) as server:
        yield server


async def test_a_backup_is_taken_from_the_primary_too(
    primary: postgres.Server, replica: postgres.Server, tmp_path: Path
) -> None:
    both = f"postgresql://postgres@127.0.0.1:{replica.port},127.0.0.1:{primary.port}/store"
    primary.execute("ALTER SYSTEM SET log_connections = on")
    primary.execute("SELECT pg_reload_conf()")
    while primary.use("postgres", lambda connection: connection.fetchval("SHOW log_connections")) != "on":
        pass  # the server comes to it when it has the processor
    await asyncio.to_thread(copy_to, place(both), tmp_path)
    assert "application_name=pg_dump" in (primary.folder / "log").read_text()


async def test_a_server_that_stays_silent_delays_nobody(
    primary: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{primary.port}"
        began = time.monotonic()
        async with connected(f"postgresql://postgres@{hosts}/store"):
            assert time.monotonic() - began < postgresql.CONNECT_SECONDS / 2


async def test_where_no_server_will_do_the_error_names_each(primary: postgres.Server, replica: postgres.Server) -> None:
    with pytest.raises(
        StoreUnavailable,
        match=rf"127.0.0.1:1 failed \(connection refused\), 127.0.0.1:{replica.port} is not the primary; start one",
    ):
        await connect(place(f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{replica.port}/store"))


# A pooler.


@pytest.fixture(scope="module")
def pooler(postgres_server: postgres.Server) -> Iterator[Pooler]:
    with pooling(postgres_server) as running:
        yield running


def pooled(pooler: Pooler, url: str) -> str:
    return pooler.url_of(url.rpartition("/" if "?" not in url else "?")[0].rpartition("/")[2])


async def test_a_pooler_is_recognised_and_its_sessions_keep_nothing(pooler: Pooler, postgres_url: str) -> None:
    async with connected(postgres_url) as direct, connected(pooled(pooler, postgres_url)) as connection:
        assert [direct.is_pooled, connection.is_pooled] == [False, True]
        async with connection.transaction():
            assert await connection.fetchval("SHOW statement_timeout") == "8s"
        assert await connection.fetchval("SHOW statement_timeout") == "0"
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0


@pytest.mark.usefixtures("unhurried")
async def test_more_transactions_than_the_pooler_has_sessions_do_not_mix(pooler: Pooler, postgres_url: str) -> None:
    stores = [Store.open(pooled(pooler, postgres_url)) for _ in range(3)]  # as many as 12 connections for 4 sessions

    async def add(n: int) -> None:
        store = stores[n % 3]
        await add_person(store, person(f"p{n}@example.com"))
        async with store.reading() as tx:
            assert await rows.find_by_identifier(tx, f"p{n}@example.com")

    await asyncio.gather(*(add(n) for n in range(60)))
    async with stores[0].reading() as tx:
        assert len(await rows.list_all(tx)) == 60
    for store in stores:
        await store.close()


# Limits.


async def test_the_server_itself_ends_a_statement_and_a_transaction_that_take_too_long(postgres_url: str) -> None:
    """A node that is gone can't: its locks would stay."""
    async with connected(postgres_url, replace(postgresql.USUAL, statement=0.2)) as connection:
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute("SELECT pg_sleep(60)", timeout=60)
    async with connected(postgres_url, replace(postgresql.USUAL, idle=0.3)) as connection:
        await connection.execute("BEGIN; LOCK TABLE accounts")
        async with connected(postgres_url) as other:
            await other.execute("UPDATE accounts SET name = ''")  # goes on when the first one has idled too long


async def test_a_lock_is_not_waited_for_without_end(postgres_url: str) -> None:
    async with connected(postgres_url) as holder:
        await holder.execute("BEGIN; LOCK TABLE accounts")
        async with connected(postgres_url, Limits(statement=5, lock=0.1, idle=5)) as connection:
            with pytest.raises(asyncpg.LockNotAvailableError):
                await connection.execute("UPDATE accounts SET name = ''")


async def test_a_connection_over_a_network_is_kept_alive(primary: postgres.Server) -> None:
    async with connected(f"postgresql://postgres@127.0.0.1:{primary.port}/store") as connection:
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert await connection.fetchval("SHOW tcp_keepalives_idle") == "10"


async def test_a_server_that_freezes_is_unavailable_soon_and_its_return_is_noticed(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(postgres_url)
    async with store.reading() as tx:
        backend = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with monkeypatch.context() as hurried, pytest.raises(StoreUnavailable):
            hurried.setattr(postgresql, "BEGIN_SECONDS", 0.5)
            await add_person(store)
        assert time.monotonic() - began < 8  # what a statement may take
        await add_person(store)  # by another connection
    finally:
        os.kill(backend, signal.SIGCONT)
    await store.close()


async def test_a_server_that_accepts_no_writes_any_more_is_left(primary: postgres.Server) -> None:
    """After a switch of roles: the connections would lead to the former primary for ever."""
    store = Store.open(f"postgresql://postgres@127.0.0.1:{primary.port}/store")
    await add_person(store)
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.execute("SELECT pg_reload_conf()")
    with pytest.raises(StoreUnavailable, match="read-only"):
        for number in itertools.count():  # the server tells its sessions when it comes to it
            await add_person(store, person(f"bob{number}@example.com"))
    while await asyncio.to_thread(primary.use, "store", lambda connection: connection.fetchval(OURS)):
        pass  # the server notices a moment later
    await store.close()
    primary.execute("ALTER SYSTEM RESET default_transaction_read_only")
    primary.execute("SELECT pg_reload_conf()")


async def test_the_primary_is_found_wherever_it_stands_and_after_it_has_changed(
    primary: postgres.Server, replica: postgres.Server
) -> None:
    """Last: it ends the primary."""
    hosts = [f"127.0.0.1:{server.port}" for server in (replica, primary)]
    both = f"postgresql://postgres@{','.join(hosts)}/store"
    for url in (both, f"postgresql://postgres@{','.join(hosts[::-1])}/store"):
        async with connected(url) as connection:
            assert await connection.fetchval("SHOW port") == str(primary.port)
    store = Store.open(both)
    await add_person(store, person("before@example.com"))
    await asyncio.to_thread(primary.stop)
    await asyncio.to_thread(replica.promote)
    await add_person(store, person("after@example.com"))
    async with store.reading() as tx:
        found = {account.identifier for account in await rows.list_all(tx)}
    assert found >= {"before@example.com", "after@example.com"}
    await store.close()
