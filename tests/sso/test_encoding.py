from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.base64url import decode_base64url, encode_base64url
from gateway.sso.oidc.encoding import MAX_ITEMS, read_object, shown
from gateway.sso.oidc.record import Refusal, Rejected

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**16), 10**16) | st.floats(-1e15, 1e15) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def refusal_of(text: bytes) -> Refusal:
    with pytest.raises(Rejected) as rejected:
        read_object(text, Refusal.NOT_JSON)
    return rejected.value.refused.reason


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_what_json_writes_is_read(value: dict[str, object]) -> None:
    assert read_object(json.dumps(value).encode(), Refusal.NOT_JSON) == value


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b'"x"', b"1", b"null", b"{}x", b"{} {}", b"{'a': 1}", b'{"a": 1,}', b'{"a": NaN}',
        b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": 1' + b"0" * 400 + b"}",
        b'{"a": 0.' + b"0" * 400 + b"}", b'{"a": "\xff"}', b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"),
        b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": [{"b": "\\ud800"}]}', b'{"a": "\x00"}', b'{"a": "\n"}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000, b'{"a": [' + b"1," * MAX_ITEMS + b"1]}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    assert refusal_of(text) == Refusal.NOT_JSON


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 1}', b'{"a": {"b": 1, "b": 2}}', b'{"a": 1, "\\u0061": 2}'])
def test_a_name_that_is_there_twice_is_refused(text: bytes) -> None:
    assert refusal_of(text) == Refusal.DUPLICATE


@given(st.binary(max_size=300))
def test_bytes_have_one_spelling(value: bytes) -> None:
    assert decode_base64url(encode_base64url(value)) == value


@pytest.mark.parametrize(
    "text", ["A", "AB", "AA=", "AA==", "A+", "A/", "A A", "AA\n", "é", "AAB", "ABCDE", "=", "AA\x00A"]
)
def test_other_spellings_of_bytes_are_refused(text: str) -> None:
    assert decode_base64url(text) is None


@given(st.text(max_size=50))
def test_a_text_is_never_decoded_unless_it_is_the_one_spelling(text: str) -> None:
    value = decode_base64url(text)
    assert value is None or encode_base64url(value) == text


def test_what_is_shown_is_one_short_line() -> None:
    assert shown("a\r\nb\x1b[31mc\u2028d" + 1_000 * "e") == "ab[31mcd" + (300 - len("a__b_[31mc_d")) * "e"
