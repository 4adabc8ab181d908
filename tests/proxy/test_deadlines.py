"""THREATS 49: who keeps us waiting is let go, and nobody else notices."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.raw import TIMEOUT, Connection, get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

BODY_SECONDS = 2  # for which nothing of a body may arrive
ANSWER_SECONDS = 5  # for which the application may say nothing; all other waits end after one
DRIPS = 300  # bytes, five a second: more than fit into any of these waits, also on a machine that is late


@pytest.fixture(scope="module")
def impatient(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits a second for most things."""
    names = ["LISTEN__HEAD_SECONDS", "LISTEN__IDLE_SECONDS", "UPSTREAM__IDLE_SECONDS", "UPSTREAM__CONNECT_SECONDS"]
    more = {"LISTEN__BODY_SECONDS": str(BODY_SECONDS), "UPSTREAM__HEAD_SECONDS": str(ANSWER_SECONDS)}
    changes = {**dict.fromkeys(names, "1"), **more}
    folder = tmp_path_factory.mktemp("impatient")
    gateway = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield gateway
    assert gateway.stop() == 0


def drip(connection: Connection, content: bytes) -> int:
    """Send at most five bytes a second until the other side has had enough; return how many it took."""
    taken = 0
    connection.sock.settimeout(0.2)
    with contextlib.suppress(ConnectionError):
        for byte in content:
            connection.send(bytes([byte]))
            try:
                connection.buffer += connection.sock.recv(65_536)
                break
            except TimeoutError:
                taken += 1
    connection.sock.settimeout(TIMEOUT)
    return taken


def status_of(connection: Connection) -> int:
    response = connection.response()
    assert response is not None
    return response.status


def test_a_head_that_drips_is_refused_in_time(impatient: Gateway, upstream: RecordingUpstream) -> None:
    with impatient.connect() as connection:
        assert drip(connection, get("/public", "X: " + "y" * 1_000)) < DRIPS
        response = connection.response()
        assert response is not None
        assert response.status == 408
        assert connection.is_closed()
    assert upstream.requests == []


def test_a_second_head_that_drips_is_refused_in_time(impatient: Gateway, upstream: RecordingUpstream) -> None:
    with impatient.connect() as connection:
        connection.send(get("/public"))
        assert connection.response() is not None
        assert drip(connection, get("/public", "X: " + "y" * 1_000)) < DRIPS


def test_a_body_that_drips_is_cut_in_time(impatient: Gateway, upstream: RecordingUpstream) -> None:
    with impatient.connect() as connection:
        connection.send(get("/public", "Content-Length: 500", method="POST"))
        assert drip(connection, b"x" * 500) < DRIPS
        response = connection.response()
        assert response is not None
        assert response.status == 408
    with impatient.connect() as connection:
        connection.send(get("/public", "Transfer-Encoding: chunked", method="POST"))
        assert drip(connection, b"1\r\nx\r\n" * 100) < DRIPS


def test_a_body_that_never_begins_is_cut_in_time(impatient: Gateway, upstream: RecordingUpstream) -> None:
    for framing in ("Content-Length: 500", "Transfer-Encoding: chunked"):
        with impatient.connect() as connection:
            connection.send(get("/public", framing, method="POST"))
            response = connection.response()
            assert response is not None
            assert response.status == 408


def test_a_slow_body_that_makes_progress_arrives(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__BODY_SECONDS": "10"}).seed().start()
    try:
        with gateway.connect() as connection:
            connection.send(get("/public", "Content-Length: 20480", method="POST"))
            for _ in range(40):  # over twice as long as nothing may arrive
                connection.send(b"x" * 512)
                time.sleep(0.5)
            response = connection.response()
        assert response is not None
        assert response.status == 200
    finally:
        gateway.stop()


def test_idle_connections_are_closed_and_cost_the_others_nothing(
    impatient: Gateway, upstream: RecordingUpstream
) -> None:
    idle = [impatient.connect() for _ in range(500)]
    assert impatient.exchange(get("/x")).status == 401
    for connection in idle:
        assert connection.receive() == b""
        connection.sock.close()


def test_an_upstream_that_never_answers_is_504(impatient: Gateway, upstream: RecordingUpstream) -> None:
    def never(talk: Talk, _: Recorded) -> None:
        while talk.read_more():
            pass
        talk.close()

    upstream.scripts["/public/never"] = never
    response = impatient.exchange(get("/public/never"))
    assert response.status == 504
    assert b"upstream_timeout" in response.body


def test_an_upstream_that_takes_no_body_is_504(impatient: Gateway, upstream: RecordingUpstream) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    other = Gateway(
        impatient.folder / "full", f"127.0.0.1:{listener.getsockname()[1]}", changes={"UPSTREAM__IDLE_SECONDS": "1"}
    )
    other.seed().start()
    taken: list[socket.socket] = []
    threading.Thread(target=lambda: taken.append(listener.accept()[0]), daemon=True).start()
    try:
        with other.connect() as connection:
            connection.send(get("/public", "Content-Length: 500000000", method="POST"))
            while not select.select([connection.sock], [], [], 0)[0]:  # until it is answered; then everything is full
                with contextlib.suppress(ConnectionError):
                    if select.select([], [connection.sock], [], 0.1)[1]:
                        connection.sock.send(b"x" * 100_000)
            response = connection.response()
        assert response is not None
        assert response.status == 504
    finally:
        other.stop()
        listener.close()
        for sock in taken:
            sock.close()


def test_an_upstream_that_stops_in_the_middle_is_cut(impatient: Gateway, upstream: RecordingUpstream) -> None:
    def stall(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        while talk.read_more():
            pass
        talk.close()

    upstream.scripts["/public/stall"] = stall
    response = impatient.exchange(get("/public/stall"))
    assert response.status == 200
    assert not response.is_complete


def test_a_client_that_takes_nothing_is_cut(impatient: Gateway, upstream: RecordingUpstream) -> None:
    is_cut = threading.Event()

    def flood(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
        try:
            for _n in range(5_000):
                talk.send(b"z" * 100_000)
        except ConnectionError:
            is_cut.set()
            raise

    upstream.scripts["/public/flood"] = flood
    with impatient.connect() as connection:
        connection.send(get("/public/flood"))
        assert is_cut.wait(300)
        received = connection.read_to_end()
    assert len(received) < 500_000_000  # the kernel may have taken much of it


def test_an_upstream_that_is_not_there_is_502(tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = Gateway(tmp_path_factory.mktemp("alone"), "127.0.0.1:1").seed().start()
    try:
        response = gateway.exchange(get("/public"))
        assert response.status == 502
        assert b"upstream_unreachable" in response.body
    finally:
        gateway.stop()


@contextlib.contextmanager
def narrow(upstream: RecordingUpstream, folder: Path, seconds: int) -> Iterator[tuple[Gateway, threading.Event]]:
    """Yield a gateway with one connection to the upstream, for which requests wait so many seconds, and an event.

    Until the event is set, /public/hold is not answered.
    """
    go = threading.Event()

    def hold(talk: Talk, _: Recorded) -> None:
        assert go.wait(300)
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    upstream.scripts["/public/hold"] = hold
    changes = {"UPSTREAM__MAX_CONNECTIONS": "1", "UPSTREAM__CONNECT_SECONDS": str(seconds), "LISTEN__WORKERS": "1"}
    gateway = Gateway(folder, f"127.0.0.1:{upstream.port}", changes=changes).seed().start()
    try:
        yield gateway, go
    finally:
        go.set()
        gateway.stop()


def test_more_requests_than_the_upstream_may_have_wait_and_one_beyond_the_queue_is_503(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    with (
        narrow(upstream, tmp_path, 120) as (gateway, go),
        gateway.connect() as first, gateway.connect() as second, gateway.connect() as third,
    ):  # fmt: skip
        three = (first, second, third)
        for connection in three:
            connection.send(get("/public/hold"))
        answered, _, _ = select.select([connection.sock for connection in three], [], [], TIMEOUT)
        refused = [connection for connection in three if connection.sock in answered]
        assert [status_of(connection) for connection in refused] == [503]
        go.set()
        served = [connection for connection in three if connection not in refused]
        assert [status_of(connection) for connection in served] == [200, 200]


def test_a_request_that_waits_too_long_for_its_turn_is_503(upstream: RecordingUpstream, tmp_path: Path) -> None:
    with narrow(upstream, tmp_path, 1) as (gateway, go), gateway.connect() as first, gateway.connect() as second:
        first.send(get("/public/hold"))
        while not upstream.requests:
            time.sleep(0.01)
        second.send(get("/public/hold"))
        assert status_of(second) == 503
        go.set()
        assert status_of(first) == 200


def test_a_tunnel_that_once_was_too_fast_for_the_upstream_lives_on(
    impatient: Gateway, upstream: RecordingUpstream
) -> None:
    """Its upstream slows it down; nobody waits for the head of an answer afterwards."""
    take = threading.Event()

    def echo(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert take.wait(300)
        while talk.read_more():
            if talk.buffer.endswith(b"?"):
                talk.send(b"!")
            talk.buffer.clear()

    upstream.scripts["/public/ws"] = echo
    with impatient.connect() as connection:
        connection.send(get("/public/ws", "Upgrade: websocket", "Connection: Upgrade"))
        connection.read_until(b"\r\n\r\n")
        flood = threading.Thread(target=connection.send, args=(b"x" * 20_000_000 + b"?",))
        flood.start()
        time.sleep(0.3)
        take.set()
        flood.join()
        until = time.monotonic() + 1.5 * ANSWER_SECONDS
        while time.monotonic() < until:
            assert connection.read_until(b"!") == b"!"
            connection.send(b"?")
            time.sleep(0.1)


def test_an_early_answer_that_stalls_is_cut_although_its_request_was_slowed_down(
    impatient: Gateway, upstream: RecordingUpstream
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        folder = impatient.config.parent / "early"
        folder.mkdir()
        changes = {"UPSTREAM__IDLE_SECONDS": "5", "UPSTREAM__HEAD_SECONDS": "20", "LISTEN__WORKERS": "1"}
        gateway = Gateway(folder, f"127.0.0.1:{listener.getsockname()[1]}", changes=changes).seed().start()

        def answer_early() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(ConnectionError):
                sock.recv(4_096)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nearly")
                time.sleep(0.5)  # the request's body is in the way meanwhile
                while sock.recv(1_000_000):
                    pass

        server = threading.Thread(target=answer_early, daemon=True)
        server.start()
        try:
            with gateway.connect(timeout=40) as connection:
                connection.send(get("/public/x", "Content-Length: 20000000", method="POST") + b"x" * 20_000_000)
                assert connection.read_to_end().endswith(b"early")  # and the end, before this test's patience
        finally:
            gateway.stop()
