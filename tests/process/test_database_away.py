"""A PostgreSQL that can't be used: every command names file, key, address and reason, and says what to do."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.migrate import migrate
from tests.support import postgres
from tests.support.certificates import Authority, make_authority
from tests.support.gateway import Gateway, free_port
from tests.support.postgres import Server
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

RULES = """
local all all trust
host all guest,limited,absent 127.0.0.1/32 trust
host all secretive 127.0.0.1/32 scram-sha-256
"""
SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
# The address (PORT is the server's, CLOSED one at which nobody listens), and what is said of it.
CASES = [
    ("guest@127.0.0.1:CLOSED/postgres", "connection refused; start PostgreSQL, or correct host and port"),
    ("guest@db.invalid/postgres", "unknown host: "),
    ("guest@127.0.0.1:PORT/none", 'database "none" does not exist; create the database, or correct its name'),
    ("absent@127.0.0.1:PORT/postgres", 'role "absent" does not exist; correct the user'),
    ("stranger@127.0.0.1:PORT/postgres", 'no pg_hba.conf entry for host "127.0.0.1", user "stranger"'),
    ("secretive@127.0.0.1:PORT/postgres", 'password authentication failed for user "secretive"; correct the password'),
    (
        f"guest@localhost:PORT/postgres?sslmode=verify-full&sslrootcert={SYSTEM}",
        "its certificate is not accepted: self",
    ),
    ("guest@/postgres?host=/tmp&port=CLOSED", "there is no such socket; start PostgreSQL"),
    (
        "guest@127.0.0.1:CLOSED,127.0.0.1:CLOSED/postgres",
        "127.0.0.1:CLOSED failed (connection refused), 127.0.0.1:CLOSED failed (connection refused); start one",
    ),
]
COMMANDS = [
    ["check-config"],
    ["serve"],
    ["migrate"],
    ["account", "list"],
    ["audit", "verify"],
    ["store", "nodes"],
    ["backup", "/none/backup"],
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Server]:
    with postgres.running(free_port(), authority=authority, rules=RULES) as server:
        for user in ("guest", "limited", "secretive PASSWORD 'right'"):
            server.execute(f"CREATE USER {user}")
        yield server


@pytest.fixture(scope="module")
def closed() -> str:
    return str(free_port())


def refusal_of(gateway: Gateway, *command: str) -> str:
    result = gateway.cli(*command)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert "hidden" not in result.stderr
    return result.stderr


@pytest.mark.parametrize(("address", "said"), CASES)
def test_the_reason_is_said_with_what_to_do(
    server: Server, closed: str, tmp_path: Path, address: str, said: str
) -> None:
    def fill(text: str) -> str:
        return text.replace("PORT", str(server.port)).replace("CLOSED", closed)

    gateway = Gateway(tmp_path, "127.0.0.1:1", store_url=f"postgresql://{fill(address).replace('@', ':hidden@')}")
    shown = f"postgresql://{fill(address).partition('?sslmode')[0]}"
    begin = f"otium-gateway: {gateway.config}/gateway.toml: store.url: the store at {shown} can't be used: {fill(said)}"
    for command in ("check-config", "serve"):
        assert refusal_of(gateway, command).startswith(begin)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_the_same(closed: str, tmp_path: Path, command: list[str]) -> None:
    address = f"127.0.0.1:{closed}/gateway"
    gateway = Gateway(tmp_path, "127.0.0.1:1", store_url=f"postgresql://gateway:hidden@{address}")
    said = f"the store at postgresql://gateway@{address} can't be used: connection refused; start PostgreSQL"
    assert f"{gateway.config}/gateway.toml: store.url: {said}" in refusal_of(gateway, *command)
    gateway.environ["GATEWAY_STORE__URL"] = gateway.store_url
    assert f"otium-gateway: environment: GATEWAY_STORE__URL: {said}" in refusal_of(gateway, *command)


def test_a_copy_says_which_of_the_two_stores_is_away(closed: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    away = f"postgresql://gateway:hidden@127.0.0.1:{closed}/gateway"
    for addresses in ((away, f"sqlite:///{tmp_path}/new.db"), (gateway.store_url, away)):
        said = refusal_of(gateway, "store", "copy", *addresses)
        assert f"the store at postgresql://gateway@127.0.0.1:{closed}/gateway can't be used: connection refused" in said


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_user_who_may_not_create_tables_is_told_before(server: Server, tmp_path: Path, command: str) -> None:
    address = f"127.0.0.1:{server.port}/postgres"
    gateway = Gateway(tmp_path, "127.0.0.1:1", store_url=f"postgresql://limited:hidden@{address}")
    said = refusal_of(gateway, command)
    assert f"store.url: this user can't create tables in the store at postgresql://limited@{address}; make" in said


def test_a_reload_says_it_and_keeps_the_running_settings(
    upstream: RecordingUpstream, closed: str, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    try:
        settings = gateway.config / "gateway.toml"
        away = f"postgresql://gateway:hidden@127.0.0.1:{closed}/gateway"
        settings.write_text(settings.read_text().replace(gateway.store_url, away))
        before = gateway.workers()
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("reload_refused")
        place = away.replace(":hidden", "")
        assert f"{settings}: store.url: the store at {place} can't be used: connection refused" in gateway.logged()
        assert "hidden" not in gateway.logged()
        assert gateway.workers() == before
        assert gateway.exchange(get("/public")).status == 200
    finally:
        gateway.stop()


def test_a_replica_is_advised_about_since_signed_in_people_can_be_served(tmp_path: Path) -> None:
    with postgres.running(free_port()) as primary:
        url = primary.create("store")
        migrate(url)
        with primary.replica(free_port()) as replica:
            gateway = Gateway(tmp_path, "127.0.0.1:1", store_url=replica.url_of("store"))
            result = gateway.cli("check-config")
    assert (result.returncode, result.stderr) == (0, "")
    assert "advice: store.url: it accepts no writes now, so nobody can sign in; give the primary's" in result.stdout
