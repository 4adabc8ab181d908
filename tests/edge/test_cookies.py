"""Our cookie: recognised in every spelling, believed in one."""

from __future__ import annotations

import hashlib

import pytest

from gateway.wire.cookies import OTHER_COOKIES, split_cookies

NAME = b"__Host-otium_session"
ATTEMPT = b"__Host-otium_attempt"
OWN = (NAME, ATTEMPT, *OTHER_COOKIES)
TOKEN = b"a" * 43
KEY = hashlib.sha256(TOKEN).digest()


def split(value: bytes) -> tuple[bytes | None, bytes, tuple[str, ...]]:
    """Return the session's key, what is forwarded, and the names of that."""
    found = split_cookies(value, NAME, ATTEMPT)
    session, line, names = found.session_key, found.line, found.names
    assert not line or line.startswith(b"Cookie: ")
    return session, line.removeprefix(b"Cookie: "), names


def test_one_well_formed_session_cookie_names_a_session() -> None:
    assert split(b"a=1; " + NAME + b"=" + TOKEN + b"; b=2") == (KEY, b"a=1; b=2", ("a", "b"))


@pytest.mark.parametrize(
    "value",
    [
        b"=%%%", b'="', b"=" + b"a" * 10_000, b"=a=b=c", b"=", b"", b"=" + b"a" * 42, b"=" + b"a" * 44,
        b"=" + b"!" * 43, b"=" + TOKEN + b"=", b'="' + TOKEN + b'"', b" =" + TOKEN, b"=" + b"a" * 42 + b"\xff",
    ],
)  # fmt: skip
def test_a_malformed_session_cookie_names_nobody_and_goes_no_further(value: bytes) -> None:
    key, rest, _ = split(b"a=1; " + NAME + value + b"; b=2")
    assert key is None
    assert rest == b"a=1; b=2"


@pytest.mark.parametrize("spelling", [b"=" + NAME + b"=x", b'"' + NAME + b'"=' + TOKEN, NAME, b"  " + NAME + b" = x"])
def test_other_spellings_of_our_cookie_name_nobody_and_go_no_further(spelling: bytes) -> None:
    assert split(b"a=1;" + spelling + b";b=2") == (None, b"a=1; b=2", ("a", "b"))


@pytest.mark.parametrize(
    "other",
    [
        b"=" + NAME + b"=x",
        b'"' + NAME + b'"=' + TOKEN,
        NAME,
        b" " + NAME + b" =x",
        b"__Host-otium%5Fsession=x",
        b'"' + NAME + b'=x"',
    ],
)
def test_a_look_alike_beside_our_cookie_takes_nothing_from_it(other: bytes) -> None:
    for value in (other + b"; a=1; " + NAME + b"=" + TOKEN, NAME + b"=" + TOKEN + b";a=1;" + other):
        assert split(value) == (KEY, b"a=1", ("a",))


@pytest.mark.parametrize("other", [TOKEN, b"b" * 43, b"", b"%%%"])
def test_two_session_cookies_name_nobody(other: bytes) -> None:
    key, rest, _ = split(NAME + b"=" + TOKEN + b"; x=1; " + NAME + b"=" + other)
    assert key is None
    assert rest == b"x=1"


def test_our_own_cookies_are_told_apart() -> None:
    tokens = [letter * 43 for letter in (b"a", b"b", b"c", b"d", b"e", b"f")]
    pairs = [name + b"=" + token for name, token in zip(OWN, tokens, strict=True)]
    found = split_cookies(b"; ".join((*pairs, b"x=1")), NAME, ATTEMPT)
    keys = (found.session_key, found.attempt_key, found.form_key, found.browser_key, found.sent_key, found.sso_key)
    assert keys == tuple(hashlib.sha256(token).digest() for token in tokens)
    assert found.line == b"Cookie: x=1"
    assert split_cookies(b"; ".join((*pairs, pairs[1])), NAME, ATTEMPT).attempt_key is None


def test_all_our_cookies_are_taken_out() -> None:
    assert split(b"__Host-otium_attempt=secret; " + NAME + b"=" + TOKEN) == (KEY, b"", ())


def test_cookies_whose_names_only_resemble_ours_belong_to_the_upstream() -> None:
    value = b"x__Host-otium_session=1; __Host-otium_session2=2; otium_session=3; __host-otium_session=4"
    assert split(value)[:2] == (None, value)
