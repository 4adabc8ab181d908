"""A restart by socket activation, under load: the socket waits, and so does who came to it, for a moment."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.test_tunnel import UPGRADE, accept
from tests.support.gateway import ORIGIN, Gateway
from tests.support.raw import Connection, get
from tests.support.upstream import OK, Recorded, RecordingUpstream, Talk

RESTARTS = 3
PATIENCE = 90  # seconds for a restart: on a busy machine a new Python takes its time, and everybody waits for it
ANSWER_SECONDS = 0.05  # of the application
HI = b"\x81\x02hi"
GOING_AWAY = b"\x88\x02\x03\xe9"  # close code 1001: the server goes, and the page comes back
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.execv(sys.executable, [sys.executable, '-m', 'gateway', 'serve', '--config', sys.argv[2]])"
)


class Activator:
    """What systemd does for a unit with a socket: it holds the socket, starts the service, and starts it anew."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = int(self.socket.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        since = len(self.gateway.logged())
        with self.gateway.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(self.socket.fileno()), str(self.gateway.config)],
                env={**self.gateway.environ, "LISTEN_FDS": "1"}, pass_fds=[self.socket.fileno()], stdout=log, stderr=log,
            )  # fmt: skip
        self.gateway.process = self.process
        self.gateway.wait_for('"event": "serving"', since=since)

    def restart(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0
        self.start()

    def reload(self) -> None:
        assert self.process is not None
        since = len(self.gateway.logged())
        self.process.send_signal(signal.SIGHUP)
        self.gateway.wait_for('"event": "reloaded"', since=since)


@pytest.fixture
def activated(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Activator]:
    upstream.scripts["/ws"] = accept
    activator = Activator(
        Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__DRAIN_SECONDS": "60"}).seed()
    )
    activator.start()
    yield activator
    assert activator.process is not None
    activator.process.terminate()
    activator.process.wait(PATIENCE)
    activator.socket.close()


def take_time(talk: Talk, _: Recorded) -> None:
    """Answer after a moment: each connection always has a request, and they take no core that a new Python needs."""
    time.sleep(ANSWER_SECONDS)
    talk.send(OK)


@contextlib.contextmanager
def wrk(port: int, cookie: str) -> Iterator[subprocess.Popen[str]]:
    command = ["wrk", "-t1", "-c16", "-d1h", "--timeout", f"{PATIENCE}s", "-H", "Host: app.example.com", "-H", cookie]
    with subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}/load"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as load:
        try:
            yield load
        finally:
            load.kill()


class Listener(threading.Thread):
    """A page with a WebSocket: it says something now and then, and opens a new one when the old one is closed."""

    def __init__(self, port: int, cookie: str) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.cookie = cookie
        self.stopped = threading.Event()
        self.opened = self.answered = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                with Connection(self.port, timeout=PATIENCE) as connection:
                    self.talk(connection)
            except OSError as error:
                self.failures.append(repr(error))

    def talk(self, connection: Connection) -> None:
        connection.send(get("/ws", *UPGRADE, self.cookie, f"Origin: {ORIGIN}"))
        response = connection.response()
        if response is None or response.status != 101:
            self.failures.append(f"not opened: {response}")
            return
        self.opened += 1
        answer = connection.read_exactly(5)  # a worker that leaves says at once that it goes
        while answer in (b"hello", HI) and not self.stopped.wait(0.02):
            connection.send(HI)
            answer = connection.read_exactly(4)
            self.answered += answer == HI
        if answer not in (b"hello", HI, GOING_AWAY):
            self.failures.append(f"ended with {answer!r}")

    def wait_for_answers(self) -> None:
        since, until = self.answered, time.monotonic() + PATIENCE
        while self.answered < since + 10:
            assert time.monotonic() < until, self.failures
            time.sleep(0.02)


@pytest.mark.parametrize("way", ["restart", "reload"])
def test_nobodys_request_fails(activated: Activator, upstream: RecordingUpstream, way: str) -> None:
    cookie = activated.gateway.sign_in()
    upstream.scripts["/load"] = take_time
    page = Listener(activated.port, cookie)
    page.start()
    with wrk(activated.port, cookie) as load:
        page.wait_for_answers()
        for _ in range(RESTARTS):
            getattr(activated, way)()
            page.wait_for_answers()
        while len(upstream.requests) < 1_100:  # some of them are the page's
            assert load.poll() is None
            time.sleep(0.02)
        load.send_signal(signal.SIGINT)  # it then ends, and says what it saw
        output, _ = load.communicate(timeout=300)
    page.stopped.set()
    page.join()
    requests = re.search(r"(\d+) requests in", output)
    assert requests, output
    assert int(requests[1]) > 1_000, output
    assert "Socket errors" not in output
    assert "Non-2xx" not in output
    assert page.failures == []
    assert page.opened >= RESTARTS + 1
