"""The whole gateway on PostgreSQL: two gateways as on two machines, and what happens when the database goes away."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from tests.support import postgres
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_kept_forms import IDLE, button, press, press_button, sign_in_again, sign_in_unseen

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that takes its time to see a deadlock: a test has to make it after one side has begun to wait."""
    with postgres.running() as running:
        running.execute("ALTER SYSTEM SET deadlock_timeout = '3s'")
        running.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture(scope="module")
def pair(
    server: postgres.Server, recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Gateway]]:
    url = server.create("shared")
    folders = (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two"))
    one, two = (Gateway(folder, f"127.0.0.1:{recorder.port}", store_url=url) for folder in folders)
    one.seed()
    yield one.start(), two.start()
    one.stop()
    two.stop()


def test_who_signs_in_on_one_machine_is_signed_in_on_the_other(
    pair: tuple[Gateway, Gateway], upstream: RecordingUpstream
) -> None:
    cookie = pair[0].sign_in()
    for gateway in pair:
        assert gateway.exchange(get("/x", cookie)).status == 200
        assert upstream.requests[-1].all("remote-email") == ["erin@acme.example"]


def test_who_is_ended_on_one_machine_is_dead_on_the_other_at_once(pair: tuple[Gateway, Gateway]) -> None:
    for n in range(10):
        cookie = pair[n % 2].sign_in("manager")
        other = pair[(n + 1) % 2]
        assert other.exchange(get("/x", cookie)).status == 200
        pair[n % 2].post("/logout", {}, cookie)
        assert other.exchange(get("/x", cookie)).status == 401


@pytest.mark.parametrize(
    "asked",
    ["member?account=%00", "reset-2fa?account=a%00b", "sign-out?account=%00", "import?id=%00", "?q=%00", "?after=%00", "?tenant=%00"],
)  # fmt: skip
def test_a_nul_in_an_address_is_not_the_databases_trouble(pair: tuple[Gateway, Gateway], asked: str) -> None:
    """PostgreSQL takes none; that is no reason to tell people, and operators, that the store is away."""
    cookie = pair[0].sign_in("admin")
    path = f"/admin/accounts{asked}" if asked.startswith("?") else f"/admin/accounts/{asked}"
    assert pair[0].exchange(get(path, cookie)).status in (200, 404)


def test_failures_are_counted_across_machines(pair: tuple[Gateway, Gateway]) -> None:
    for n in range(5):
        assert pair[n % 2].post("/login", {"email": PEOPLE["other"][0], "password": "wrong"}).status == 422
    for gateway in pair:
        assert gateway.post("/login", {"email": PEOPLE["other"][0], "password": PASSWORD}).status == 429


def test_sign_ins_at_once_on_two_machines_make_one_unbroken_chain(pair: tuple[Gateway, Gateway]) -> None:
    def sign_in(n: int) -> int:
        fields = {"email": f"crowd{n}@acme.example", "password": PASSWORD}
        while (status := pair[n % 2].post("/login", fields, source=f"127.0.5.{n + 1}").status) == 503:
            pass  # the machine is so slow that the database counts as silent: they try again
        return status

    with ThreadPoolExecutor(50) as people:
        assert list(people.map(sign_in, range(50))) == [303] * 50
    rows = json.loads(pair[0].cli("audit", "list", "--limit", "1000", "--json").stdout)
    signed_in = {row["email"] for row in rows if row["event"] == "login"}
    assert signed_in >= {f"crowd{n}@acme.example" for n in range(50)}
    verified = pair[1].cli("audit", "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "OK: " in verified.stdout


def test_a_body_that_comes_while_the_database_is_asked_arrives(
    pair: tuple[Gateway, Gateway], upstream: RecordingUpstream
) -> None:
    cookie = pair[0].sign_in()
    body = b"x" * 300_000
    for framing in ([f"Content-Length: {len(body)}"], ["Transfer-Encoding: chunked"]):
        wire = body if "Content" in framing[0] else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        assert pair[0].exchange(get("/x", cookie, *framing, method="POST") + wire).status == 200
        assert len(upstream.requests[-1].body) >= len(body)


async def hold_up(server: postgres.Server, person: Person, work: Callable[[str], Awaitable[None]]) -> str:
    """Keep a form of `person`, and do `work` with its path while nobody can note that it is sent. Returns the path."""
    connection = await asyncpg.connect(server.url_of("shared"))
    await connection.execute(f"UPDATE sessions SET seen_at = seen_at - {IDLE} - 60")
    where = press(person).get("location") or ""
    sign_in_again(person, where)
    async with connection.transaction():
        await connection.execute("LOCK TABLE kept_forms IN EXCLUSIVE MODE")  # who writes waits, who reads does not
        await work(where)
    await connection.close()
    return where


async def wait_until_held_up(server: postgres.Server) -> None:
    connection = await asyncpg.connect(server.url_of("shared"))
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0.02)
    await connection.close()


async def wait_for_connections(gateway: Gateway, count: int) -> None:
    while f"otium_gateway_connections {count}.0\n".encode() not in gateway.ask_admin("/metrics").body:
        await asyncio.sleep(0.05)


async def count_kept(server: postgres.Server) -> int:
    """Return how often a form was kept or given back, by the notes that are written in the same transactions."""
    connection = await asyncpg.connect(server.url_of("shared"))
    count: int = await connection.fetchval("SELECT count(*) FROM audit WHERE event = 'form_kept'")
    await connection.close()
    return count


def test_a_form_that_waits_for_the_store_is_not_sent_for_a_session_that_ends_meanwhile(
    pair: tuple[Gateway, Gateway], server: postgres.Server, upstream: RecordingUpstream
) -> None:
    gateway, answers = pair[0], []
    person = Person(gateway, "manager")
    sign_in_unseen(person)

    async def press_and_revoke(where: str) -> None:
        upstream.reset()
        answers.append(asyncio.create_task(asyncio.to_thread(press_button, person, where, "/timesheets?week=47")))
        await wait_until_held_up(server)
        whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
        gateway.write(f"UPDATE sessions SET ended_at = 1 WHERE {whose}", who=person.email)  # sooner than by the shell

    async def run() -> str:
        where = await hold_up(server, person, press_and_revoke)
        assert (await answers[0]).status == 403
        return where

    where = asyncio.run(run())
    assert upstream.requests == []
    assert "7½" in sign_in_again(person, where).body.decode()


def test_a_form_whose_sender_leaves_before_it_is_sent_can_be_sent_still(
    pair: tuple[Gateway, Gateway], server: postgres.Server, upstream: RecordingUpstream
) -> None:
    gateway = pair[0]
    person = Person(gateway, "manager")
    sign_in_unseen(person)
    kept = 0

    async def press_and_leave(where: str) -> None:
        nonlocal kept
        kept = await count_kept(server)
        upstream.reset()
        connection = gateway.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no goodbye
        connection.send(button(person, where, "/timesheets?week=47"))
        await wait_until_held_up(server)
        await wait_for_connections(gateway, 1)  # what is counted is written twice a second
        connection.sock.close()
        await wait_for_connections(gateway, 0)

    where = asyncio.run(hold_up(server, person, press_and_leave))
    # Now the lock is gone. Until the form has been taken it is still to be seen, and so it is once it was given back.
    while asyncio.run(count_kept(server)) != kept + 1:
        time.sleep(0.02)
    assert person.open(where).status == 200
    assert upstream.requests == []
    assert press_button(person, where, "/timesheets?week=47").status == 200
    assert len(upstream.requests) == 1


def test_a_sign_in_that_a_deadlock_has_undone_succeeds(pair: tuple[Gateway, Gateway], server: postgres.Server) -> None:
    email = "crowd7@acme.example"

    async def run() -> int:
        other = await asyncpg.connect(server.url_of("shared"), server_settings={"deadlock_timeout": "1min"})
        async with other.transaction():
            await other.execute("LOCK TABLE browsers IN EXCLUSIVE MODE")
            fields = {"email": email, "password": PASSWORD}
            signing_in = asyncio.create_task(asyncio.to_thread(pair[0].post, "/login", fields))
            await wait_until_held_up(server)
            await other.execute("UPDATE accounts SET name = name WHERE identifier = $1", email)
        await other.close()
        return (await signing_in).status

    def count() -> int:
        found: int = server.use("shared", lambda connection: connection.fetchval(DEADLOCKS))
        return found

    before = count()
    assert asyncio.run(run()) == 303
    while count() == before:  # it is written a moment later
        time.sleep(0.05)


def test_without_the_database_nobody_is_anybody_and_its_return_is_noticed(
    pair: tuple[Gateway, Gateway], server: postgres.Server, upstream: RecordingUpstream
) -> None:
    gateway = pair[0]
    cookie = gateway.sign_in("admin")
    server.stop()
    try:
        upstream.reset()
        assert gateway.exchange(get("/x", cookie)).status == 503
        assert gateway.post("/login", {"email": PEOPLE["admin"][0], "password": PASSWORD}).status == 503
        assert upstream.requests == []
        assert gateway.exchange(get("/public")).status == 200
    finally:
        server.start()
    until = time.monotonic() + 120
    while gateway.exchange(get("/x", cookie)).status != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
