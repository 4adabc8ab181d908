"""`store copy`: the gateway moves to the other database and back, and nobody notices."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from gateway.app.moving import TABLES
from gateway.store import Store
from gateway.store.location import SQLite, locate
from gateway.store.schema import accounts, sessions
from tests.support import forks
from tests.support.gateway import Gateway
from tests.support.person import Person, code_of
from tests.support.postgres import Server
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

numbers = itertools.count(1)


@pytest.fixture
def nothing_yet(postgres_server: Server) -> Iterator[str]:
    """The URL of a database that was just created."""
    name = f"moved_{next(numbers)}"
    yield postgres_server.create(name)
    postgres_server.drop(name)


def rows_of(url: str) -> dict[str, list[str]]:
    async def read() -> dict[str, list[str]]:
        store = Store.open(url)
        async with store.reading() as tx:
            found = {table.name: [repr(row) for row in await tx.execute(select(table))] for table in TABLES}
        await store.close()
        return found

    return {name: sorted(rows) for name, rows in asyncio.run(read()).items()}


def test_the_gateway_moves_to_postgresql_and_back_and_everybody_stays_signed_in(
    nothing_yet: str, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    address, changes = upstream.port, {"TOKENS__ON": "true"}
    former = Gateway(tmp_path / "former", f"127.0.0.1:{address}", changes=changes).seed().start()
    signed_in, enrolled, ended = Person(former), Person(former, "manager"), Person(former, "other")
    for person in (signed_in, enrolled, ended):
        person.sign_in()
    secret, codes = enrolled.enrol()
    assert former.cli("session", "revoke", "--email", ended.email).returncode == 0
    service = former.cli("token", "service", "add", "Payroll export", "--tenant", "acme").stdout.strip()
    live, gone = (json.loads(former.cli("token", "create", service, "--name", "x", "--json").stdout) for _ in range(2))
    assert former.cli("token", "revoke", gone["id"]).returncode == 0
    assert former.stop() == 0

    moved = former.cli("store", "copy", former.store_url, nothing_yet)
    assert (moved.returncode, moved.stderr) == (0, "")
    assert f"audit log: {len(rows_of(nothing_yet)['audit'])} entries verified" in moved.stdout
    before = rows_of(former.store_url)
    assert rows_of(nothing_yet) == before
    assert all(before[name] for name in ("accounts", "sessions", "totp", "backup_codes", "audit", "outbox", "browsers"))

    there = Gateway(tmp_path / "there", f"127.0.0.1:{address}", store_url=nothing_yet, changes=changes).start()
    for token, status in ((live, 200), (gone, 401)):
        assert there.exchange(get("/x", f"Authorization: Bearer {token['token']}")).status == status
    for person in (signed_in, enrolled, ended):
        person.gateway = there
    assert signed_in.is_signed_in
    assert enrolled.is_signed_in
    assert not ended.is_signed_in
    enrolled.cookies.clear()
    enrolled.give_password()
    enrolled.submit("/login/totp", code=code_of(former, enrolled.email, secret))  # the former one is used up
    assert enrolled.is_signed_in
    verified = there.cli("audit", "verify")
    assert verified.returncode == 0, verified.stderr
    assert there.stop() == 0

    back = Gateway(tmp_path / "back", f"127.0.0.1:{address}")
    returned = back.cli("store", "copy", nothing_yet, back.store_url)
    assert (returned.returncode, returned.stderr) == (0, "")
    after = rows_of(back.store_url)
    assert after == rows_of(nothing_yet)
    assert len(after["audit"]) > len(before["audit"])
    back.start()
    for person in (signed_in, enrolled, ended):
        person.gateway = back
    assert signed_in.is_signed_in
    assert enrolled.is_signed_in
    enrolled.cookies.clear()
    enrolled.give_password()
    enrolled.submit("/login/backup", code=codes[0])
    assert enrolled.is_signed_in
    assert back.stop() == 0


def test_for_scripts_it_prints_what_was_copied(nothing_yet: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    target = nothing_yet.replace("postgres@", "postgres:hidden@")
    done = gateway.cli("store", "copy", gateway.store_url, target, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["rows"] == {name: len(rows) for name, rows in rows_of(nothing_yet).items()}
    assert told["audit"] == {"whole": True, "rows": 0, "last": 0}
    assert (told["has_secrets"], told["former"]) == (True, None)
    assert "hidden" not in done.stdout


def refusal_of(gateway: Gateway, source: str, target: str) -> str:
    result = gateway.cli("store", "copy", source, target)
    assert result.returncode == 1, result.stdout
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_running_gateway_is_to_be_stopped_first(
    store_url: str, nothing_yet: str, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    running = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=store_url).seed().start()
    Person(running).sign_in()
    said = refusal_of(running, store_url, nothing_yet)
    assert "the store can't be copied: " in said
    assert locate(store_url).place in said
    assert "stop" in said
    assert running.stop() == 0
    assert running.cli("store", "copy", store_url, nothing_yet).returncode == 0
    assert "only an empty store is copied to; create another database" in refusal_of(running, store_url, nothing_yet)


def test_what_is_wrong_with_an_address_or_its_store_is_said_in_one_line(nothing_yet: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    assert "a store is sqlite:///file" in refusal_of(gateway, "mysql://x/y", nothing_yet)
    assert f"there is no store at {tmp_path}/none.db yet" in refusal_of(
        gateway, f"sqlite:///{tmp_path}/none.db", nothing_yet
    )
    assert not (tmp_path / "none.db").exists()


def test_a_secret_that_is_not_the_stores_is_told_of(upstream: RecordingUpstream, tmp_path: Path) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    person = Person(own)
    person.sign_in()
    person.enrol()
    assert own.stop() == 0
    own.environ["GATEWAY_SECRET"] = base64.b64encode(os.urandom(48)).decode()
    done = own.cli("store", "copy", own.store_url, f"sqlite:///{tmp_path}/copy.db")
    assert done.returncode == 0, done.stderr
    assert "encrypted with a secret that is not configured" in done.stdout


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(request.getfixturevalue("nothing_yet")) if request.param == "postgresql" else f"sqlite:///{tmp_path}/to.db"
    )


def test_a_copy_that_is_killed_leaves_nothing_that_serves_and_is_run_again(target: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    asyncio.run(sign_many_in(gateway.store_url, 4_000))
    there = Gateway(tmp_path / "there", "127.0.0.1:1", store_url=target)
    for moment in ("alarms: 0", "sessions: 1,000 of 4,000", "sessions: 2,500 of 4,000", "sessions: 4,000 of 4,000"):
        kill_at(moment, gateway, "store", "copy", gateway.store_url, target)
        assert "there is no store at" in there.cli("account", "list").stderr
    assert gateway.cli("store", "copy", gateway.store_url, target).returncode == 0
    assert rows_of(target) == rows_of(gateway.store_url)
    location = locate(target)
    if isinstance(location, SQLite):
        assert [file.name for file in tmp_path.glob("to.db*") if "generation" not in file.name] == ["to.db"]


# The command line, save that it is killed as soon as the terminal shows the moment of the first argument.
KILLED = """
import os, signal, sys
from gateway.__main__ import main
from gateway.cli import moving
moment, tell_on_terminal = sys.argv.pop(1), moving.tell_on_terminal
def tell_until(tell=tell_on_terminal()):
    def told(what, done, of):
        tell(what, done, of)
        if f"{what}: {done:,} of {of:,}".startswith(moment):
            os.kill(os.getpid(), signal.SIGKILL)
    return told
moving.tell_on_terminal = tell_until
main()
"""


def kill_at(moment: str, gateway: Gateway, *arguments: str) -> None:
    """Run a command at a terminal until that shows `moment`."""
    terminal, its_end = os.openpty()
    with open(its_end, "r+b", buffering=0) as end:
        command = ["-c", KILLED, moment, *arguments, "--config", str(gateway.config)]
        process = forks.Process(command, gateway.environ, end, end, end)
    shown = ""
    with contextlib.suppress(OSError):  # at its end
        while piece := os.read(terminal, 4_096).decode():
            shown += piece
    os.close(terminal)
    assert process.wait() == -signal.SIGKILL, shown
    assert moment in shown


async def sign_many_in(url: str, count: int) -> None:
    store = Store.open(url)
    async with store.transaction() as tx:
        account = (await tx.execute(select(accounts.c.id).limit(1))).scalar_one()
        rows = [
            {
                "id": f"ses_{n}", "token_key": n.to_bytes(32, "big"), "account": account, "proofs": "[]",
                "address": "127.0.0.1", "user_agent": "", "started_at": 1, "seen_at": 1,
            }
            for n in range(count)
        ]  # fmt: skip
        await tx.execute(insert(sessions), rows)
    await store.close()
