"""Input that nobody honest sends: malformed, hostile or huge. It is refused, in little time, and never raises."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.passkey.ceremony import (
    Asserted,
    Refusal,
    Refused,
    Registered,
    id_of,
    load,
    read_assertion,
    read_registration,
)
from gateway.factors.passkey.encoding import decode_cbor, read_bytes
from gateway.factors.passkey.record import Rejected
from gateway.model.base64url import encode_base64url
from tests.passkeys.test_assertion import HANDLE, KEY, PASSKEY
from tests.passkeys.test_registration import CHALLENGE, SAID, SITE
from tests.support.authenticator import Authenticator, base64url, changed, with_part

REGISTRATION = Authenticator().register(SAID)
ASSERTION = PASSKEY.prove(SAID)
MALFORMED = Refused(Refusal.MALFORMED)


def register(text: str) -> Registered | Refused:
    return read_registration(text, SITE, CHALLENGE)


def prove(text: str) -> Asserted | Refused:
    return read_assertion(
        text, SITE, CHALLENGE, KEY, handle=HANDLE, needs_verification=False, needs_handle=False
    )  # fmt: skip


def test_the_answers_of_these_tests_are_right_before_they_are_altered() -> None:
    assert isinstance(register(REGISTRATION), Registered)
    assert isinstance(prove(ASSERTION), Asserted)
    assert id_of(ASSERTION) == PASSKEY.id


TEXTS = [
    "",
    " ",
    "null",
    "7",
    "[]",
    '"text"',
    "{",
    "{}}",
    "\ufeff{}",
    "{'type': 'public-key'}",
    "\ud800",
    '{"type": "public-key", "\ud800": 1}',
    REGISTRATION[:-1],
    REGISTRATION + " {}",
    REGISTRATION.replace("{", '{"a": NaN, ', 1),
    REGISTRATION.replace("{", '{"a": -Infinity, ', 1),
    REGISTRATION.replace("{", '{"a": 1, "a": 1, ', 1),
    REGISTRATION.replace("{", '{"type": "public-key", ', 1),
    REGISTRATION.replace('"response": {', '"response": {"clientDataJSON": "", '),
    "[" * 60_000,
    '{"a":' * 10_000,
    "{" + ",".join(f'"{number}":{number}' for number in range(5_000)) + "}",
]


@pytest.mark.parametrize("text", TEXTS, ids=map(str, range(len(TEXTS))))
def test_what_is_no_answer_is_malformed(text: str) -> None:
    assert register(text) == MALFORMED
    assert prove(text) == MALFORMED
    assert id_of(text) is None


@pytest.mark.parametrize("name", ["id", "rawId", "response", "clientExtensionResults"])
@pytest.mark.parametrize("value", [None, 7, True, [], "", "\ud800", "=", "a b", "é", "A"])
def test_a_field_of_another_kind_is_malformed(name: str, value: object) -> None:
    for text, read in ((REGISTRATION, register), (ASSERTION, prove)):
        assert read(changed(text, lambda answer: answer.update({name: value}))) == MALFORMED


@pytest.mark.parametrize("transports", ["usb", 7, {}, None])
def test_transports_that_are_no_list_are_malformed(transports: object) -> None:
    assert register(Authenticator().register(SAID, transports=transports)) == MALFORMED


CLIENT_DATA = [
    b"", b"{", b"[]", b"null", b'{"type": "webauthn.create"', b"\xff", b'{"a": "\xc3"}', b"\xef\xbb\xbf{}",
    '{"type": "webauthn.create"}'.encode("utf-16"), b'{"a": NaN}', b'{"type": 1, "type": 1}', b"[" * 40_000,
    b'{"a":' + b"9" * 40_000 + b"\x00}",
]  # fmt: skip


@pytest.mark.parametrize("data", CLIENT_DATA, ids=map(str, range(len(CLIENT_DATA))))
def test_malformed_client_data(data: bytes) -> None:
    assert register(with_part(REGISTRATION, "clientDataJSON", lambda _: data)) == MALFORMED
    assert prove(with_part(ASSERTION, "clientDataJSON", lambda _: data)) == MALFORMED


def test_client_data_without_any_field_is_of_the_wrong_type() -> None:
    text = with_part(ASSERTION, "clientDataJSON", lambda _: b'{"number": ' + b"9" * 40_000 + b"}")
    assert prove(text) == Refused(Refusal.TYPE)


CBOR = [
    b"",
    b"\x01",
    b"\x80",
    b"\xa0",
    b"\xa1",
    b"\xa1\x01\x02\x03",  # more follows
    b"\xa2\x01\x02\x01\x02",  # the same key twice
    b"\xa2\x01\x02\xf5\x02",  # True is no key
    b"\xa1\x80\x01",
    b"\xa1\xf6\x01",
    b"\xbf\xff",  # indefinite lengths
    b"\x9f\xff",
    b"\x7f\x61a\xff",
    b"\x5f\x41a\xff",
    b"\x1c",
    b"\x1f",
    b"\xff",
    b"\xf7",  # undefined
    b"\xf8\x20",
    b"\xf9\x7e\x00",  # NaN
    b"\xfa\x7f\xc0\x00\x00",
    b"\xfb\x7f\xf8" + bytes(6),
    b"\x61\xff",  # no UTF-8
    b"\x63\xed\xa0\x80",  # a lone surrogate
    b"\x5b" + b"\xff" * 8,
    b"\x9b" + b"\xff" * 8,
    b"\xbb" + b"\xff" * 8,
    b"\x9a\x00\x0f\xff\xff",
    b"\xc2\x49" + b"\xff" * 9,  # tags: a big number, a date, a decimal fraction, a regular expression, references
    b"\xc1\x01",
    b"\xc4\x82\x1b\x00\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xd8\x23\x65(a+)+",
    b"\xd8\x1c\x81\xd8\x1d\x00",
    b"\x81" * 5 + b"\x80",
    b"\x81" * 40_000,
    b"\x99\x9c\x40" + b"\x00" * 40_000,
    b"\x98\xff" + b"\x82\x01\x02" * 255,
]


@pytest.mark.parametrize("data", CBOR, ids=map(str, range(len(CBOR))))
def test_malformed_cbor(data: bytes) -> None:
    assert register(with_part(REGISTRATION, "attestationObject", lambda _: data)) == MALFORMED
    # In place of the public key, and after it, in place of extensions.
    assert prove(with_part(ASSERTION, "authenticatorData", lambda value: with_extensions(value, data))) == MALFORMED
    authenticator = Authenticator()
    authenticator.public_key = data
    assert isinstance(register(authenticator.register(SAID)), Refused)


def with_extensions(value: bytes, extensions: bytes) -> bytes:
    return value[:32] + bytes([value[32] | 0x80]) + value[33:] + extensions + b"\x00"


@pytest.mark.parametrize("statement", [[], 7, None, "text", b"bytes"])
def test_an_attestation_object_of_other_kinds_is_malformed(statement: object) -> None:
    data = cbor2.loads(read_bytes(json.loads(REGISTRATION)["response"]["attestationObject"]))
    for name in ("fmt", "attStmt", "authData"):
        altered = {**data, name: statement}
        if isinstance(data[name], type(statement)):
            continue
        assert register(with_part(REGISTRATION, "attestationObject", lambda _, given=altered: cbor2.dumps(given))) == (
            MALFORMED
        )


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 36])
def test_truncated_authenticator_data_is_malformed(length: int) -> None:
    assert prove(with_part(ASSERTION, "authenticatorData", lambda value: value[:length])) == MALFORMED


def test_bytes_after_authenticator_data_are_malformed() -> None:
    assert prove(with_part(ASSERTION, "authenticatorData", lambda value: value + b"\x00")) == MALFORMED


def test_authenticator_data_that_announces_what_is_not_there_is_malformed() -> None:
    for flag in (0x40, 0x80, 0xC0):
        text = with_part(
            ASSERTION, "authenticatorData", lambda value, flag=flag: value[:32] + bytes([value[32] | flag]) + value[33:]
        )
        assert prove(text) == MALFORMED


# Whatever is sent.


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(register(text), Refused)
    assert isinstance(prove(text), Refused)
    assert id_of(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    name=st.sampled_from(["id", "rawId", "type", "response", "clientExtensionResults", "clientDataJSON",
                          "attestationObject", "authenticatorData", "signature", "userHandle", "transports"]),
    value=JSON,
)  # fmt: skip
def test_no_value_of_any_field_raises(name: str, value: object) -> None:
    def change(answer: dict[str, object]) -> None:
        (answer if name in answer else answer["response"]).update({name: value})  # type: ignore[attr-defined]

    register(changed(REGISTRATION, change))
    prove(changed(ASSERTION, change))


@given(st.binary(max_size=300))
def test_no_bytes_of_any_part_raise(data: bytes) -> None:
    for part in ("clientDataJSON", "attestationObject"):
        assert isinstance(register(with_part(REGISTRATION, part, lambda _: data)), Refused)
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        assert isinstance(prove(with_part(ASSERTION, part, lambda _: data)), Refused)


@given(st.binary(max_size=100))
def test_whatever_cbor_is_accepted_means_the_same_to_the_library(data: bytes) -> None:
    try:
        value = decode_cbor(data)
    except Rejected:
        return
    assert cbor2.loads(data) == value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-99, 99) | st.text(), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(VALUES)
def test_cbor_is_read_as_it_was_written(value: object) -> None:
    if depth_of(value) <= 4:
        assert decode_cbor(cbor2.dumps(value)) == value
    else:
        with pytest.raises(Rejected):
            decode_cbor(cbor2.dumps(value))


@given(st.binary())
def test_base64url_is_read_as_it_was_written(value: bytes) -> None:
    assert read_bytes(encode_base64url(value)) == value


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "AA=", "A A", "AA\n", "A+", "A/", "AAAAA", "é", "\ud800", None, 7])
def test_another_spelling_of_base64url_is_malformed(text: object) -> None:
    with pytest.raises(Rejected):
        read_bytes(text)


# Time, by counting.


class Untouchable(str):
    """A text that may be measured, and not read."""

    def encode(self, *args: object) -> bytes:  # type: ignore[override]
        raise AssertionError("it was encoded")

    def count(self, *args: object) -> int:  # type: ignore[override]
        raise AssertionError("it was read")


@pytest.mark.parametrize("size", [65_537, 1_000_000])
def test_what_is_too_long_is_refused_before_it_is_read(size: int) -> None:
    text = Untouchable(" " * size)
    assert register(text) == MALFORMED
    assert prove(text) == MALFORMED
    assert id_of(text) is None


def test_the_limit_is_64_kb_of_utf_8() -> None:
    def padded(size: int, letter: str) -> str:
        rest = size - len(changed(ASSERTION, lambda answer: answer.update(padding="")))
        return json.dumps(
            {**json.loads(ASSERTION), "padding": letter * (rest // len(letter.encode()))}, ensure_ascii=False
        )

    assert isinstance(prove(padded(65_536, "a")), Asserted)
    assert prove(padded(65_537, "a")) == MALFORMED
    assert isinstance(prove(padded(65_530, "é")), Asserted)
    assert prove(padded(65_540, "é")) == MALFORMED


def calls_during(act: Callable[[], object]) -> int:
    """Count the calls of functions, of Python and of C."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


FULL = 45_000  # bytes of a part that make an answer of almost 64 kB
WORST = [
    b"\x98\xf0" + b"\x00" * FULL,
    b"\xa1\x00" * (FULL // 2),
    b"\x81" * FULL,
    b"\x9a\x00\x00\xaf\xc8" + b"\x80" * FULL,
    b"\xb9\x57\xe4" + b"".join(bytes([0x19, *number.to_bytes(2), 0]) for number in range(FULL // 4)),
    b"\x59\xaf\xc8" + b"\x00" * FULL,
]


@pytest.mark.parametrize("data", WORST, ids=map(str, range(len(WORST))))
def test_no_cbor_costs_more_than_some_thousand_calls(data: bytes) -> None:
    load()
    assert isinstance(register(REGISTRATION), Registered)
    text = with_part(REGISTRATION, "attestationObject", lambda _: data)
    assert len(text) < 65_536
    assert calls_during(lambda: register(text)) < 3_000
    text = with_part(ASSERTION, "authenticatorData", lambda value: with_extensions(value, data))
    assert calls_during(lambda: prove(text)) < 3_000


@pytest.mark.parametrize("unit", ['"a":1,', "{", "[", '"a",', "1,", '"\\u0000",'])
def test_no_json_costs_more_than_some_hundred_calls(unit: str) -> None:
    text = "{" + unit * (65_000 // len(unit))
    assert calls_during(lambda: prove(text)) < 500
    data = base64url(text[:FULL].encode())
    inner = changed(ASSERTION, lambda answer: answer["response"].update(clientDataJSON=data))
    assert calls_during(lambda: prove(inner)) < 1_000
