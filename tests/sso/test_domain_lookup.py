"""Looking up what a domain publishes: a real DNS server on loopback, which answers well, wrongly, late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import dns.rcode
import dns.rrset
import pytest
from dns.message import Message

from gateway.sso.domains.lookup import Lookup, Unanswered, record_name
from tests.support.name_server import Answer, NameServer, alias, failing, pack, records, silent, txt, with_records

NAME = "_otiumwork-challenge.acme.example"
VALUE = "0123456789abcdef"


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer().running() as running:
        yield running


async def find(server: NameServer, *, is_late: bool = False) -> list[bytes] | Unanswered:
    """Look the name up; only where no answer will come, in a limit that is there for more than a server that hangs."""
    lookup = Lookup(server.address, seconds=1 if is_late else 120)
    found = await lookup.find(NAME)
    lookup.close()
    return found


def garbage(query: Message, is_tcp: bool) -> bytes:
    return query.to_wire()[:2] + b"\xff" * 40


def loop(query: Message, is_tcp: bool) -> bytes:
    """Answer with a name that points at itself."""
    return query.to_wire()[:2] + bytes.fromhex("8580 0001 0001 0000 0000 c00c 0010 0001")


def of_another_question(query: Message, is_tcp: bool) -> bytes:
    query.question[0].name = query.question[0].name.parent()
    return pack(with_records(query, "TXT", f'"{VALUE}"'), is_tcp)


def chain(query: Message, is_tcp: bool) -> bytes:
    """Answer with aliases that never end."""
    reply = with_records(query, "CNAME", "a0.acme.example.")
    for at in range(500):
        reply.answer.append(dns.rrset.from_text(f"a{at}.acme.example.", 60, "IN", "CNAME", f"a{at + 1}.acme.example."))
    return pack(reply, is_tcp)


THOUSANDS = [f'"no {at}"' for at in range(3_000)]


def huge(query: Message, is_tcp: bool) -> bytes:
    """Answer with nearly as much as fits into a message of DNS, 64 kB."""
    return pack(with_records(query, "TXT", *(THOUSANDS if is_tcp else THOUSANDS[:100])), is_tcp)


ANSWERS: dict[str, tuple[Answer, list[bytes] | Unanswered]] = {
    "found": (txt(VALUE), [VALUE.encode()]),
    "several": (txt("v=spf1 -all", VALUE, "x"), [b"v=spf1 -all", VALUE.encode(), b"x"]),
    "in pieces": (records("TXT", '"01234567" "89abcdef"'), [VALUE.encode()]),
    "an alias": (alias("proof.agency.example", VALUE), [VALUE.encode()]),
    "an alias of nothing": (alias("proof.agency.example"), []),
    "no records": (records("TXT"), []),
    "records of another kind": (records("A", "192.0.2.7"), []),
    "no such name": (failing(dns.rcode.NXDOMAIN), []),
    "SERVFAIL": (failing(dns.rcode.SERVFAIL), Unanswered.FAILED),
    "REFUSED": (failing(dns.rcode.REFUSED), Unanswered.FAILED),
    # What can't be read over UDP may be another's than the server's, and the right answer may still come.
    "garbage": (garbage, Unanswered.LATE),
    "a name that points at itself": (loop, Unanswered.LATE),
    "endless aliases": (chain, Unanswered.FAILED),
    "silence": (silent, Unanswered.LATE),
    "silence over TCP": (lambda query, is_tcp: None if is_tcp else huge(query, False), Unanswered.LATE),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_what_is_published_is_found_or_why_not_is_said(server: NameServer, case: str) -> None:
    answer, expected = ANSWERS[case]
    server.answers[NAME] = answer
    found = await find(server, is_late=expected is Unanswered.LATE)
    assert (sorted(found) if isinstance(found, list) else found) == (
        sorted(expected) if isinstance(expected, list) else expected
    )
    assert {name for name, _ in server.asked} == {NAME}


async def test_an_answer_to_another_question_is_none(server: NameServer) -> None:
    server.answers[NAME] = of_another_question
    assert await find(server, is_late=True) in (Unanswered.LATE, Unanswered.FAILED)


async def test_of_a_huge_answer_little_is_read(server: NameServer) -> None:
    server.answers[NAME] = huge
    found = await find(server)
    assert isinstance(found, list)
    assert len(found) == 50
    (_, was_tcp), *_, (_, is_tcp) = server.asked
    assert (was_tcp, is_tcp) == (False, True)


async def test_nobody_waits_longer_than_said(server: NameServer) -> None:
    """One after the other, in four threads, they would wait for five minutes."""
    server.answers[NAME] = silent
    lookup, count = Lookup(server.address, seconds=0.5), 2_400
    async with asyncio.timeout(120):
        assert await asyncio.gather(*(lookup.find(NAME) for _ in range(count))) == [Unanswered.LATE] * count
    lookup.close()


async def test_a_server_that_is_not_there_is_said_to_be(server: NameServer) -> None:
    with NameServer().running() as other:
        address = other.address
    lookup = Lookup(address, seconds=0.5)
    assert await lookup.find(NAME) in (Unanswered.LATE, Unanswered.FAILED)
    lookup.close()


def test_the_record_is_below_the_domain() -> None:
    assert record_name("acme.example") == NAME
