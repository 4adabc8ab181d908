"""Bodies and answers on their way: whole, in order, as they come, and never passed off as more than they are."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.speed import slowness
from tests.support.upstream import OK, Recorded, RecordingUpstream, Talk
from tests.threats.test_loop_lag import held

POST = ["Content-Type: application/octet-stream"]


def memory_of(gateway: Gateway) -> int:
    """Return the workers' private memory in kB."""
    total = 0
    for pid in gateway.workers():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_body_of_known_length_arrives_as_it_was_sent(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, method: str
) -> None:
    body = bytes(range(256)) * 20
    response = gateway.exchange(get("/x", employee, f"Content-Length: {len(body)}", method=method) + body)
    assert response.status == 200
    assert upstream.requests[0].body == body
    assert upstream.requests[0].all("content-length") == [str(len(body))]


def test_a_chunked_body_is_framed_anew(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    head = get("/x", employee, "Transfer-Encoding: chunked", method="POST")
    assert gateway.exchange(head + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n").status == 200
    assert upstream.requests[0].body == b"5\r\nabcde\r\n0\r\n\r\n"
    assert upstream.requests[0].all("transfer-encoding") == ["chunked"]


def test_a_chunk_whose_size_comes_first_does_not_hold_up_the_rest(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    """Its size comes with the head; its bytes come after."""
    head = get("/x", employee, "Transfer-Encoding: chunked", "Expect: 100-continue", method="POST")
    with gateway.connect() as connection:
        connection.send(head + b"5\r\n")
        connection.send(b"hello\r\n0\r\n\r\n")
        response = connection.response()
    assert response is not None
    assert response.status == 200
    assert upstream.requests[0].body == b"5\r\nhello\r\n0\r\n\r\n"


def test_a_compressed_body_stays_as_it_is(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    body = b"\x1f\x8b\x08 not even gzip"
    gateway.exchange(
        get("/x", employee, "Content-Encoding: gzip", f"Content-Length: {len(body)}", method="POST") + body
    )
    assert upstream.requests[0].body == body
    assert upstream.requests[0].all("content-encoding") == ["gzip"]


def test_a_large_upload_streams_in_flat_memory(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    block, blocks = b"x" * 1_000_000, 60
    got = hashlib.sha256()
    sizes = [0]

    def drain(talk: Talk, request: Recorded) -> None:
        got.update(request.body)
        sizes[0] += len(request.body)
        talk.send(OK)

    upstream.scripts["/upload"] = drain
    before = memory_of(gateway)
    with gateway.connect() as connection:
        connection.send(get("/upload", employee, f"Content-Length: {len(block) * blocks}", method="POST"))
        peak = before
        for _ in range(blocks):
            connection.send(block)
            peak = max(peak, memory_of(gateway))
        response = connection.response()
    assert response is not None
    assert response.status == 200
    assert sizes[0] == len(block) * blocks
    assert got.hexdigest() == hashlib.sha256(block * blocks).hexdigest()
    assert peak - before < 16_000


def test_a_large_download_streams_in_flat_memory(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    block, blocks = b"y" * 1_000_000, 60

    def send(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(block) * blocks))
        for _n in range(blocks):
            talk.send(block)

    upstream.scripts["/download"] = send
    before = memory_of(gateway)
    with gateway.connect() as connection:
        connection.send(get("/download", employee))
        response = connection.response()
    assert response is not None
    assert response.body == block * blocks
    assert memory_of(gateway) - before < 16_000


def test_a_slow_reader_slows_the_upstream_down(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    """What the kernel takes is its own affair: on a large machine, that is dozens of megabytes for each connection."""
    sent, length = [0], 2_000_000_000

    def send(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        while sent[0] < length:
            talk.send(b"z" * 100_000)
            sent[0] += 100_000

    upstream.scripts["/flood"] = send
    before = memory_of(gateway)
    with gateway.connect() as connection:
        connection.send(get("/flood", employee))
        connection.read_exactly(1_000)
        last = -1
        while last != sent[0]:  # until the upstream can't send any more
            last = sent[0]
            time.sleep(1)
        assert sent[0] < length
        assert memory_of(gateway) - before < 16_000
        health = gateway.exchange(get("/x", employee))
        assert health.status == 200


def test_tiny_chunks_do_not_hold_up_the_others(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.scripts["/tiny"] = lambda talk, _: talk.send(OK)
    stop, before = threading.Event(), held(gateway)
    answered: list[int] = []

    def others() -> None:
        while not stop.is_set():
            answered.append(gateway.exchange(get("/x", employee)).status)

    thread = threading.Thread(target=others)
    thread.start()
    with gateway.connect() as connection:
        connection.send(get("/tiny", employee, "Transfer-Encoding: chunked", method="POST"))
        for _ in range(100):
            connection.send(b"1\r\nx\r\n" * 10_000)
        connection.send(b"0\r\n\r\n")
        response = connection.response()
    stop.set()
    thread.join()
    assert response is not None
    assert response.status == 200
    assert set(answered) == {200}
    assert held(gateway)[1.0] == before[1.0]  # by the work of its loop, however late a busy machine makes it


TINY = b"1\r\nx\r\n" * 10_000


def send_at_once(gateway: Gateway, sock: socket.socket) -> None:
    """Send a body of tiny chunks, megabytes of which are in the kernel before a worker reads on: it is late."""
    for _ in range(20):  # so that the kernel takes more at a time
        sock.sendall(TINY)
    stopped, sent = gateway.workers(), 0
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        while select.select([], [sock], [], 0.5)[1]:
            sent += sock.send(TINY[sent % 6 :])
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert sent > 1_000_000
    sock.sendall(TINY[sent % 6 :] + b"0\r\n\r\n")


def assert_turns(gateway: Gateway, before: dict[float, float]) -> None:
    after, most = held(gateway), 0.25 * slowness()
    bound = min(bound for bound in after if bound >= most)
    assert after[bound] == before[bound]


def test_a_body_that_came_while_a_worker_was_late_is_read_in_turns(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.scripts["/tiny"] = lambda talk, _: talk.send(OK)
    before = held(gateway)
    with gateway.connect() as connection:
        connection.send(get("/tiny", employee, "Transfer-Encoding: chunked", method="POST"))
        send_at_once(gateway, connection.sock)
        response = connection.response()
    assert response is not None
    assert response.status == 200
    assert_turns(gateway, before)


def test_an_answer_that_came_while_a_worker_was_late_is_read_in_turns(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    def tiny(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_at_once(gateway, talk.sock)

    upstream.scripts["/tiny"] = tiny
    before = held(gateway)
    with gateway.connect() as connection:
        connection.send(get("/tiny", employee))
        response = connection.response()
    assert response is not None
    assert len(response.body) > 1_200_000 / 6
    assert set(response.body) == {ord("x")}
    assert_turns(gateway, before)


def test_a_body_that_was_behind_another_request_is_read_to_its_end(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    """So much of it waits that the reading stopped, and it is still too little to be passed on."""
    seen = threading.Event()

    def wait(talk: Talk, _: Recorded) -> None:
        assert seen.wait(300)
        talk.send(OK)

    upstream.scripts["/first"] = wait
    with gateway.connect() as connection:
        connection.send(get("/first", employee))
        connection.send(get("/x", employee, "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 25_000)
        assert gateway.exchange(get("/x", employee)).status == 200  # by now the gateway has read what it reads
        seen.set()
        first = connection.response()
        connection.send(b"0\r\n\r\n")
        second = connection.response()
    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (200, 200)
    assert upstream.requests[-1].body == b"%x\r\n%b\r\n0\r\n\r\n" % (25_000, b"x" * 25_000)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_a_body_has_none(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, status: str
) -> None:
    upstream.answers("/none", f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode())
    with gateway.connect() as connection:
        for _ in range(2):
            connection.send(get("/none", employee))
            response = connection.response()
            assert response is not None
            assert response.status == int(status[:3])
            assert response.get("etag") == "x"
            assert response.get("transfer-encoding") is None


def test_head_keeps_the_length_and_has_no_body(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.answers("/head", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    with gateway.connect() as connection:
        connection.send(get("/head", employee, method="HEAD") + get("/x", employee))
        first, second = connection.response("HEAD"), connection.response()
    assert first is not None
    assert first.get("content-length") == "12345"
    assert second is not None
    assert second.body == b"ok"


def test_a_range_passes_both_ways(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.answers(
        "/part", b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab"
    )
    response = gateway.exchange(get("/part", employee, "Range: bytes=0-1", "If-Range: x"))
    assert (response.status, response.body, response.get("content-range")) == (206, b"ab", "bytes 0-1/9")
    assert upstream.requests[0].all("range") == ["bytes=0-1"]


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_answers_end_here(gateway: Gateway, upstream: RecordingUpstream, employee: str, interim: bytes) -> None:
    upstream.answers("/interim", b"HTTP/1.1 " + interim + b"\r\nLink: x\r\n\r\n" + OK)
    response = gateway.exchange(get("/interim", employee))
    assert (response.status, response.body) == (200, b"ok")


def test_a_chunked_answer_arrives_whole(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.answers(
        "/chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\nA: b\r\n\r\n"
    )
    with gateway.connect() as connection:
        for _ in range(2):
            connection.send(get("/chunks", employee))
            response = connection.response()
            assert response is not None
            assert (response.body, response.is_complete) == (b"abcdefg", True)


def test_a_chunked_answer_to_an_old_client_ends_with_the_connection(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.answers("/chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    request = get("/chunks", employee, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with gateway.connect() as connection:
        connection.send(request)
        response = connection.response()
        assert response is not None
        assert response.get("transfer-encoding") is None
        assert response.get("connection") == "close"
        assert response.body == b"abc"


def test_an_old_client_may_keep_its_connection(gateway: Gateway, employee: str, upstream: RecordingUpstream) -> None:
    request = get("/x", employee, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with gateway.connect() as connection:
        for _ in range(2):
            connection.send(request)
            response = connection.response()
            assert response is not None
            assert response.get("connection") == "keep-alive"
        connection.send(request.replace(b"Connection: keep-alive\r\n", b""))
        assert connection.response() is not None
        assert connection.is_closed()


def test_an_answer_that_ends_with_the_connection_is_whole(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.answers("/old", b"HTTP/1.0 200 OK\r\n\r\nthe end", closes=True)
    response = gateway.exchange(get("/old", employee))
    assert (response.body, response.is_complete) == (b"the end", True)


def test_events_arrive_as_they_happen(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    seen = threading.Event()

    def stream(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        talk.send(b"9\r\ndata: 1\n\n\r\n")
        assert seen.wait(300)  # the second event is only sent once the client has the first
        talk.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    upstream.scripts["/events"] = stream
    with gateway.connect() as connection:
        connection.send(get("/events", employee, "Accept: text/event-stream"))
        assert connection.read_until(b"data: 1\n\n").endswith(b"data: 1\n\n")
        seen.set()
        assert connection.read_until(b"data: 2\n\n").endswith(b"data: 2\n\n")


def test_continue_is_said_to_who_asks_and_may_go_on(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    with gateway.connect() as connection:
        connection.send(get("/x", employee, "Content-Length: 3", "Expect: 100-continue", method="POST"))
        interim = connection.response()
        assert interim is not None
        assert interim.status == 100
        connection.send(b"abc")
        response = connection.response()
        assert response is not None
        assert response.status == 200
    assert upstream.requests[0].body == b"abc"
    assert upstream.requests[0].all("expect") == []


def test_who_may_not_go_on_gets_the_final_answer_and_the_connection_ends(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    with gateway.connect() as connection:
        connection.send(get("/x", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        response = connection.response()
        assert response is not None
        assert response.status == 401
        assert connection.is_closed()
    assert upstream.requests == []


BROKEN = {
    "a short body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 200),
    "a short chunked body": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", 200),
    "a chunk cut": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", 200),
    "a head and nothing more": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
    "nothing": (b"", 502),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", 502),
    "NUL in a field": (b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n", 502),
    "a folded field": (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", 502),
    "a bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 502),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 502),
    "a signed length": (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", 502),
    "both framings": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
    "an unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 502),
    "no HTTP": (b"220 smtp.example ESMTP\r\n\r\n", 502),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", 502),
    "an unasked switch": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
    "an endless head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, 502),
    "a bad first chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 502),
}  # fmt: skip


@pytest.mark.parametrize(("content", "status"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_never_shown_as_a_whole_one(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, content: bytes, status: int
) -> None:
    upstream.answers("/broken", content, closes=True)
    with gateway.connect() as connection:
        connection.send(get("/broken", employee, "Content-Length: 0", method="POST"))
        response = connection.response()
    assert response is not None
    assert response.status == status
    assert status == 502 or not response.is_complete
    assert gateway.exchange(get("/x", employee)).body == b"ok"


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"x"])
def test_a_poisoned_connection_is_never_used_again(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, extra: bytes
) -> None:
    upstream.answers("/long", OK + extra)
    for _ in range(20):
        assert gateway.exchange(get("/long", employee)).body == b"ok"
        response = gateway.exchange(get("/x", employee))
        assert response.body == b"ok"
    used = [request.connection for request in upstream.requests if request.target == "/long"]
    assert len(set(used)) == len(used)


def test_a_body_behind_304_poisons_the_connection(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.answers("/304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison")
    for _ in range(10):
        assert gateway.exchange(get("/304", employee)).status == 304
        assert gateway.exchange(get("/x", employee)).body == b"ok"


def test_a_stale_connection_costs_nobody_an_answer(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    """The upstream closes every connection after its first answer, without saying so."""
    upstream.answers("/stale", OK, closes=True)
    for _ in range(40):
        assert gateway.exchange(get("/stale", employee)).status == 200


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK", "SUBSCRIBE", "PURGE"])
def test_what_must_not_happen_twice_is_never_sent_twice(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, method: str
) -> None:
    """The upstream takes the request and closes without an answer."""
    upstream.scripts["/once"] = lambda talk, _: talk.close()
    for body in (b"abc", b"", b"abc"):
        gateway.exchange(get("/x", employee))
        response = gateway.exchange(get("/once", employee, f"Content-Length: {len(body)}", method=method) + body)
        assert response.status == 502
    assert len([request for request in upstream.requests if request.target == "/once"]) == 3


@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "REPORT", "UNLOCK"])
def test_what_may_happen_twice_is_sent_once_more_where_a_kept_connection_was_closing(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, method: str
) -> None:
    """The upstream closes a connection that it has used before without an answer, and answers on a new one."""
    used: set[int] = set()

    def script(talk: Talk, _: Recorded) -> None:
        if talk.number in used:
            talk.close()
        else:
            talk.send(OK)

    upstream.scripts["/twice"] = script
    for _ in range(6):
        assert gateway.exchange(get("/x", employee)).status == 200
        used.update(request.connection for request in upstream.requests)
        assert gateway.exchange(get("/twice", employee, method=method)).status == 200


def test_connections_to_the_upstream_are_used_again(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    before = upstream.connections
    with gateway.connect() as connection:
        for _ in range(50):
            connection.send(get("/x", employee))
            assert connection.response() is not None
    assert upstream.connections - before < 10  # one that rested for too long, on a busy machine, is closed


def test_a_failure_is_a_page_for_people_and_json_for_programs(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.scripts["/gone"] = lambda talk, _: talk.close()
    page = gateway.exchange(get("/gone", employee, "Sec-Fetch-Mode: navigate", "Accept: text/html"))
    data = gateway.exchange(get("/gone", employee, "Sec-Fetch-Mode: cors"))
    for response in (page, data):
        assert response.status == 502
        assert (response.get("x-request-id") or "") in response.body.decode()
        assert response.get("cache-control") == "no-store"
    assert (page.get("content-type") or "").startswith("text/html")
    assert data.get("content-type") == "application/json"


def test_an_answer_made_for_one_person_is_not_kept_by_caches(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.answers("/cached", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n")
    assert gateway.exchange(get("/x", employee)).get("cache-control") == "private, no-store"
    assert gateway.exchange(get("/cached", employee)).all("cache-control") == ["max-age=60"]
    assert gateway.exchange(get("/public")).get("cache-control") is None


NO_CACHE, NO_STORE = "private, no-cache", "private, no-store"
KEPT = [
    ('ETag: "a"\r\nContent-Type: image/png', NO_CACHE),
    ("last-modified: Sat, 28 Nov 2026 12:00:00 GMT\r\ncontent-type: text/css; charset=utf-8", NO_CACHE),
    ('ETag: W/"b"\r\nContent-Type: application/json', NO_CACHE),
    ('ETag: "a"\r\nContent-Type: text/html; charset=utf-8', NO_STORE),
    ('ETag: "a"\r\nContent-Type: Application/XHTML+XML', NO_STORE),
    ('ETag: "a"', NO_STORE),  # a browser may take it for a page
    ("Content-Type: image/png", NO_STORE),
    ("X-ETag: a\r\nContent-Type: image/png", NO_STORE),
]


@pytest.mark.parametrize(("lines", "rule"), KEPT)
def test_a_browser_may_keep_what_is_no_page_and_ask_whether_it_changed(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, lines: str, rule: str
) -> None:
    upstream.answers("/x", f"HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 0\r\n\r\n".encode())
    for _ in range(2):
        assert gateway.exchange(get("/x", employee)).all("cache-control") == [rule]


def test_what_was_kept_stays_kept_when_it_has_not_changed(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.answers("/x", b"HTTP/1.1 304 Not Modified\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n\r\n")
    assert gateway.exchange(get("/x", employee, 'If-None-Match: "a"')).all("cache-control") == [NO_CACHE]


NO_ANSWERS = [
    (b"", True, "upstream_closed", "without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", True, "upstream_closed", "in the middle of the head"),
    (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", False, "upstream_answer_refused", "LF without CR"),
    (b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 0\r\n", False, "upstream_answer_refused", "LF without CR"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", False, "upstream_answer_refused", "no HTTP/1"),
    (b"\x15\x03\x01", False, "upstream_answer_refused", "no HTTP/1"),
    (b"HTTP/2 200\r\n", False, "upstream_answer_refused", "no HTTP/1"),
]


@pytest.mark.parametrize(("content", "closes", "event", "reason"), NO_ANSWERS)
def test_what_is_no_answer_is_said_at_once_and_the_log_says_why(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, content: bytes, closes: bool, event: str, reason: str
) -> None:
    """The connection stays open where the upstream does not close it: nobody waits for the deadline of a minute."""
    upstream.answers("/x", content, closes=closes)
    mark = len(gateway.logged())
    response = gateway.exchange(get("/x", employee, "Content-Length: 0", method="POST"))
    assert response.status == 502
    gateway.wait_for(f'"event": "{event}"', since=mark)
    (line,) = [json.loads(line) for line in gateway.logged()[mark:].splitlines() if f'"event": "{event}"' in line]
    assert (line["request_id"], reason in line["reason"]) == (response.get("x-request-id"), True)


def test_an_answer_that_stops_in_the_middle_is_in_the_log(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    upstream.answers("/x", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", closes=True)
    mark = len(gateway.logged())
    response = gateway.exchange(get("/x", employee, "Content-Length: 0", method="POST"))
    assert not response.is_complete
    gateway.wait_for("in the middle of its answer", since=mark)


def test_the_unix_socket_serves_as_well(gateway: Gateway, upstream: RecordingUpstream) -> None:
    from tests.support.raw import exchange

    response = exchange(gateway.unix, get("/public"))
    assert response is not None
    assert response.status == 200
    assert upstream.requests[0].all("x-forwarded-for") == []
