"""A worker that leaves: whoever it still talks to is told so, and none of their requests is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.test_restart import GOING_AWAY
from tests.proxy.test_tunnel import UPGRADE, accept
from tests.support.gateway import ORIGIN, Gateway
from tests.support.raw import get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

DRAIN_SECONDS = 300  # longer than any of these tests waits for the end


@pytest.fixture
def own(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    changes = {"LISTEN__DRAIN_SECONDS": str(DRAIN_SECONDS), "LISTEN__WORKERS": "1"}
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed().start()
    yield gateway
    assert gateway.process is not None
    if gateway.process.poll() is None:
        gateway.stop()


def begin_to_drain(gateway: Gateway) -> None:
    """Return when the worker has left, with its clients' connections still open."""
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGTERM)
    gateway.wait_for('"event": "draining"')
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the kernel likes
        while True:
            gateway.connect().sock.close()


def ended(gateway: Gateway) -> bool:
    """Whether the gateway ends well, and long before the time to drain is over."""
    assert gateway.process is not None
    return gateway.process.wait(DRAIN_SECONDS / 2) == 0


def test_a_socket_that_is_being_opened_is_told_to_come_back(own: Gateway, upstream: RecordingUpstream) -> None:
    asked, go = threading.Event(), threading.Event()

    def accept_late(talk: Talk, request: Recorded) -> None:
        asked.set()
        assert go.wait(300)
        accept(talk, request)

    upstream.scripts["/ws"] = accept_late
    cookie = own.sign_in()
    with own.connect(timeout=300) as connection:
        connection.send(get("/ws", *UPGRADE, cookie, f"Origin: {ORIGIN}"))
        assert asked.wait(300)
        begin_to_drain(own)
        go.set()
        response = connection.response()
        assert response is not None
        assert response.status == 101
        assert connection.read_to_end().removeprefix(b"hello") == GOING_AWAY
    assert ended(own)


def test_who_was_promised_to_be_heard_again_is_heard_once_more(own: Gateway, upstream: RecordingUpstream) -> None:
    """The head of an answer said that the connection stays open: the next request may be on its way already."""
    go = threading.Event()

    def slow(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        assert go.wait(300)
        talk.send(b"lf")

    upstream.scripts["/public/slow"] = slow
    with own.connect(timeout=300) as connection:
        connection.send(get("/public/slow"))
        head = connection.read_until(b"\r\n\r\n")
        assert b"connection: close" not in head.lower()
        assert connection.read_exactly(2) == b"ha"
        begin_to_drain(own)
        go.set()
        assert connection.read_exactly(2) == b"lf"
        connection.send(get("/public"))
        response = connection.response()
        assert response is not None
        assert (response.status, response.get("connection")) == (200, "close")
        assert connection.is_closed()
    assert ended(own)


def test_an_answer_that_begins_while_draining_promises_nothing(own: Gateway, upstream: RecordingUpstream) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(talk: Talk, _: Recorded) -> None:
        asked.set()
        assert go.wait(300)
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    upstream.scripts["/public/slow"] = slow
    with own.connect(timeout=300) as connection:
        connection.send(get("/public/slow"))
        assert asked.wait(300)
        begin_to_drain(own)
        go.set()
        response = connection.response()
        assert response is not None
        assert (response.body, response.get("connection")) == (b"ok", "close")
        assert connection.is_closed()
    assert ended(own)
