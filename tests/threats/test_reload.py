"""A reload holds at once for everybody: also on connections, and in streams, that workers of before still serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_devices import stream


@pytest.fixture
def own(recorder: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes={"LISTEN__DRAIN_SECONDS": "20"}).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def test_a_connection_from_before_is_answered_by_the_new_rules(own: Gateway, upstream: RecordingUpstream) -> None:
    cookie = own.sign_in("employee")
    with own.connect() as connection:
        connection.send(get("/x", cookie))
        assert (connection.response() or pytest.fail("no answer")).status == 200
        own.reload('{ path = "/" }', '{ path = "/", roles = ["admin"] }')
        connection.send(get("/x", cookie))
        assert (connection.response() or pytest.fail("no answer")).status == 403


def test_a_connection_from_before_asks_a_new_owner_for_what_is_missing(
    own: Gateway, upstream: RecordingUpstream
) -> None:
    cookie = own.sign_in("manager")
    with own.connect() as connection:
        connection.send(get("/x", cookie))
        assert (connection.response() or pytest.fail("no answer")).status == 200
        own.reload("owners = [", 'owners = ["mara@acme.example", ')
        connection.send(get("/x", cookie))
        assert (connection.response() or pytest.fail("no answer")).status == 401
    assert [request.target for request in upstream.requests] == ["/x"]


def test_a_stream_from_before_ends_if_the_new_rules_do_not_allow_it(own: Gateway, upstream: RecordingUpstream) -> None:
    upstream.scripts["/stream"] = stream
    upstream.scripts["/ws"] = accept
    cookie = own.sign_in("employee")
    with own.connect() as connection, open_socket(own, cookie) as socket:
        connection.send(get("/stream", cookie))
        assert connection.read_until(b"hi\r\n").endswith(b"hi\r\n")
        assert socket.response() is not None
        assert socket.read_exactly(5) == b"hello"
        own.reload('{ path = "/" }', '{ path = "/", roles = ["admin"] }')
        assert connection.read_to_end() == b""
        assert socket.read_to_end()[:2] == b"\x88\x02"
