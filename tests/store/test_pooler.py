"""The whole gateway behind PgBouncer in transaction mode: two machines, and PostgreSQL itself for backups."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.pooler import Pooler, pooling
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled'"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as running:
        running.create("pooled")
        yield running


@pytest.fixture(scope="module")
def pooler(server: postgres.Server) -> Iterator[Pooler]:
    with pooling(server) as running:
        yield running


@pytest.fixture(scope="module")
def pair(
    server: postgres.Server, pooler: Pooler, recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Gateway]]:
    changes = {"STORE__DIRECT_URL": server.url_of("pooled")}
    one, two = (
        Gateway(folder, f"127.0.0.1:{recorder.port}", store_url=pooler.url_of("pooled"), changes=changes)
        for folder in (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two"))
    )
    one.seed()
    yield one.start(), two.start()
    one.stop()
    two.stop()


def test_who_signs_in_on_one_machine_is_signed_in_on_the_other_and_can_be_signed_out_there(
    pair: tuple[Gateway, Gateway],
) -> None:
    for n in range(10):
        one, other = pair[n % 2], pair[(n + 1) % 2]
        cookie = one.sign_in("manager")
        assert other.exchange(get("/x", cookie)).status == 200
        assert other.post("/logout", {}, cookie).status == 303
        assert one.exchange(get("/x", cookie)).status == 401


def test_the_operator_signs_somebody_out_through_the_pooler(pair: tuple[Gateway, Gateway]) -> None:
    cookie = pair[0].sign_in("employee")
    assert pair[1].exchange(get("/x", cookie)).status == 200
    assert pair[1].cli("session", "revoke", "--email", PEOPLE["employee"][0]).returncode == 0
    assert pair[0].exchange(get("/x", cookie)).status == 401
    assert pair[1].cli("audit", "verify").returncode == 0


def test_failures_are_counted_across_machines(pair: tuple[Gateway, Gateway]) -> None:
    for n in range(5):
        assert pair[n % 2].post("/login", {"email": PEOPLE["other"][0], "password": "wrong"}).status == 422
    for gateway in pair:
        assert gateway.post("/login", {"email": PEOPLE["other"][0], "password": PASSWORD}).status == 429


def test_without_the_address_of_postgresql_there_is_a_warning_and_no_backup(
    pair: tuple[Gateway, Gateway], tmp_path: Path
) -> None:
    gateway = pair[0]
    assert "store.direct_url" not in gateway.cli("check-config").stdout
    direct = gateway.environ.pop("GATEWAY_STORE__DIRECT_URL")
    checked = gateway.cli("check-config")
    refused = gateway.cli("backup", str(tmp_path / "backup"))
    gateway.environ["GATEWAY_STORE__DIRECT_URL"] = direct
    assert checked.returncode == 0
    assert "store.direct_url: store.url is a pooler's; without this there are no backups" in checked.stdout
    assert refused.returncode == 1
    assert "a pooler answers there; set store.direct_url to the address of PostgreSQL itself" in refused.stderr


def test_a_backup_goes_past_the_pooler_and_so_does_its_restore(
    pair: tuple[Gateway, Gateway], server: postgres.Server, tmp_path: Path
) -> None:
    """Last: it stops the gateways."""
    assert pair[0].cli("backup", str(tmp_path / "backup")).returncode == 0
    pair[0].sign_in("admin")
    for gateway in pair:
        assert gateway.stop() == 0
    refused = pair[0].cli("restore", str(tmp_path / "backup"), "--confirm")
    assert re.search("other connections? to the database; stop all gateways first, and a pooler", refused.stderr)
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pooled'")
    while server.use("postgres", lambda connection: connection.fetchval(COUNT)):
        time.sleep(0.02)
    restored = pair[0].cli("restore", str(tmp_path / "backup"), "--confirm")
    assert (restored.returncode, restored.stderr) == (0, "")
    pair[0].start()
    pair[0].sign_in("admin")
