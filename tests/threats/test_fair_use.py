"""One client at full speed, and people elsewhere who go on working (THREATS.md: what one can take from all)."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.wire.http1 import ChunkedBody
from tests.support.gateway import ORIGIN, PASSWORD, PEOPLE, PROXY, Gateway, cookie_of, form
from tests.support.raw import Connection, get
from tests.support.upstream import Recorded, RecordingUpstream, Talk

# The addresses of clients.
FLOOD, PERSON = "127.0.0.3", "127.0.0.4"
SOON = 120.0  # seconds, on a machine that others keep busy; bench/fair_use.py measures


@pytest.fixture(scope="module")
def scarce(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of one worker with little of everything, and hashes that take as long as real ones."""
    changes = {
        "LISTEN__WORKERS": "1",
        "LISTEN__DRAIN_SECONDS": "0.5",
        "LIMITS__HASHING_ITERATIONS": "200000",
        "LIMITS__HASHING_QUEUE": "16",
        "LISTEN__MAX_CONNECTIONS": "200",
        "LISTEN__MAX_BODIES": "16",
        "LISTEN__MAX_PAGES": "200",
        "UPSTREAM__MAX_CONNECTIONS": "4",
        "UPSTREAM__CONNECT_SECONDS": "1",
    }
    folder: Path = tmp_path_factory.mktemp("scarce")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    running.stop()


def refused(gateway: Gateway, of: str, reason: str = "share") -> float:
    answer = gateway.ask_admin("/metrics")
    return next(
        sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == "otium_gateway_shares_refused_total" and sample.labels == {"of": of, "reason": reason}
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def batched(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def dechunk(framed: bytes) -> bytes:
    payload, rest = ChunkedBody().feed(framed)
    assert rest == b""
    return payload


@contextlib.contextmanager
def connections(gateway: Gateway, count: int, source: str) -> Iterator[list[Connection]]:
    opened = [gateway.connect(source=source) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.sock.close()


def sign_in(gateway: Gateway, *lines: str, source: str = PERSON, email: str = PEOPLE["employee"][0]) -> float:
    """Sign in as somebody does; return how long it took, in seconds."""
    began = time.monotonic()
    answer = gateway.post("/login", {"email": email, "password": PASSWORD}, *lines, source=source)
    assert answer.status == 303, answer.body
    assert cookie_of(answer)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("source", "flood", "person"),
    [
        (None, [], []),
        (PROXY, ["X-Forwarded-For: 2001:db8:7::{}"], ["X-Forwarded-For: 2001:db8:8::1"]),  # one /64
    ],
)
def test_ever_new_emails_from_one_client_keep_nobody_else_from_signing_in(
    scarce: Gateway, source: str | None, flood: list[str], person: list[str]
) -> None:
    before, numbers = refused(scarce, "hashing"), itertools.count()

    def fills_the_queue() -> bool:
        """Send a wave, during which the person signs in. On a busy machine it may come too slowly to fill anything."""
        with connections(scarce, 60, source or FLOOD) as opened:
            for number, connection in zip(numbers, opened, strict=False):
                fields = {"email": f"new{number}@acme.example", "password": PASSWORD}
                connection.send(form("/login", fields, *(line.format(number % 10_000) for line in flood)))
            assert sign_in(scarce, *person, source=source or PERSON) < SOON
            answers = [connection.response() for connection in opened[-10:]]
        busy = [answer for answer in answers if answer is not None and answer.status == 503]
        assert all(answer.get("retry-after") for answer in busy)
        return bool(busy) and refused(scarce, "hashing") > before + 10

    wait_until(fills_the_queue)
    assert '"what": "hashing"' in scarce.logged()


def test_a_client_that_fills_the_queue_is_refused_before_its_next_form_is_read(scarce: Gateway) -> None:
    enough = threading.Event()

    def flood(thread: int) -> None:
        for number in itertools.count():
            if enough.is_set():
                return
            fields = {"email": f"more{number}of{thread}@acme.example", "password": PASSWORD}
            with scarce.connect(source=FLOOD) as connection:
                connection.send(form("/login", fields))
                connection.response()

    def is_refused_unread() -> bool:
        with scarce.connect(source=FLOOD, timeout=0.5) as connection:
            connection.send(get("/login", f"Origin: {ORIGIN}", "Content-Length: 60", method="POST"))
            try:
                answer = connection.response()
            except TimeoutError:  # there was room at that moment, and the form is waited for
                return False
        assert answer is not None
        assert (answer.status, answer.get("connection")) == (503, "close")
        assert 5 <= int(answer.get("retry-after") or 0) <= 600  # as long as the queue takes on this machine
        return b"Sign-in is very busy" in answer.body

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    try:
        wait_until(is_refused_unread)
        assert sign_in(scarce) < SOON
    finally:
        enough.set()
        for thread in threads:
            thread.join()


HALF_A_POST = [get(path, "Content-Length: 60000", method="POST") + b"7 bytes" for path in ("/login", "/public/form")]


@pytest.mark.parametrize("half", HALF_A_POST, ids=["page", "application"])
def test_a_body_that_never_ends_takes_nothing_but_its_clients_share_of_bodies(
    scarce: Gateway, upstream: RecordingUpstream, half: bytes
) -> None:
    before = refused(scarce, "bodies")
    with connections(scarce, 24, FLOOD) as opened:
        for connection in opened:
            connection.send(half)
        answers = [connection.response() for connection in opened[8:]]  # eight of sixteen are its share
        assert [answer.status for answer in answers if answer is not None] == [429] * 16
        assert all(answer is not None and answer.get("retry-after") == "5" for answer in answers)
        assert upstream.requests == []
        assert scarce.exchange(get("/public"), source=FLOOD).status == 200
        assert scarce.post("/public/form", {"a": "whole"}, source=FLOOD).status == 200
        assert scarce.exchange(half[:-7] + b"7" * 60_000, source=PERSON).status in (200, 403, 415)
        assert sign_in(scarce) < SOON
    wait_until(lambda: refused(scarce, "bodies") == before + 16)


def test_a_form_in_small_pieces_arrives_whole_and_in_one_go(scarce: Gateway, upstream: RecordingUpstream) -> None:
    fields = {"email": PEOPLE["employee"][0], "password": PASSWORD}
    whole = form("/login", fields) + form("/public/form", b"x" * 3_000)
    with scarce.connect(source=PERSON, timeout=SOON) as connection:
        for at in range(0, len(whole), 100):
            connection.send(whole[at : at + 100])
        first, second = connection.response(), connection.response()
    assert first is not None
    assert first.status == 303
    assert second is not None
    assert second.status == 200
    assert [request.body for request in upstream.requests] == [b"x" * 3_000]


@pytest.mark.parametrize("size", [70_000, 1_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_large_body_arrives_as_it_was_sent(
    scarce: Gateway, upstream: RecordingUpstream, size: int, framing: str
) -> None:
    body = bytes(range(256)) * (size // 256)
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in batched(body, 9_999)) + b"0\r\n\r\n"
    sent, line = (
        (body, f"Content-Length: {len(body)}") if framing == "length" else (chunked, "Transfer-Encoding: chunked")
    )
    with scarce.connect(source=PERSON) as connection:
        connection.send(get("/public/form", line, method="POST"))
        for part in batched(sent, 50_000):
            connection.send(part)
        answer = connection.response()
    assert answer is not None
    assert answer.status == 200
    received = upstream.requests[0].body
    assert (received if framing == "length" else dechunk(received)) == body


def test_who_is_signed_out_before_a_body_ends_has_sent_nothing(scarce: Gateway, upstream: RecordingUpstream) -> None:
    """It is decided about when it is whole, and not when its head comes."""
    cookie = scarce.sign_in("manager", source=PERSON)
    with scarce.connect(source=PERSON) as connection:
        connection.send(get("/notes", cookie, "Content-Length: 10", method="POST") + b"01234")
        scarce.post("/logout", {}, cookie, source=PERSON)
        connection.send(b"56789")
        answer = connection.response()
    assert answer is not None
    assert answer.status == 401
    assert upstream.requests == []


def test_a_body_that_waits_for_100_continue_is_asked_for(scarce: Gateway, upstream: RecordingUpstream) -> None:
    with scarce.connect(source=PERSON) as connection:
        connection.send(get("/public/form", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        interim = connection.response()
        connection.send(b"01234")
        answer = connection.response()
    assert interim is not None
    assert interim.status == 100
    assert answer is not None
    assert answer.status == 200
    assert upstream.requests[0].body == b"01234"


def test_who_holds_the_application_for_long_leaves_some_for_others(
    scarce: Gateway, upstream: RecordingUpstream
) -> None:
    go = threading.Event()

    def hold(talk: Talk, _: Recorded) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        go.wait(300)
        talk.close()

    upstream.scripts["/public/hold"] = hold
    before = refused(scarce, "application")
    with connections(scarce, 3, FLOOD) as opened:
        for connection in opened:
            connection.send(get("/public/hold"))
        assert [connection.read_until(b"data: 1")[9:12] for connection in opened[:2]] == [b"200", b"200"]
        assert scarce.exchange(get("/public"), source=PERSON).status == 200
        answer = opened[2].response()  # it has waited for as long as one waits for a connection
        assert answer is not None
        assert (answer.status, answer.get("retry-after")) == (503, "5")
        go.set()
        for connection in opened[:2]:
            connection.read_until(b"0\r\n\r\n")
    assert scarce.exchange(get("/public"), source=FLOOD).status == 200
    wait_until(lambda: refused(scarce, "application") == before + 1)


def test_one_address_can_not_have_all_connections(scarce: Gateway, upstream: RecordingUpstream) -> None:
    with connections(scarce, 130, FLOOD) as opened:
        for connection in opened:
            connection.send(b"GET /public HTTP/1.1\r\n")
        answer = opened[-1].response()
        assert answer is None or answer.status == 429  # a client that is still sending may see a reset
        assert scarce.exchange(get("/public"), source=PERSON).status == 200
    wait_until(lambda: refused(scarce, "connections") >= 30)


def test_the_connections_of_a_proxy_are_nobodys_in_particular(scarce: Gateway, upstream: RecordingUpstream) -> None:
    before = refused(scarce, "connections")
    with connections(scarce, 130, PROXY) as opened:
        for connection in opened:
            connection.send(get("/public", "X-Forwarded-For: 203.0.113.9"))
            assert connection.response() is not None
    assert refused(scarce, "connections") == before
