"""Framing: where a body ends, whatever pieces it comes in, and what is no framing at all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.http1 import BadBody, ChunkedBody, LengthBody, chunk, read_length, split_field


def feed_all(body: ChunkedBody | LengthBody, pieces: list[bytes]) -> tuple[bytes, bytes | None]:
    """Feed `pieces` one by one; what comes after the end is collected in the rest."""
    payload, rest = b"", None
    for piece in pieces:
        if rest is not None:
            rest += piece
            continue
        part, rest = body.feed(piece)
        payload += part
    return payload, rest


def cut(wire: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({min(a, len(wire)) for a in at} | {0, len(wire)})
    return [wire[a:b] for a, b in pairwise(ends)]


@given(st.lists(st.binary(min_size=1, max_size=300)), st.lists(st.integers(0, 2000)), st.binary(max_size=20))
def test_a_chunked_body_ends_at_the_same_place_in_whatever_pieces_it_comes(
    payloads: list[bytes], at: list[int], behind: bytes
) -> None:
    wire = b"".join(map(chunk, payloads)) + b"0\r\n\r\n" + behind
    assert feed_all(ChunkedBody(), cut(wire, at)) == (b"".join(payloads), behind)


@given(st.binary(max_size=300), st.lists(st.integers(0, 400)), st.binary(max_size=20))
def test_a_body_of_known_length_ends_there(payload: bytes, at: list[int], behind: bytes) -> None:
    if payload:
        assert feed_all(LengthBody(len(payload)), cut(payload + behind, at)) == (payload, behind)


def test_extensions_and_trailers_are_read_over() -> None:
    wire = b'3;a=b; c="d"\r\nabc\r\n0;last\r\nX-Remote-User: admin\r\nX: y\r\n\r\nrest'
    assert feed_all(ChunkedBody(), [wire]) == (b"abc", b"rest")


BROKEN = [
    b"+3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"1_0\r\n", b" 3\r\nabc\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"\r\n", b"g\r\n",
    b"ffffffffffffffff1\r\n", b"1000000000000000\r\n", b"3\nabc\r\n", b"3\rabc\r\n", b"3;a\nb\r\nabc\r\n", b"3;a\rb\r\nabc\r\n", b"3;a\x00\r\nabc\r\n",
    b"3\r\nabcd\r\n", b"3\r\nabc0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"3\r\nabc\r0\r\n\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\n: x\r\n\r\n",
    b"0\r\nA : x\r\n\r\n", b"0\r\n folded\r\n\r\n", b"0\r\nA: \x00\r\n\r\n", b"3;" + b"x" * 300 + b"\r\n", b"3;" + b"x" * 300,
    b"0\r\n" + b"A: b\r\n" * 3000, b"\xd9\xa3\r\n",
]  # fmt: skip


@pytest.mark.parametrize("wire", BROKEN)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_broken_framing_is_refused_in_whatever_pieces_it_comes(wire: bytes, step: int) -> None:
    body = ChunkedBody()
    with pytest.raises(BadBody):
        for start in range(0, len(wire), step):
            body.feed(wire[start : start + step])


@pytest.mark.parametrize(
    "value",
    [b"+3", b"-3", b"1_0", b"0x3", b"3 3", b"3, 3", b"3,3", b"", b"3.0", b"9" * 19, "٣".encode(), b"3\x00"],
)
def test_only_plain_digits_are_a_length(value: bytes) -> None:
    assert read_length(value) is None


@pytest.mark.parametrize(
    "line",
    [b"", b": x", b"no colon", b"A : x", b" A: x", b"A\t: x", b"A: \x00", b"A: x\ny", b"A: x\ry", b"A: \x7f", b"A: \x1b[2J", b"\xc3\xa9: x", b"A(: x", b"A\x00: x"],
)  # fmt: skip
def test_a_line_that_is_not_one_clean_field_is_none(line: bytes) -> None:
    assert split_field(line) is None


def test_a_field_is_its_lower_case_name_and_bare_value() -> None:
    assert split_field(b"X-Thing: \t a \t b \t") == (b"x-thing", b"a \t b")
    assert split_field(b"Empty:") == (b"empty", b"")
    assert split_field(b"Empty:  ") == (b"empty", b"")
