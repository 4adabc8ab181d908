"""When a session has been idle: what moves is a use of it, and what only stays open is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import Gateway
from tests.support.raw import Connection, get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

IDLE = 12  # seconds: signing in three people on a busy machine takes less, and so does a pause of it
PONG = b"\x8a\x80\x00\x00\x00\x00"
TEXT = b"\x81\x82\x00\x00\x00\x00hi"


@pytest.fixture(scope="module")
def forgetful(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose sessions end after IDLE seconds without use."""
    changes = {
        "SESSIONS__MEMBERS__IDLE_SECONDS": str(IDLE),
        "SESSIONS__MEMBERS__ABSOLUTE_SECONDS": "600",
        "LISTEN__DRAIN_SECONDS": "1",
    }
    folder = tmp_path_factory.mktemp("forgetful")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    running.stop()


def keep_answering_pings(tunnel: Connection) -> bytes:
    """Send pongs, as a browser does with nobody there, until the other side closes; return what it sent last."""
    received, until = b"", time.monotonic() + 120
    tunnel.sock.settimeout(0.3)
    while time.monotonic() < until:
        try:
            more = tunnel.sock.recv(100)
        except TimeoutError:
            tunnel.send(PONG)
            continue
        received += more
        if received.endswith(b"\x03\xf0") or not more:
            break
    return received


def test_what_moves_keeps_its_session(forgetful: Gateway, upstream: RecordingUpstream) -> None:
    """An upload, a download and a WebSocket in use, each twice as long as the idle limit, side by side."""

    def give(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _n in range(20):
            talk.send(b"12345")
            time.sleep(IDLE / 10)

    upstream.scripts["/download"] = give
    upstream.scripts["/ws"] = accept
    up, down, socket = (forgetful.sign_in(who) for who in ("employee", "manager", "admin"))
    with forgetful.connect() as upload, forgetful.connect() as download, open_socket(forgetful, socket) as tunnel:
        download.send(get("/download", down))
        upload.send(get("/notes", up, "Content-Length: 100000", method="POST"))
        assert tunnel.read_until(b"hello").endswith(b"hello")
        for _ in range(20):
            upload.send(b"x" * 5_000)
            tunnel.send(TEXT)
            assert tunnel.read_exactly(len(TEXT)) == TEXT
            time.sleep(IDLE / 10)
        uploaded, downloaded = upload.response(), download.response()
    assert uploaded is not None
    assert uploaded.status == 200
    assert downloaded is not None
    assert downloaded.is_complete
    assert [len(request.body) for request in upstream.requests if request.target == "/notes"] == [100_000]
    assert forgetful.exchange(get("/x", up)).status == 200  # on whichever worker


def test_what_is_only_open_ends_with_its_session_and_says_why(forgetful: Gateway, upstream: RecordingUpstream) -> None:
    stop = threading.Event()

    def events(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not stop.wait(0.2):
            talk.send(b"9\r\ndata: 1\n\n\r\n")

    upstream.scripts["/events"] = events
    upstream.scripts["/ws"] = accept
    mark = len(forgetful.logged())
    with forgetful.connect() as stream, open_socket(forgetful, forgetful.sign_in("other")) as tunnel:
        stream.send(get("/events", forgetful.sign_in("employee")))
        answer = stream.read_until(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert tunnel.read_until(b"hello").endswith(b"hello")
        received = keep_answering_pings(tunnel)
        assert stream.read_to_end().endswith(b"\r\n0\r\n\r\n")
    assert received.endswith(b"\x88\x02\x03\xf0")  # 1008, RFC 6455 §7.4.1
    stop.set()
    until = time.monotonic() + 120
    while forgetful.logged()[mark:].count("its session was idle for too long") < 2:
        assert time.monotonic() < until, forgetful.logged()[mark:]
        time.sleep(0.05)
