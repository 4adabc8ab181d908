"""Both forms of the data path, as Python and compiled, say the same of the same input, down to the last byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.clock import DAY
from tests.compiled.forms import PATIENCE, PYTHON, Form, compiled_modules, running
from tests.compiled.probes import PEER, PROXY, Question
from tests.edge.test_request import LINES, REQUEST_LINES
from tests.proxy.test_response import LINES as ANSWER_LINES
from tests.proxy.test_response import STATUS_LINES
from tests.wire.test_http1 import BROKEN, cut

pytestmark = pytest.mark.timeout(PATIENCE)

Forms = tuple[Form, Form]

TOKEN = b"Authorization: Bearer otium_pat_" + b"A" * 50
MORE_LINES = (
    b"Origin: https://app.example.com", b"Origin: null", b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Site: cross-site",
    b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: iframe", b"Accept: text/html", b"HX-Request: true", TOKEN,
    b"Authorization: Basic eDp5", b"Content-Length: 999999999999999999", b"Content-Length: 9999999999999999999",
    b"Content-Length: \xd9\xa3", b"Destination: https://app.example.com/a/b?x", b"Depth: infinity", b"If: </a> ([\"1\"])",
    b"Cookie: __Host-otium_zone=Europe/Berlin; __Host-otium_form=x; x=y", b"Cookie: n%61me=1; =__Host-own=2; \"a\"=3",
    b"X-Forwarded-For: 2001:db8::1, ::ffff:10.1.1.1, [2001:db8::2%eth0]:443", b"X-Forwarded-For: , ,",
    b"X-Company-Secret: 1", b"X.Identity: 1",
)  # fmt: skip
TARGETS = (
    b"/a/b/c", b"/a//b", b"/a;x/b", b"/a%2fb", b"/a%252fb", b"/%61", b"//x/a", b"/../a", b"/%2e%2e/a", b"/a%3fx", b"/a\\b",
    b"/public/x", b"/login?next=/" + b"x" * 300, b"/o", b"/t", b"/f", b"/me", b"/admin", b"/ops", b"/out", b"/invite/x", b"/api",
    b"/_gateway/auth", b"*", b"/%zz", b"/\xc3\xab", b"http://app.example.com/a", b"http://evil/a", b"/" + b"a/" * 90,
)  # fmt: skip
METHODS = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"OPTIONS",
    b"COPY",
    b"MOVE",
    b"PROPFIND",
    b"LINK",
    b"SEARCH",
    b"TRACE",
    b"get",
    b"M-SEARCH",
)
SPOILT = st.tuples(st.integers(0, 60), st.integers(0, 3), st.binary(max_size=3))


def spoil(made: tuple[bytes, tuple[int, int, bytes] | None]) -> bytes:
    """Replace a few bytes of an honest text, or none."""
    text, how = made
    return text if how is None else text[: how[0]] + how[2] + text[how[0] + how[1] :]


def spoilt(texts: Any) -> st.SearchStrategy[bytes]:
    honest = texts if isinstance(texts, st.SearchStrategy) else st.sampled_from(texts)
    return st.tuples(honest, st.none() | SPOILT).map(spoil)


def joined(first: st.SearchStrategy[bytes], lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(first, st.lists(lines, max_size=7)).map(lambda made: b"\r\n".join((made[0], *made[1])))


TARGET = spoilt(TARGETS) | st.binary(max_size=30).map(lambda tail: b"/" + tail)
ASKED = st.tuples(st.sampled_from(METHODS), TARGET, st.sampled_from((b"HTTP/1.1", b"HTTP/1.0"))).map(b" ".join)
FIRST = spoilt(REQUEST_LINES) | spoilt(ASKED)
HOST = b"Host: app.example.com"
LINE = spoilt(LINES) | spoilt(MORE_LINES)
HEAD = joined(FIRST, LINE) | joined(ASKED, st.just(HOST) | LINE)
FROM = st.sampled_from((PEER, PROXY, ""))
ANSWER = joined(spoilt(STATUS_LINES), spoilt(ANSWER_LINES))
CHUNKED = spoilt((*BROKEN[:20], b"3\r\nabc\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
CUTS = st.lists(st.integers(0, 300), max_size=6)
PIECES = st.tuples(CHUNKED | st.lists(CHUNKED, max_size=3).map(b"".join), CUTS).map(lambda made: cut(*made))
BODY = spoilt((b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"", b"0\r\n\r\n", b"5\r\nhello\r\n"))
FRAMED = st.sampled_from((b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Content-Length: 0", b"Accept: */*"))
MESSAGE = st.tuples(
    st.sampled_from((b"POST /x HTTP/1.1", b"GET /x HTTP/1.1", b"GET /own HTTP/1.0", b"PUT /own HTTP/1.1", b"HEAD /x HTTP/1.1")) | FIRST,
    st.lists(FRAMED | st.sampled_from(LINES) | LINE, max_size=3), BODY,
).map(lambda made: b"\r\n".join((made[0], HOST, *made[1], b"", made[2])))  # fmt: skip
REPLY = st.tuples(
    spoilt((b"HTTP/1.1 200 OK", b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200 OK", b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 100 Continue")),
    st.lists(FRAMED | spoilt(ANSWER_LINES), max_size=3), BODY,
).map(lambda made: b"\r\n".join((made[0], *made[1], b"", made[2])))  # fmt: skip
ENDS = st.sampled_from(("drain", "eof", "expire", "slow", "app expires", "app closes"))
TALK = st.tuples(st.lists(MESSAGE, min_size=1, max_size=3).map(b"".join), CUTS).map(lambda made: cut(*made))
REPLIES = st.tuples(st.lists(REPLY, max_size=3).map(b"".join), CUTS).map(lambda made: cut(*made))
VALUE = spoilt([line.partition(b":")[2].strip() for line in (*LINES, *MORE_LINES)]) | st.binary(max_size=40)
STEPS = st.lists(st.tuples(st.sampled_from(("ask", "ask", "release", "withdraw")), st.sampled_from("abc")), max_size=30)


@pytest.fixture(scope="module")
def forms() -> Iterator[Forms]:
    with running(PYTHON) as python, running(str(compiled_modules())) as compiled:
        yield python, compiled


def compare(forms: Forms, *questions: Question) -> list[str]:
    """Ask both forms, which run at the same time. Returns what both said."""
    for form in forms:
        form.ask(questions)
    python, compiled = (form.answers() for form in forms)
    assert [*zip(questions, compiled, strict=True)] == [*zip(questions, python, strict=True)]
    return python


def test_one_process_runs_python_and_the_other_is_compiled(forms: Forms) -> None:
    for form in forms:
        form.ask([("forms", ())])
    assert [form.answers() for form in forms] == [["('as Python', '', ['.py'])"], ["('compiled', '', ['.so'])"]]


@given(st.lists(st.tuples(HEAD, FROM), min_size=1, max_size=8))
def test_heads_of_requests_mean_the_same(forms: Forms, heads: list[tuple[bytes, str]]) -> None:
    compare(forms, ("read_heads", (heads,)), *(("judge", head) for head in heads))


def test_each_line_that_the_tests_name_means_the_same(forms: Forms) -> None:
    lines = (*LINES, *MORE_LINES)
    heads = [b"\r\n".join((first, HOST, line)) for first in REQUEST_LINES for line in lines]
    heads += [b"%b %b HTTP/1.1\r\n%b" % (method, target, HOST) for method in METHODS for target in TARGETS]
    assert len(heads) > 1_000
    said = compare(forms, *(("judge", (head, peer)) for head in heads for peer in (PEER, PROXY)))
    assert len({*said}) > 200
    logged = compare(forms, *(("write_log", (head, PEER)) for head in heads))
    assert sum(r"\\u2026" in one for one in logged) > 5


@given(st.lists(st.tuples(ANSWER, st.sampled_from(("GET", "HEAD"))), min_size=1, max_size=5))
def test_heads_of_answers_mean_the_same(forms: Forms, answers: list[tuple[bytes, str]]) -> None:
    compare(forms, ("read_answers", (answers,)))


@given(PIECES, st.integers(0, 40))
def test_bodies_end_at_the_same_place(forms: Forms, pieces: list[bytes], length: int) -> None:
    compare(
        forms, ("chunked", (pieces,)), ("counted", (length, pieces)), ("gather", (-1, pieces)),
        ("gather", (length, pieces)),
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_broken_bodies_are_refused_at_the_same_byte(forms: Forms, step: int) -> None:
    pieces = [[wire[at : at + step] for at in range(0, len(wire), step)] for wire in BROKEN]
    said = compare(forms, *(("chunked", (given,)) for given in pieces))
    assert sum("BadBody" in one for one in said) > 20


@given(VALUE, VALUE, TARGET, st.integers(0, 2**70))
def test_the_smallest_parts_say_the_same(forms: Forms, value: bytes, other: bytes, target: bytes, number: int) -> None:
    text = other.decode("latin-1")
    compare(
        forms,
        *((name, (value,)) for name in (
            "split_field", "read_length", "tokens", "chunk", "read_authority", "split_cookies", "likely_name", "is_safe_query",
            "accepts_request", "accepts_response", "is_heartbeat", "is_head_request", "judge_line",
        )),
        ("read_length", (b"%d" % number,)), ("read_path", (target,)), ("read_path", (value,)),
        ("read_request_line", (b"GET %b HTTP/1.1" % target,)), ("read_request_line", (value,)),
        ("find_failure", (value, 20)), ("find_client", (PROXY, value)), ("find_client", (text, value)),
        ("judge_line", (b"%b: %b" % (value, other),)), ("agree", (text, "app.example.com", bool(number % 2))),
        ("reach", ("COPY", [(b"destination", value), (b"depth", other)], "app.example.com")),
        ("reach", ("LOCK", [(b"if", value)], "app.example.com")), ("names_anything", ("LINK", False, [value, other])),
        ("walk_up", (text, number % 5)), ("close_frame", (number % 70_000,)), ("leave_out", ([value, other], frozenset((b"accept",)))),
        ("whole_answer", (200, [value], other, b"Connection: close", bool(number % 2))), ("whole_answer", (number, [], b"", b"", True)),
    )  # fmt: skip


@given(st.text(max_size=20), st.integers(0, 2 * DAY), HEAD)
def test_applications_and_the_access_log_are_told_the_same(forms: Forms, text: str, seconds: int, head: bytes) -> None:
    compare(forms, ("identify", (text, seconds)), ("write_log", (head, text)))


@given(TALK, REPLIES, ENDS)
def test_a_conversation_goes_the_same_way(forms: Forms, client: list[bytes], answers: list[bytes], end: str) -> None:
    compare(forms, ("converse", (client, answers, end)))


@given(
    st.integers(0, 5),
    st.integers(0, 4),
    STEPS,
    st.lists(st.tuples(st.binary(max_size=4), st.integers(1, 9)), max_size=30),
)
def test_what_is_shared_and_remembered_is_the_same(
    forms: Forms, capacity: int, room: int, steps: list[tuple[str, str]], puts: list[tuple[bytes, int]]
) -> None:
    compare(forms, ("share", (capacity, room, steps)), ("remember", (capacity * 3, puts)))
