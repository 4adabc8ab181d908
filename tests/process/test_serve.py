"""Processes: started, replaced, reloaded and stopped without losing anybody's request."""

from __future__ import annotations

import gc
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.app.parts import Parts
from gateway.observe.board import Board
from gateway.process import worker
from tests.support.gateway import Gateway, free_port
from tests.support.raw import Connection, exchange, get
from tests.support.servers import is_listening
from tests.support.upstream import OK, Recorded, RecordingUpstream, Talk


@pytest.fixture
def own(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test, which may do with it what it likes."""
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__DRAIN_SECONDS": "60"}).seed().start()
    yield gateway
    if gateway.process and gateway.process.poll() is None:
        gateway.stop()


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def keep_asking(gateway: Gateway, stop: threading.Event, statuses: list[int], lines: list[str]) -> None:
    while not stop.is_set():
        statuses.append(gateway.exchange(get("/x", *lines)).status)


def test_a_worker_that_dies_is_replaced_and_the_others_serve_on(own: Gateway) -> None:
    cookie = own.sign_in()
    before = own.workers()
    own.kill_worker(before[0])
    own.wait_for("worker_died")
    until = time.monotonic() + 120
    while len(own.workers()) < 2:
        assert time.monotonic() < until
        assert own.exchange(get("/x", cookie)).status == 200
    assert own.exchange(get("/x", cookie)).status == 200


def test_a_request_under_way_is_answered_before_the_end(own: Gateway, upstream: RecordingUpstream) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(talk: Talk, _: Recorded) -> None:
        asked.set()
        assert go.wait(300)
        talk.send(OK)

    upstream.scripts["/public/slow"] = slow
    with own.connect(timeout=300) as connection:
        connection.send(get("/public/slow"))
        assert asked.wait(300)
        assert own.process is not None
        own.process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the kernel likes
            while True:
                Connection(own.port).sock.close()
                time.sleep(0.05)
        go.set()
        response = connection.response()
    assert response is not None
    assert response.body == b"ok"
    assert own.process.wait(120) == 0


def test_a_reload_loses_no_request_and_changes_what_is_allowed(own: Gateway, upstream: RecordingUpstream) -> None:
    cookie = own.sign_in()
    stop, statuses = threading.Event(), list[int]()
    thread = threading.Thread(target=keep_asking, args=(own, stop, statuses, [cookie]))
    thread.start()
    assert own.exchange(get("/newly/public")).status == 401
    own.reload('{ path = "/exact" }', '{ path = "/newly/public" }')
    assert own.exchange(get("/newly/public")).status == 200
    assert own.exchange(get("/exact")).status == 401
    wait_until(lambda: len(statuses) > 10)
    stop.set()
    thread.join()
    assert set(statuses) == {200}


def test_a_bad_file_is_reported_and_the_running_settings_stay(own: Gateway) -> None:
    before = own.workers()
    (own.config / "access.toml").write_text('rules = [{ path = "/", roles = ["emploee"] }]')
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    own.wait_for("reload_refused")
    assert "access.toml" in own.logged()
    assert "roles" in own.logged()
    assert own.workers() == before
    assert own.exchange(get("/public")).status == 200


FAILING = """
import sys
from gateway.__main__ import main
from gateway.process import worker
make_work, calls = worker.make_work, []
def make_or_fail(*given, **named):
    calls.append(given)
    if len(calls) > 1:
        raise MemoryError("no room")
    return make_work(*given, **named)
worker.make_work = make_or_fail
sys.exit(main())
"""


def test_whatever_goes_wrong_while_a_reload_makes_things_the_running_workers_stay(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    own.program = [sys.executable, "-c", FAILING]
    own.start()
    before = own.workers()
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    own.wait_for("reload_refused")
    assert "no room" in own.logged()
    assert own.workers() == before
    assert own.exchange(get("/public")).status == 200
    assert own.stop() == 0


def test_a_reload_leaves_nothing_of_the_former_settings_behind(own: Gateway) -> None:
    assert own.process is not None
    process = Path(f"/proc/{own.process.pid}")

    def held() -> tuple[int, int]:
        """Count the supervisor's descriptors, and its maps of the store's file of generations."""
        return len(list((process / "fd").iterdir())), (process / "maps").read_text().count(".generation")

    before = held()
    for _ in range(3):
        own.reload("public = [", "public = [")
    (own.config / "access.toml").write_text('rules = [{ path = "/", roles = ["emploee"] }]')
    own.process.send_signal(signal.SIGHUP)
    own.wait_for("reload_refused")
    assert held() == before
    assert before[1] == 1


def test_what_workers_shared_can_be_let_go(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    settings = worker.load_checked(gateway.config, gateway.environ)
    parts = Parts(settings, Board())
    services = weakref.ref(parts.services)
    parts.close()
    del parts
    gc.collect()
    assert services() is None


def test_an_owner_named_by_a_reload_needs_three_factors_from_then_on(own: Gateway) -> None:
    cookie = own.sign_in("admin")
    assert own.exchange(get("/admin", cookie)).status == 200
    own.reload('"otto@otium.example"]', '"otto@otium.example", "Adam@Acme.example."]')
    assert own.exchange(get("/admin", cookie)).status in (303, 401)


def test_a_session_ended_by_the_command_line_is_dead_on_every_worker(own: Gateway) -> None:
    cookie = own.sign_in()
    connections = [own.connect() for _ in range(24)]  # spread over both workers

    def ask_all() -> set[int]:
        found = set()
        for connection in connections:
            connection.send(get("/x", cookie))
            response = connection.response()
            assert response is not None
            found.add(response.status)
        return found

    assert ask_all() == {200}
    assert own.cli("account", "disable", "erin@acme.example").returncode == 0
    assert ask_all() == {401}
    assert own.cli("account", "enable", "erin@acme.example").returncode == 0
    assert ask_all() == {401}
    cookie = own.sign_in()
    assert ask_all() == {200}
    assert own.cli("session", "revoke", "--email", "erin@acme.example").stdout == "1 session ended\n"
    assert ask_all() == {401}
    for connection in connections:
        connection.sock.close()


def test_sockets_of_systemd_are_served_and_readiness_is_told(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(300)
    given = socket.create_server(("127.0.0.1", 0))
    script = f"import os, sys; os.dup2({given.fileno()}, 3, inheritable=True); os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.executable, [sys.executable, '-m', 'gateway', 'serve', '--config', {str(gateway.config)!r}])"
    environ = {**gateway.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with gateway.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", script], env=environ, pass_fds=[given.fileno()], stdout=log, stderr=log
        )
    try:
        while (said := notify.recv(4096)) == b"WATCHDOG=1":  # the start may take longer than that
            continue
        assert said == b"READY=1", gateway.logged()
        with Connection(given.getsockname()[1]) as connection:
            connection.send(get("/public"))
            response = connection.response()
        assert response is not None
        assert response.status == 200
        process.send_signal(signal.SIGTERM)
        while notify.recv(4096) != b"STOPPING=1":
            pass
    finally:
        process.terminate()
        process.wait(120)
        given.close()
        notify.close()


def test_a_reload_may_change_where_we_listen(own: Gateway) -> None:
    other = free_port()
    settings = own.config / "gateway.toml"
    settings.write_text(settings.read_text().replace(f'"127.0.0.1:{own.port}", ', f'"127.0.0.1:{other}", '))
    own.reload_files()
    for place in (other, own.unix):
        response = exchange(place, get("/public"))
        assert response is not None
        assert response.status == 200
    wait_until(lambda: not is_listening(own.port))
    own.stop()
    assert not Path(own.unix).exists()


def test_workers_end_when_the_supervisor_is_killed(own: Gateway) -> None:
    workers = own.workers()
    assert own.process is not None
    own.process.kill()
    own.process.wait(120)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_port_that_is_taken_is_said_in_one_line(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}")
    with socket.create_server(("127.0.0.1", gateway.port)):
        result = gateway.cli("serve")
    assert result.returncode == 1
    assert f"127.0.0.1:{gateway.port}" in result.stderr
    assert "Traceback" not in result.stderr
