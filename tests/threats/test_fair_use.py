"""One client at full speed, and people elsewhere who go on working (THREATS.md: what one can take from all)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import PASSWORD, PEOPLE, PROXY, Gateway, cookie_of, form
from tests.support.raw import Connection
from tests.support.upstream import RecordingUpstream

FLOOD, PERSON = "127.0.0.3", "127.0.0.4"
SOON = 30.0  # seconds, on a machine that others keep busy; bench/fair_use.py measures


@pytest.fixture(scope="module")
def scarce(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of one worker with little of everything, and hashes that take as long as real ones."""
    changes = {
        "LISTEN__WORKERS": "1",
        "LISTEN__DRAIN_SECONDS": "0.5",
        "LIMITS__HASHING_ITERATIONS": "200000",
        "LIMITS__HASHING_QUEUE": "16",
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
    before = refused(scarce, "hashing")
    with connections(scarce, 60, source or FLOOD) as opened:
        for number, connection in enumerate(opened):
            fields = {"email": f"new{number}@acme.example", "password": PASSWORD}
            connection.send(form("/login", fields, *(line.format(number) for line in flood)))
        assert sign_in(scarce, *person, source=source or PERSON) < SOON
        answers = [connection.response() for connection in opened[-10:]]
    busy = [answer for answer in answers if answer is not None and answer.status == 503]
    assert len(busy) > 5
    assert all(answer.get("retry-after") for answer in busy)
    assert refused(scarce, "hashing") > before + 20
    assert '"what": "hashing"' in scarce.logged()
