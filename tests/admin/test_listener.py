"""What operators see of a gateway that runs: one answer for all workers, from a socket of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import PASSWORD, PROXY, Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream


@pytest.fixture
def own(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    changes = {"LISTEN__DRAIN_SECONDS": "5"}
    running = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed().start()
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def numbers(gateway: Gateway) -> dict[tuple[str, ...], float]:
    answer = gateway.ask_admin("/metrics")
    assert answer.status == 200
    return {
        (sample.name.removeprefix("otium_gateway_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def wait_until(is_so: Callable[[], bool], seconds: float = 180.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_happens_on_any_worker_is_counted(own: Gateway) -> None:
    began = time.monotonic()
    person = Person(own)
    person.sign_in()
    own.post("/login", {"email": person.email, "password": "wrong"})
    for _ in range(40):  # on connections of their own, so that both workers have some
        assert own.exchange(get("/x", person.cookie_line)).status == 200
    assert own.exchange(get("/x")).status == 401
    assert own.exchange(get("/admin", person.cookie_line)).status == 403
    assert own.exchange(get("/x", host="evil.example")).status == 421
    assert own.exchange(get("/_gateway/auth", person.cookie_line), source="127.0.0.2").status in (200, 400)

    def requests(found: dict[tuple[str, ...], float]) -> float:
        return sum(value for (name, *_), value in found.items() if name == "requests_total")

    wait_until(lambda: requests(numbers(own)) >= 48)  # with those of the sign-in; each worker writes them now and then
    found = numbers(own)
    assert found["requests_total", "forwarded"] == 41
    assert found["sign_ins_total", "password", "signed_in"] == 1
    assert found["sign_ins_total", "password", "wrong"] == 1
    assert found["requests_total", "sign_in"] >= 1
    assert found["requests_total", "forbidden"] == 1
    assert found["requests_total", "rejected"] >= 1
    assert found["requests_total", "page"] >= 3
    assert found["responses_total", "421"] == 1
    assert found["upstream_seconds_count", "application"] == found["requests_total", "forwarded"]
    assert found["upstream_seconds_count", "pages"] == found["requests_total", "page"]
    assert found[("gate_seconds_count",)] == requests(found) == 48
    assert 0 < found[("gate_seconds_sum",)] < time.monotonic() - began
    assert found["sessions", "members"] == 1
    assert found[("workers",)] == 2
    assert found[("store_up",)] == 1


def test_a_limit_that_people_run_into_is_counted(own: Gateway) -> None:
    for _ in range(6):
        own.post("/login", {"email": "erin@acme.example", "password": "wrong"})
    wait_until(lambda: numbers(own)["limits_hit_total", "locked"] == 1)


def test_a_proxy_that_writes_no_address_is_counted_and_named_once_a_minute(own: Gateway) -> None:
    with own.connect(source=PROXY) as connection:  # of one worker: each has a minute of its own
        for _ in range(5):
            connection.send(get("/public", "X-Forwarded-For: 192.0.2.1, unknown"))
            assert connection.response() is not None
        connection.send(get("/public", "X-Forwarded-For: unknown, 192.0.2.1:8080"))
        assert connection.response() is not None
    wait_until(lambda: numbers(own)[("forwarded_for_unreadable_total",)] == 5)
    (line,) = [line for line in own.logged().splitlines() if "forwarded_for_unreadable" in line]
    assert (json.loads(line)["proxy"], json.loads(line)["entry"]) == (PROXY, "unknown")


def test_counters_do_not_go_backwards_when_workers_are_replaced(own: Gateway) -> None:
    for _ in range(20):
        own.exchange(get("/public"))
    wait_until(lambda: numbers(own)["requests_total", "forwarded"] == 20)
    for turn, pid in enumerate(own.workers(), 1):
        own.kill_worker(pid)
        wait_until(lambda turn=turn: numbers(own)["worker_restarts_total", "died"] == turn)  # type: ignore[misc]
    wait_until(lambda: numbers(own)[("workers",)] == 2)
    assert numbers(own)["requests_total", "forwarded"] == 20
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    own.wait_for('"event": "reloaded"')
    own.exchange(get("/public"))
    wait_until(lambda: numbers(own)["requests_total", "forwarded"] == 21)
    assert numbers(own)["worker_restarts_total", "died"] == 2


def test_a_worker_that_hangs_is_noticed_and_replaced(notified: tuple[Gateway, socket.socket]) -> None:
    """Stopped, it takes connections no more; the kernel would go on giving it some."""
    own, _ = notified
    before = own.workers()
    os.kill(before[0], signal.SIGSTOP)
    own.wait_for("worker_hung")
    wait_until(lambda: len(own.workers()) == 2 and before[0] not in own.workers())
    wait_until(lambda: numbers(own)["worker_restarts_total", "hung"] >= 1)
    assert own.exchange(get("/public")).status == 200


@pytest.fixture
def notified(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[tuple[Gateway, socket.socket]]:
    """A gateway, and the socket on which it tells systemd how it is."""
    changes = {"LISTEN__HUNG_SECONDS": "5"}
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        gateway.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        gateway.start()
        yield gateway, notify
        gateway.stop()


def hear(notify: socket.socket, seconds: float) -> bool:
    """Whether systemd hears within `seconds` that all is well."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        notify.settimeout(left)
        try:
            if notify.recv(4096) == b"WATCHDOG=1":
                return True
        except TimeoutError:
            break
    return False


def fall_silent(notify: socket.socket, seconds: float) -> None:
    """Wait until systemd has heard nothing for two seconds: its watchdog would act."""
    until = time.monotonic() + seconds
    while hear(notify, 2.0):
        assert time.monotonic() < until


def test_systemd_hears_that_all_is_well_until_the_supervisor_hangs(notified: tuple[Gateway, socket.socket]) -> None:
    gateway, notify = notified
    assert hear(notify, 300)
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGSTOP)
    fall_silent(notify, 300)
    gateway.process.send_signal(signal.SIGCONT)
    assert hear(notify, 300)


def test_systemd_hears_nothing_while_no_worker_can_serve(notified: tuple[Gateway, socket.socket]) -> None:
    gateway, notify = notified
    assert hear(notify, 300)
    store = Path(gateway.store_url.removeprefix("sqlite:///")).parent
    store.rename(store.with_name("away"))
    store.touch()  # workers that start now have no store, and end
    for pid in gateway.workers():
        gateway.kill_worker(pid)
    fall_silent(notify, 300)
    store.unlink()
    store.with_name("away").rename(store)
    assert hear(notify, 300)
    assert gateway.exchange(get("/public")).status == 200


def test_ready_says_yes_and_why(own: Gateway) -> None:
    mailbox = Mailbox(own.mail_port).start()
    try:
        answer = own.ask_admin("/ready")
    finally:
        mailbox.stop()
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "ready": True, "store": "ok", "schema": "ok", "mail": "ok", "upstream": "ok",
        "outbox": {"waiting": 0, "oldest_seconds": 0}, "nodes": [],
    }  # fmt: skip
    alive = own.ask_admin("/alive")
    assert (alive.status, alive.get("server")) == (200, "otium-gateway")


def test_a_mail_server_that_is_away_is_told_and_does_not_count(own: Gateway) -> None:
    answer = own.ask_admin("/ready")
    assert answer.status == 200
    assert f"127.0.0.1:{own.mail_port}" in json.loads(answer.body)["mail"]


def test_an_application_that_is_away_is_told_and_does_not_count(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{free_port()}").seed().start()
    try:
        answer = gateway.ask_admin("/ready")
        assert answer.status == 200
        assert "refused" in json.loads(answer.body)["upstream"].lower()
    finally:
        gateway.stop()


def test_without_the_store_it_is_alive_and_not_ready(own: Gateway) -> None:
    path = Path(own.store_url.removeprefix("sqlite:///"))
    for file in path.parent.glob("gateway.db*"):
        file.rename(file.with_name("away-" + file.name))
    answer = own.ask_admin("/ready")
    assert answer.status == 503
    assert json.loads(answer.body)["ready"] is False
    assert own.ask_admin("/alive").status == 200
    for file in path.parent.glob("away-*"):
        file.rename(file.with_name(file.name.removeprefix("away-")))
    wait_until(lambda: own.ask_admin("/ready").status == 200)


def test_a_schema_of_another_version_is_not_ready(own: Gateway) -> None:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    answer = own.ask_admin("/ready")
    assert answer.status == 503
    assert "the store has 0001" in json.loads(answer.body)["schema"]


@pytest.mark.parametrize(("limit", "status"), [("0", 200), ("60", 503)])
def test_mails_that_wait_are_told_and_count_where_that_is_wanted(
    upstream: RecordingUpstream, tmp_path: Path, limit: str, status: int
) -> None:
    changes = {"ADMIN__READY_OUTBOX_SECONDS": limit}
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed().start()
    try:
        Person(gateway).sign_in()  # its mail finds no server
        with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE outbox SET created_at = created_at - 100")
        answer = gateway.ask_admin("/ready")
        assert answer.status == status
        assert json.loads(answer.body)["outbox"]["oldest_seconds"] >= 100
        wait_until(lambda: numbers(gateway)[("outbox_oldest_seconds",)] >= 100)
        assert numbers(gateway)["outbox", "waiting"] == 1
    finally:
        gateway.stop()


@pytest.mark.parametrize("path", ["/metrics", "/ready", "/alive"])
def test_nothing_of_it_is_on_the_public_listener(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, path: str
) -> None:
    """THREATS 39: there it is a path of the application like any other."""
    assert gateway.exchange(get(path)).status == 401
    answer = gateway.exchange(get(path, employee))
    assert answer.body == b"ok"
    assert [request.target for request in upstream.requests] == [path]


def test_nothing_else_is_on_the_admin_listener(gateway: Gateway, employee: str) -> None:
    for path in ("/", "/login", "/x", "/metrics/x", "//metrics", "/_gateway/auth"):
        assert gateway.ask_admin(path).status == 404


def test_it_can_be_switched_off(upstream: RecordingUpstream, tmp_path: Path) -> None:
    changes = {"ADMIN__LISTEN": "''"}
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed().start()
    try:
        assert not Path(gateway.admin).exists()
        assert gateway.exchange(get("/public")).status == 200
    finally:
        gateway.stop()


def test_prometheus_finds_nothing_to_say_about_it(own: Gateway) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: run `make test`, or apt-get install prometheus"
    Person(own).sign_in()
    text = own.ask_admin("/metrics").body
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_the_access_line_names_request_and_account(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    own.exchange(get("/seen", person.cookie_line, "X-Request-Id: 0123456789abcdef"), source="127.0.0.2")
    own.wait_for('"path":"/seen"')
    line = next(line for line in own.logged().splitlines() if '"path":"/seen"' in line)
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        account = connection.execute("SELECT id FROM accounts WHERE identifier = ?", (person.email,)).fetchone()[0]
    assert json.loads(line)["account"] == account
    assert json.loads(line)["request_id"] == "0123456789abcdef"
    own.exchange(get("/nobody"))
    own.wait_for('"path":"/nobody"')
    line = next(line for line in own.logged().splitlines() if '"path":"/nobody"' in line)
    assert json.loads(line)["account"] == ""
    assert PASSWORD not in own.logged()
    assert all(value not in own.logged() for value in person.cookies.values())
