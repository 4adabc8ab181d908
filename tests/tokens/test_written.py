"""How API tokens are written, how a request carries one, and what one allows."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.api_token import (
    NOISE,
    PATTERN,
    Grant,
    Kind,
    checksum,
    digest_of,
    is_credential,
    is_token,
    make_token,
    read_authorization,
    read_credential,
)

BODY = b"otw_pat_4fK9mZx0Qw7RtY2uLs8DvN1bHc6JgA5e"
TOKEN = BODY + checksum(BODY).encode()


def basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


@pytest.mark.parametrize("kind", Kind)
def test_a_new_token_is_one(kind: Kind) -> None:
    token = make_token(kind).reveal()
    assert re.fullmatch(PATTERN, token)
    assert is_token(token.encode())
    assert token != make_token(kind).reveal()


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("0aZ_-"))
def test_with_one_character_changed_it_is_none(at: int, other: str) -> None:
    changed = TOKEN[:at] + other.encode() + TOKEN[at + 1 :]
    assert is_token(changed) is (changed == TOKEN)


def test_the_checksum_is_crc32_in_base62() -> None:
    assert checksum(b"otw_pat_" + b"0" * 32) == "2HiVXZ"


@pytest.mark.parametrize(
    ("value", "user"),
    [
        (b"Bearer " + TOKEN, None),
        (b"bearer " + TOKEN, None),
        (b"Bearer   " + TOKEN, None),
        (basic(b"erin@acme.example", TOKEN), "erin@acme.example"),
        (basic(b"", TOKEN), None),
    ],
)
def test_a_token_is_found(value: bytes, user: str | None) -> None:
    credential = read_authorization(value)
    assert credential is not None
    assert is_credential(credential)
    assert read_credential(credential) == (digest_of(TOKEN), user)


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer otw_pat_",
        b"Bearer " + TOKEN + b"x",
        b"Bearer " + TOKEN + b" " + TOKEN,
        b"Bearer " + TOKEN.upper(),
        basic(TOKEN, b""),
        basic(TOKEN, b"x-oauth-basic"),
        basic(b"erin@acme.example", TOKEN + b"\n"),
        b"Token " + TOKEN,
        b"Digest username=" + TOKEN,
        # What some server finds a token in.
        b'Bearer "' + TOKEN + b'"',
        b"Bearer\t" + TOKEN,
        b"Bearer token=" + TOKEN,
        b"Bearer eyJ.x.y, Bearer " + TOKEN,
        b"Negotiate YII=, " + basic(b"", TOKEN),
        basic(b"erin@acme.example", TOKEN).replace(b" ", b"\t"),
        basic(b"erin@acme.example", b" " + TOKEN),
        basic(b"erin", b"more:" + TOKEN),
        basic(b"x" + TOKEN, b""),
        *(basic(b"a" * length, TOKEN).rstrip(b"=") for length in range(1, 4) if (length + len(TOKEN) + 1) % 3),
        *(basic(b"\xff" * length, TOKEN).translate(bytes.maketrans(b"+/", b"-_")) for length in (3, 4, 5)),
        basic(b"erin@acme.example", TOKEN).replace(b"Basic ", b"Basic  \t")[:30]
        + b" "
        + basic(b"erin@acme.example", TOKEN)[28:],
        b"Basic =" + basic(b"a", TOKEN)[6:],
        b"Token " + basic(b"a", TOKEN)[6:],
        b"Basic " + base64.b64encode(TOKEN),
    ],
)
def test_what_only_looks_like_a_token_is_noise(value: bytes) -> None:
    assert read_authorization(value) == NOISE
    assert read_credential(NOISE) is None
    assert is_credential(NOISE)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer eyJhbGciOi.x.y",
        b"Basic !!!",
        basic(b"a", b"b"),
        b"Negotiate YII=",
        b"Basic " + b"A" * 9,
    ],
)
def test_other_values_are_the_applications(value: bytes) -> None:
    assert read_authorization(value) is None


@given(st.binary(max_size=200))
def test_no_value_raises_or_is_taken_for_a_cookie(value: bytes) -> None:
    credential = read_authorization(value)
    assert credential is None or is_credential(credential)


@dataclass(frozen=True)
class Asked:
    method: str = "GET"
    readings: tuple[str, ...] = ("/calendar/erin",)
    address: str = "203.0.113.7"


@pytest.mark.parametrize(
    ("grant", "asked", "is_allowed"),
    [
        (Grant("t", 1), Asked("DELETE"), True),
        (Grant("t", 1, frozenset(("GET",))), Asked(), True),
        (Grant("t", 1, frozenset(("GET",))), Asked("POST"), False),
        (Grant("t", 1, paths=("/calendar",)), Asked(), True),
        (Grant("t", 1, paths=("/calendar",)), Asked(readings=("/calendar",)), True),
        (Grant("t", 1, paths=("/calendar",)), Asked(readings=("/calendars",)), False),
        (Grant("t", 1, paths=("/calendar",)), Asked(readings=("/calendar/../pay", "/pay")), False),
        (Grant("t", 1, paths=("/other", "/calendar")), Asked(), True),
        (Grant("t", 1, networks=(ip_network("203.0.113.0/24"),)), Asked(), True),
        (Grant("t", 1, networks=(ip_network("203.0.113.0/24"),)), Asked(address="::ffff:203.0.113.7"), True),
        (Grant("t", 1, networks=(ip_network("203.0.113.0/24"),)), Asked(address="198.51.100.1"), False),
        (Grant("t", 1, networks=(ip_network("203.0.113.0/24"),)), Asked(address=""), False),
        (Grant("t", 1, networks=(ip_network("fe80::/10"),)), Asked(address="fe80::1%eth0"), True),
    ],
)
def test_what_a_token_allows(grant: Grant, asked: Asked, is_allowed: bool) -> None:
    assert (grant.refuse(asked) == "") is is_allowed
